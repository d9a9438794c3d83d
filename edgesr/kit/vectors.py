"""Test vectors: what edgesr's own code gives, for an app's copy of its arithmetic to be compared with.

Everything is asked of the public functions that `edgesr upscale` runs, through networks that are made to show one thing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgesr.images import Picture, to_samples
from edgesr.tensors import FloatArray, Size, SizeRule
from edgesr.tiling import Tiling, run_tiled
from edgesr.upscale import upscale_picture

_PICTURE_SIDES = (720, 1080, 1920, 3024, 4032)
"""Of screens and phones' cameras."""

_SMALL_WINDOWS = ((1, 0), (7, 2), (8, 0), (8, 1), (8, 3), (24, 5))
"""Windows and overlaps, run over every length up to a few windows."""


@dataclass
class Planted:
    """A network given as a function; it keeps what it was given."""

    function: Callable[[FloatArray], FloatArray]
    scale: int
    sizes: SizeRule
    seen: list[FloatArray] = field(default_factory=list)

    def run(self, image: FloatArray) -> FloatArray:
        self.sizes.check(Size(height=image.shape[2], width=image.shape[3]))
        self.seen.append(image)
        return self.function(image)


def vectors(*, tile: Size, overlap: int) -> dict[str, Any]:
    """The vectors of all kinds as JSON holds them, some at the tile and overlap that the app will use, the same each time."""
    windows = [(tile.width, overlap)] if tile.width == tile.height else [(tile.height, overlap), (tile.width, overlap)]
    return {
        "spans": [
            *(_spans(length, window, margin) for window, margin in windows for length in lengths(window, margin)),
            *(_spans(length, window, margin) for window, margin in _SMALL_WINDOWS for length in range(1, 2 * window + 8)),
        ],
        "reflections": [_reflection(length) for length in (1, 2, 3, 5, 8)],
        "samples": [{"value": float(value), "sample": int(to_samples(value)[()])} for value in values()],
        "lumas": _lumas(),
        "alphas": [alpha_vector(*shape) for shape in ((1, 1, 2), (3, 1, 4), (2, 5, 3), (9, 7, 2), (12, 6, 4))],
        "mosaics": [
            _mosaic(Size(height=height, width=width), overlap=margin, scale=scale)
            for height, width, margin, scale in (
                (6, 8, 1, 2),
                (1, 1, 1, 2),
                (2, 3, 1, 3),
                (17, 9, 2, 2),
                (13, 30, 1, 2),
                (6, 9, 0, 4),
                (3, 19, 2, 3),
            )
        ],
    }


def lengths(window: int, overlap: int) -> list[int]:
    """Lengths around every change of the plan, and those of real pictures."""
    step = window - 2 * overlap
    edges = [1, 2, window, window + 1, window + step, 2 * window, window + 2 * step]
    around = {edge + near for edge in edges for near in (-1, 0, 1)}
    return sorted(length for length in {*around, *_PICTURE_SIDES} if length > 0)


def _spans(length: int, window: int, overlap: int) -> dict[str, Any]:
    """The plan along one axis, read off what runs: where each tile starts, and which pixels of the result are its own."""
    tile, tiles = Size(height=2 * overlap + 1, width=window), count()
    network = Planted(function=lambda image: np.full_like(image, next(tiles)), scale=1, sizes=only(tile))
    ruler = np.tile(np.arange(length, dtype=np.float32), (1, 3, 2 * overlap + 1, 1))
    numbers = run_tiled(network, ruler, Tiling(tile=window, overlap=overlap))[0, 0, 0]
    cuts = [0, *(int(place) + 1 for place in np.flatnonzero(np.diff(numbers))), length]
    return {
        "length": length,
        "window": window,
        "overlap": overlap,
        "starts": [int(image[0, 0, 0, 0]) for image in network.seen],
        "keepStarts": cuts[:-1],
        "keepStops": cuts[1:],
    }


def _reflection(length: int) -> dict[str, Any]:
    """Which pixels a picture of `length` pixels is filled up with."""
    network = Planted(function=lambda image: image, scale=1, sizes=only(Size(height=1, width=4 * length + 3)))
    run_tiled(network, np.tile(np.arange(length, dtype=np.float32), (1, 3, 1, 1)), Tiling(tile=1, overlap=0))
    return {"count": length, "places": [int(place) for place in network.seen[0][0, 0, 0]]}


def values() -> FloatArray:
    """Halves between all samples and their neighbours, the ends, values outside, and random ones."""
    halves = ((np.arange(255) + 0.5) / 255).astype(np.float32)
    near = [np.nextafter(halves, np.float32(side), dtype=np.float32) for side in (0, 1)]
    ends = np.array([-3e38, -1, -1e-9, -0.0, 0, 1e-9, 1, 1.0000001, 2, 3e38], np.float32)
    return np.concatenate([ends, halves, *near, np.random.default_rng(0).random(64, dtype=np.float32)])


def _lumas() -> list[dict[str, int]]:
    """Grey pictures come back from a network of colours as luma: each colour through a network that changes nothing."""
    corners = np.array([[r, g, b] for r in (0, 1, 255) for g in (0, 1, 255) for b in (0, 1, 255)])
    colours = np.concatenate([corners, np.random.default_rng(1).integers(0, 256, (101, 3))])
    rgb = unit(colours.T[None, :, None])
    grey, _ = upscale_picture(Planted(function=lambda image: image, scale=1, sizes=anything()), Picture(rgb=rgb, grey=True))
    lumas = to_samples(grey.rgb[0, 0, 0])
    return [
        {"red": int(r), "green": int(g), "blue": int(b), "luma": int(luma)}
        for (r, g, b), luma in zip(colours, lumas, strict=True)
    ]


def alpha_vector(width: int, height: int, scale: int, *, depth: Literal[8, 16] = 8) -> dict[str, Any]:
    """Random alpha, and clear next to opaque, where the cubic kernel overshoots."""
    peak = 2**depth - 1
    alpha = np.random.default_rng(width).integers(0, peak + 1, (height, width))
    alpha[:, ::3], alpha[::2, 1:2] = peak, 0
    network = Planted(function=lambda image: repeated(image, scale), scale=scale, sizes=anything())
    picture = Picture(rgb=np.zeros((1, 3, height, width), np.float32), alpha=unit(alpha, peak))
    enlarged, _ = upscale_picture(network, picture)
    assert enlarged.alpha is not None
    return {
        "width": width,
        "height": height,
        "scale": scale,
        "alpha": alpha.ravel().tolist(),
        "enlarged": to_samples(enlarged.alpha, depth=depth).ravel().tolist(),
    }


def _mosaic(size: Size, *, overlap: int, scale: int) -> dict[str, Any]:
    """A picture through the mosaic network, in tiles of one size."""
    tile = Size(height=6, width=8)
    return {
        "tileWidth": tile.width,
        "tileHeight": tile.height,
        "overlap": overlap,
        **mosaic(size, only(tile), Tiling(tile=1, overlap=overlap), scale),
    }


def mosaic(size: Size, sizes: SizeRule, tiling: Tiling, scale: int) -> dict[str, Any]:
    """A picture in tiles through a network in which every pixel of a tile shows, and where it lies in the tile.

    It adds up the pixel below, the one opposite of it in the tile, and 3x + 5y, modulo 256.
    """

    def run(image: FloatArray) -> FloatArray:
        large = np.rint(repeated(image + image[:, :, ::-1, ::-1], scale) * 255).astype(np.int64)
        y, x = np.indices(large.shape[2:])
        return unit((large + 3 * x + 5 * y) % 256)

    colours = np.random.default_rng(size.width).integers(0, 256, (1, 3, size.height, size.width))
    result = run_tiled(Planted(function=run, scale=scale, sizes=sizes), unit(colours), tiling)
    return {
        "width": size.width,
        "height": size.height,
        "scale": scale,
        "samples": colours[0].transpose(1, 2, 0).ravel().tolist(),
        "result": to_samples(result[0].transpose(1, 2, 0)).ravel().tolist(),
    }


def only(size: Size) -> SizeRule:
    """One size alone."""
    return SizeRule(minimum=size, maximum=size)


def anything() -> SizeRule:
    """Every size."""
    return SizeRule(minimum=Size(height=1, width=1))


def unit(samples: NDArray[np.integer[Any]], peak: int = 255) -> FloatArray:
    """Samples from 0 to `peak` -> [0,1]."""
    return samples.astype(np.float32) / np.float32(peak)


def repeated(image: FloatArray, scale: int) -> FloatArray:
    """(N,C,H,W) -> (N,C,sH,sW), each pixel repeated."""
    return image.repeat(scale, axis=2).repeat(scale, axis=3)
