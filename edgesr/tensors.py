"""Shapes, size rules and precisions that every layer speaks of."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import SizeError, UsageError

FloatArray = NDArray[np.float32]
"""float32; as a picture (N,3,H,W) RGB with 0 black and 1 white."""

Precision = Literal["fp32", "fp16"]
"""What the weights and the arithmetic of an artifact are."""

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")


@dataclass(frozen=True, kw_only=True, order=True)
class Size:
    """Height and width in pixels; written HxW."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


def parse_size(text: str) -> Size:
    """`HxW` -> Size; raises UsageError for anything else, zero included."""
    match = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text.strip().lower())
    if not match:
        raise UsageError(f"{text!r} is not a size", hint="Write height x width in pixels, as in --size 180x320.")
    return Size(height=int(match[1]), width=int(match[2]))


@dataclass(frozen=True, kw_only=True)
class SizeRule:
    """The input sizes that a session takes: from `minimum` to `maximum`, both inclusive; no maximum means any."""

    minimum: Size
    maximum: Size | None = None

    @property
    def fixed(self) -> Size | None:
        """The one size taken, if there is only one."""
        return self.minimum if self.minimum == self.maximum else None

    def check(self, size: Size) -> None:
        """Raise SizeError when `size` is outside, naming it and what is taken."""
        if self.fixed and size != self.fixed:
            raise SizeError(
                f"this model takes {self.fixed} (HxW) only, not {size}",
                hint=f"Export with dynamic sizes or with --size {size}, or let `edgesr upscale` cut the picture into tiles.",
            )
        if size.height < self.minimum.height or size.width < self.minimum.width:
            raise SizeError(
                f"{size} (HxW) is too small: this model takes {self.minimum} and larger",
                hint=f"Take {self.minimum} or more, or pad the picture first.",
            )
        if self.maximum and (size.height > self.maximum.height or size.width > self.maximum.width):
            raise SizeError(
                f"{size} (HxW) is too large: this model takes {self.maximum} at most",
                hint="Cut the picture into tiles: edgesr upscale --tile 256.",
            )

    @property
    def description(self) -> str:
        """For tables: the fixed size, or the range."""
        if self.fixed:
            return str(self.fixed)
        return f"{self.minimum} to {self.maximum}" if self.maximum else f"{self.minimum} and larger"


def size_of(image: FloatArray) -> Size:
    """The size of a (N,3,H,W) picture; raises UsageError for another shape or type, naming what was seen."""
    if image.ndim != 4 or image.shape[1] != 3 or image.dtype != np.float32 or 0 in image.shape:
        raise UsageError(f"expected a float32 RGB batch of shape (N,3,H,W), got {image.dtype} {image.shape}")
    return Size(height=image.shape[2], width=image.shape[3])
