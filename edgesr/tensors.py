"""Shapes, size rules and precisions that every layer speaks of."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import SizeError, UsageError

FloatArray = NDArray[np.float32]
"""float32; as a picture (N,3,H,W) RGB with 0 black and 1 white."""

Precision = Literal["fp32", "fp16", "w8", "p8", "p6", "p4"]
"""What the weights and the arithmetic of an artifact are.

w8: weights in 8 bits with a factor for each output channel. p8, p6, p4: weights in palettes of 256, 64 or 16 values. The
arithmetic of these is fp16.
"""

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "w8", "p8", "p6", "p4")


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


def parse_sizes(text: str) -> "SizeRule":
    """`HxW`, several as `HxW,HxW`, or a range as `HxW..HxW` -> the rule; raises UsageError for anything else."""
    first, is_range, last = text.partition("..")
    if is_range:
        rule = SizeRule(minimum=parse_size(first), maximum=parse_size(last))
        if rule.maximum and (rule.minimum.height > rule.maximum.height or rule.minimum.width > rule.maximum.width):
            raise UsageError(f"{text} is no range: its end is smaller than its start", hint="As in --size 64x64..512x512.")
        return rule
    return one_of(tuple(parse_size(each) for each in text.split(",")))


def one_of(sizes: "tuple[Size, ...]") -> "SizeRule":
    """The rule that takes these sizes alone, in this order."""
    unique = tuple(dict.fromkeys(sizes))
    heights, widths = [size.height for size in unique], [size.width for size in unique]
    return SizeRule(
        minimum=Size(height=min(heights), width=min(widths)),
        maximum=Size(height=max(heights), width=max(widths)),
        choices=unique if len(unique) > 1 else (),
    )


@dataclass(frozen=True, kw_only=True)
class SizeRule:
    """The input sizes that a session takes: from `minimum` to `maximum`, both inclusive; no maximum means any.

    choices: where they are not empty, these sizes alone.
    """

    minimum: Size
    maximum: Size | None = None
    choices: tuple[Size, ...] = ()

    @property
    def fixed(self) -> Size | None:
        """The one size taken, if there is only one."""
        return self.minimum if self.minimum == self.maximum and not self.choices else None

    @property
    def is_range(self) -> bool:
        """Whether it takes whatever lies between two ends."""
        return self.maximum is not None and self.maximum != self.minimum and not self.choices

    @property
    def of_tiles(self) -> "SizeRule":
        """The sizes that tiles of a picture may have: of several choices the largest."""
        return one_of((max(self.choices, key=lambda size: size.height * size.width),)) if self.choices else self

    def check(self, size: Size) -> None:
        """Raise SizeError when `size` is outside, naming it and what is taken."""
        if self.fixed and size != self.fixed:
            raise SizeError(
                f"this model takes {self.fixed} (HxW) only, not {size}",
                hint=f"Export with --size {size}, or let `edgesr upscale` cut the picture into tiles.",
            )
        if self.choices and size not in self.choices:
            raise SizeError(
                f"this model takes {self.description} (HxW) only, not {size}",
                hint=f"Export with --size {size} too, or let `edgesr upscale` cut the picture into tiles.",
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
        """For tables: the fixed size, the choices, or the range."""
        if self.choices:
            return ", ".join(str(size) for size in self.choices)
        if self.fixed:
            return str(self.fixed)
        return f"{self.minimum} to {self.maximum}" if self.maximum else f"{self.minimum} and larger"


def size_of(image: FloatArray) -> Size:
    """The size of a (N,3,H,W) picture; raises UsageError for another shape or type, naming what was seen."""
    if image.ndim != 4 or image.shape[1] != 3 or image.dtype != np.float32 or 0 in image.shape:
        raise UsageError(f"expected a float32 RGB batch of shape (N,3,H,W), got {image.dtype} {image.shape}")
    return Size(height=image.shape[2], width=image.shape[3])
