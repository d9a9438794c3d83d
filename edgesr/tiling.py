"""A large picture in tiles: each is run with a margin around it and only its inside is kept.

Margins are kept, not blended: where the network sees no further than the margin the result is the untiled one, and where it
sees further blending would hide the error instead of lessening it. Tiles start at multiples of the tile size, so that the
windows of window attention lie as in the whole picture when the tile is a multiple of the window. `edgesr upscale --check-seams`
measures what is left.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgesr.errors import SizeError, UsageError
from edgesr.metrics import psnr
from edgesr.model import Reach
from edgesr.progress import Progress, silent
from edgesr.runtime import Session
from edgesr.tensors import FloatArray, Size, SizeRule, size_of

DEFAULT_OVERLAP = 32
"""Input pixels of margin where the model's reach is not known or is the whole picture."""

LARGEST_SIDE = 1024
"""A picture of more than LARGEST_SIDE² pixels is cut into tiles that are, margins included, no larger than that square."""

_ALIGNMENT = 96
"""A multiple of every family's attention window (8, 16, 32 and 48 pixels)."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Tiles of `tile`×`tile` input pixels, each run with `overlap` more pixels on every side."""

    tile: int
    overlap: int

    def __post_init__(self) -> None:
        if self.tile < 1 or self.overlap < 0:
            raise UsageError(
                f"a tile of {self.tile} pixels with an overlap of {self.overlap} is none",
                hint="Both are input pixels: a tile of 1 or more, an overlap of 0 or more.",
            )


@dataclass(frozen=True, kw_only=True)
class SeamReport:
    """How far the tiled result is from the untiled one, of a peak of 1: the largest difference, and PSNR in dB."""

    max_abs: float
    psnr_db: float


@dataclass(frozen=True, kw_only=True)
class _Span:
    """One tile along one axis, in input pixels: the network reads [start, stop), and [keep_start, keep_stop) is kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def choose_tiling(
    size: Size, sizes: SizeRule, *, reach: Reach | None = None, tile: int | None = None, overlap: int | None = None
) -> Tiling | None:
    """How to cut a picture of `size`, or None to run it whole.

    Whole unless a tile is asked for that is smaller than the picture, or the picture has more than LARGEST_SIDE² pixels or
    does not fit the session. The overlap is, unless given, the radius of a local `reach`, so that nothing changes, and else
    DEFAULT_OVERLAP; but at most a quarter of the largest square that may run. Raises UsageError for a tile or an overlap
    that is none.
    """
    choices, sizes = sizes.choices, sizes.of_tiles
    limit = sizes.maximum
    side = min(LARGEST_SIDE, limit.height, limit.width) if limit else LARGEST_SIDE
    if overlap is None:
        radius = reach.radius if reach and reach.kind == "local" else None
        overlap = min(DEFAULT_OVERLAP if radius is None else radius, side // 4)
    fits = not limit or (size.height <= limit.height and size.width <= limit.width)
    if sizes.fixed:
        fits = size in (choices or (sizes.fixed,))
    small = size.height * size.width <= LARGEST_SIDE**2 if tile is None else max(size.height, size.width) <= tile
    if tile is None:
        tile = max(side - 2 * overlap, 1)
        tile = tile // _ALIGNMENT * _ALIGNMENT or tile
    tiling = Tiling(tile=tile, overlap=overlap)
    return None if fits and small else tiling


def count_tiles(size: Size, sizes: SizeRule, tiling: Tiling) -> int:
    """How many runs the session has to do; raises as `run_tiled`."""
    rows, columns = _grid(size, sizes, tiling)
    return len(rows) * len(columns)


def run_tiled(session: Session, image: FloatArray, tiling: Tiling, *, progress: Progress = silent) -> FloatArray:
    """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW), not clamped, one tile at a time.

    No tile is smaller than the session takes. A session of one fixed size, or of a maximum, sets the size of the tiles, margins
    included; a picture smaller than the fixed size is mirrored to the right and below to fill it. Raises SizeError for a
    picture below the session's minimum, or an overlap that leaves nothing of a tile.
    """
    size, scale = size_of(image), session.scale
    rows, columns = _grid(size, session.sizes, tiling)
    if fixed := session.sizes.of_tiles.fixed:
        image = _mirrored(image, fixed)
    result = np.empty((image.shape[0], 3, scale * size.height, scale * size.width), np.float32)
    tiles = [(row, column) for row in rows for column in columns]
    for done, (row, column) in enumerate(tiles):
        progress("upscaling", done, len(tiles))
        output = session.run(np.ascontiguousarray(image[:, :, row.start : row.stop, column.start : column.stop]))
        result[:, :, _kept(row, scale), _kept(column, scale)] = output[:, :, _inside(row, scale), _inside(column, scale)]
    progress("upscaling", len(tiles), len(tiles))
    return result


def seam_error(session: Session, image: FloatArray, tiled: FloatArray) -> SeamReport:
    """Run `image` (N,3,H,W) whole and compare; raises SizeError when the session cannot take it whole."""
    session.sizes.check(size_of(image))
    whole = session.run(image)
    return SeamReport(max_abs=float(np.max(np.abs(whole - tiled))), psnr_db=psnr(whole, tiled))


def _grid(size: Size, sizes: SizeRule, tiling: Tiling) -> tuple[list[_Span], list[_Span]]:
    """The tiles' rows and columns."""
    sizes = sizes.of_tiles
    least, most = sizes.minimum, sizes.maximum
    if not sizes.fixed and (size.height < least.height or size.width < least.width):
        sizes.check(size)
    rows = _spans(size.height, least.height, most.height if most else None, tiling)
    columns = _spans(size.width, least.width, most.width if most else None, tiling)
    return rows, columns


def _spans(length: int, least: int, most: int | None, tiling: Tiling) -> list[_Span]:
    """Tiles along an axis of `length` pixels, each of at least `least` and at most `most` pixels with its margins."""
    window = max(tiling.tile + 2 * tiling.overlap, least)
    window = min(window, most) if most else window
    step = window - 2 * tiling.overlap
    if step < 1:
        raise SizeError(
            f"an overlap of {tiling.overlap} pixels on every side leaves nothing of a tile of {window}",
            hint=f"Ask for less: --overlap {(window - 1) // 2} at most.",
        )
    starts = [0, *range(step, length - 2 * tiling.overlap, step)] if length > window else [0]
    # The last one is what is left, moved back where that is less than the session takes.
    starts[-1] = max(0, min(starts[-1], length - least))
    stops = [max(least, min(start + window, length)) for start in starts]
    cuts = [0, *((start + stop) // 2 for start, stop in zip(starts[1:], stops, strict=False)), length]
    return [
        _Span(start=start, stop=stop, keep_start=keep_start, keep_stop=keep_stop)
        for start, stop, (keep_start, keep_stop) in zip(starts, stops, pairwise(cuts), strict=True)
    ]


def _mirrored(image: FloatArray, size: Size) -> FloatArray:
    """The picture, at least as large as `size`, filled with its reflection to the right and below."""
    missing = (max(0, size.height - image.shape[2]), max(0, size.width - image.shape[3]))
    return np.pad(image, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), mode="reflect")


def _inside(span: _Span, scale: int) -> slice:
    """The kept part of a tile's output, in the tile's own pixels."""
    return slice(scale * (span.keep_start - span.start), scale * (span.keep_stop - span.start))


def _kept(span: _Span, scale: int) -> slice:
    """Where it goes in the result."""
    return slice(scale * span.keep_start, scale * span.keep_stop)
