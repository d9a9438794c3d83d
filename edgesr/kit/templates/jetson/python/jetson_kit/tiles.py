"""A picture in tiles, as `edgesr upscale` cuts it: each is run with a margin around it, and only its inside is kept."""

from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from jetson_kit.errors import KitError, UsageError

FloatArray = NDArray[np.float32]
"""As a picture (1,3,H,W) RGB with 0 black and 1 white."""

DEFAULT_OVERLAP = 32
LARGEST_SIDE = 1024
ALIGNMENT = 96


class Size(NamedTuple):
    """Height and width in pixels; written HxW."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


class Network(Protocol):
    """What runs: pictures from `minimum` to `maximum`, both inclusive, become `scale` times larger."""

    @property
    def scale(self) -> int:
        """The factor."""

    @property
    def minimum(self) -> Size:
        """The smallest height and width."""

    @property
    def maximum(self) -> Size:
        """The largest height and width."""

    def run(self, image: FloatArray) -> FloatArray:
        """(1,3,H,W) -> (1,3,sH,sW), not clamped; the result may be overwritten by the next run."""


class Tiling(NamedTuple):
    """Tiles of `tile` input pixels a side, each run with `overlap` more on every side."""

    tile: int
    overlap: int


@dataclass(frozen=True)
class Span:
    """One tile along one axis: the network reads [start, stop), and [keep_start, keep_stop) is kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def choose_tiling(
    size: Size, network: Network, *, radius: int | None, tile: int | None = None, overlap: int | None = None
) -> Tiling | None:
    """How to cut a picture of `size`, or None to run it whole.

    radius: how far an output pixel sees, in input pixels; None where it sees the whole picture. tile, overlap: what was asked
    for, or None.
    """
    minimum, maximum = network.minimum, network.maximum
    side = min(LARGEST_SIDE, *maximum)
    if overlap is None:
        overlap = min(DEFAULT_OVERLAP if radius is None else radius, side // 4)
    fits = size.height <= maximum.height and size.width <= maximum.width
    if minimum == maximum:
        fits = size == maximum
    small = size.height * size.width <= LARGEST_SIDE**2 if tile is None else max(size) <= tile
    if tile is None:
        tile = max(side - 2 * overlap, 1)
        tile = tile // ALIGNMENT * ALIGNMENT or tile
    if tile < 1 or overlap < 0:
        raise UsageError(f"a tile of {tile} pixels with an overlap of {overlap} is none", "Ask for at least 1 and 0.")
    return None if fits and small else Tiling(tile, overlap)


def spans(length: int, least: int, most: int, tiling: Tiling) -> list[Span]:
    """Tiles along an axis of `length` pixels, each of at least `least` and at most `most` with its margins.

    Where `length` is below `least`, the one tile reaches beyond the picture.
    """
    window = min(max(tiling.tile + 2 * tiling.overlap, least), most)
    step = window - 2 * tiling.overlap
    if step < 1:
        raise UsageError(
            f"an overlap of {tiling.overlap} pixels on every side leaves nothing of a tile of {window}",
            f"Ask for --overlap {(window - 1) // 2} at most.",
        )
    starts = [0, *range(step, length - 2 * tiling.overlap, step)] if length > window else [0]
    starts[-1] = max(0, min(starts[-1], length - least))
    stops = [max(least, min(start + window, length)) for start in starts]
    cuts = [0, *((start + stop) // 2 for start, stop in zip(starts[1:], stops, strict=False)), length]
    return [Span(start, stop, *kept) for start, stop, kept in zip(starts, stops, pairwise(cuts), strict=True)]


def upscaled(network: Network, image: FloatArray, tiling: Tiling | None) -> FloatArray:
    """(1,3,H,W) -> (1,3,sH,sW), whole or in tiles.

    An engine of one size has its pictures continued by reflection to the right and below; smaller ones than an engine of several
    sizes takes are refused.
    """
    size, least, most, scale = Size(*image.shape[2:]), network.minimum, network.maximum, network.scale
    if least != most and (size.height < least.height or size.width < least.width):
        raise KitError(f"{size} (HxW) is too small: this engine takes {least} and larger", "Take a larger picture.")
    if tiling is None:
        return network.run(image)
    rows = spans(size.height, least.height, most.height, tiling)
    columns = spans(size.width, least.width, most.width, tiling)
    missing = (max(0, least.height - size.height), max(0, least.width - size.width))
    image = np.pad(image, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), mode="reflect")
    result = np.empty((1, 3, scale * size.height, scale * size.width), np.float32)
    for row, column in product(rows, columns):
        output = network.run(np.ascontiguousarray(image[:, :, row.start : row.stop, column.start : column.stop]))
        result[:, :, _kept(row, scale), _kept(column, scale)] = output[:, :, _inside(row, scale), _inside(column, scale)]
    return result


def _inside(span: Span, scale: int) -> slice:
    """The kept part of a tile's output, in the tile's own pixels."""
    return slice(scale * (span.keep_start - span.start), scale * (span.keep_stop - span.start))


def _kept(span: Span, scale: int) -> slice:
    """Where it goes in the result."""
    return slice(scale * span.keep_start, scale * span.keep_stop)
