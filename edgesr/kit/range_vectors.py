"""More test vectors, for runners that take a range of sizes, 16 bits and floating-point grey: those of `edgesr kit jetson`."""

from itertools import count, product
from typing import Any

import numpy as np

from edgesr.images import Picture, to_samples
from edgesr.kit.vectors import Planted, alpha_vector, anything, mosaic, values
from edgesr.model import Reach
from edgesr.tensors import FloatArray, Size, SizeRule
from edgesr.tiling import Tiling, choose_tiling, run_tiled
from edgesr.upscale import upscale_picture

_RANGES = ((1, 8), (3, 8), (8, 9), (5, 24))
"""Smallest and largest side of a tile."""

_TILINGS = ((1, 0), (4, 1), (6, 1), (6, 3), (20, 5), (8, 0))
"""Tiles and overlaps; those that leave nothing of a tile of one of the ranges are passed over."""

_PLANNED = (Size(height=1, width=1), Size(height=64, width=64), Size(height=180, width=320), Size(height=1080, width=1920))
_RULES = ((16, 16, 16, 16), (180, 320, 180, 320), (1, 1, 1024, 1024), (64, 64, 512, 512), (17, 17, 300, 2048), (1, 1, 4096, 4096))
_REACHES = (Reach(kind="global"), Reach(kind="local", radius=12), Reach(kind="local", radius=172))
_ASKED = ((None, None), (256, None), (None, 8), (100, 20))


def range_vectors() -> dict[str, Any]:
    """Vectors as JSON holds them, the same each time."""
    return {
        "ranges": [
            range_vector(length, least, most, Tiling(tile=tile, overlap=overlap))
            for (least, most), (tile, overlap) in product(_RANGES, _TILINGS)
            if min(max(tile + 2 * overlap, least), most) > 2 * overlap
            for length in range(least, 3 * most)
        ],
        "plans": [_plan(*case) for case in product(_PLANNED, _RULES, _REACHES, _ASKED)],
        "deepSamples": [
            {"value": float(value), "sample": int(to_samples(value)[()]), "deep": int(to_samples(value, depth=16)[()])}
            for value in np.concatenate([values(), _deep_halves()])
        ],
        "greys": _greys(),
        "deepAlphas": [
            {"peak": 65535, **alpha_vector(*shape, depth=16)} for shape in ((1, 1, 2), (3, 2, 4), (9, 7, 3), (6, 8, 2))
        ],
        "rangeMosaics": [
            _range_mosaic(size, low=low, high=high, tiling=Tiling(tile=tile, overlap=overlap), scale=scale)
            for size, low, high, tile, overlap, scale in (
                (Size(height=6, width=8), 1, 24, 4, 1, 2),
                (Size(height=13, width=30), 5, 9, 4, 2, 2),
                (Size(height=21, width=10), 8, 8, 4, 1, 3),
                (Size(height=9, width=17), 3, 100, 6, 3, 4),
            )
        ],
    }


def range_vector(length: int, least: int, most: int, tiling: Tiling) -> dict[str, Any]:
    """The plan along one axis of at least `least` pixels, read off what runs. The other axis is just long enough for one tile."""
    tile, tiles = 2 * tiling.overlap + 1, count()
    sizes = SizeRule(minimum=Size(height=tile, width=least), maximum=Size(height=tile, width=most))
    network = Planted(function=lambda image: np.full_like(image, next(tiles)), scale=1, sizes=sizes)
    ruler = np.tile(np.arange(length, dtype=np.float32), (1, 3, tile, 1))
    numbers = run_tiled(network, ruler, tiling)[0, 0, 0]
    cuts = [0, *(int(place) + 1 for place in np.flatnonzero(np.diff(numbers))), length]
    return {
        "length": length,
        "least": least,
        "most": most,
        "tile": tiling.tile,
        "overlap": tiling.overlap,
        "starts": [int(image[0, 0, 0, 0]) for image in network.seen],
        "stops": [int(image[0, 0, 0, -1]) + 1 for image in network.seen],
        "keepStarts": cuts[:-1],
        "keepStops": cuts[1:],
    }


def _plan(size: Size, rule: tuple[int, int, int, int], reach: Reach, asked: tuple[int | None, int | None]) -> dict[str, Any]:
    """Whether a picture is run whole (a tile of None), or in which tiles."""
    low, high = rule[:2], rule[2:]
    sizes = SizeRule(minimum=Size(height=low[0], width=low[1]), maximum=Size(height=high[0], width=high[1]))
    tiling = choose_tiling(size, sizes, reach=reach, tile=asked[0], overlap=asked[1])
    return {
        "size": [size.height, size.width],
        "minimum": list(low),
        "maximum": list(high),
        "radius": reach.radius,
        "askedTile": asked[0],
        "askedOverlap": asked[1],
        "tile": tiling.tile if tiling else None,
        "overlap": tiling.overlap if tiling else None,
    }


def _deep_halves() -> FloatArray:
    """Values between two samples of 16 bits, and the numbers next to them."""
    halves = ((np.random.default_rng(2).integers(0, 65535, 200) + 0.5) / 65535).astype(np.float32)
    return np.concatenate([halves, *(np.nextafter(halves, np.float32(side), dtype=np.float32) for side in (0, 1))])


def _greys() -> list[dict[str, Any]]:
    """Grey pictures of which the network makes any colours: the luma's samples of 8 and 16 bits.

    Among them are such at which it shows that products are rounded before they are added up, which compilers like to skip.
    """
    corners = np.array(np.meshgrid([-0.1, 0, 0.5, 1, 1.2], [0, 1], [0, 0.25, 1]), np.float32).reshape(3, -1)
    random = np.random.default_rng(4).random((3, 20000), np.float32)
    products = np.array([[0.299], [0.587], [0.114]], np.float32) * random.astype(np.float64)
    rough, exact = (to_samples(each.sum(axis=0).astype(np.float32), depth=16) for each in (products.astype(np.float32), products))
    shows = random[:, rough != exact][:, :40]
    colours = np.concatenate([corners, random[:, :60], shows], axis=1)
    network = Planted(function=lambda _: colours[None, :, None], scale=1, sizes=anything())
    grey, _ = upscale_picture(network, Picture(rgb=np.zeros((1, 3, 1, colours.shape[1]), np.float32), grey=True))
    samples = {name: to_samples(grey.rgb[0, 0, 0], depth=depth).tolist() for name, depth in (("sample", 8), ("deep", 16))}
    return [
        {"red": r, "green": g, "blue": b, "sample": samples["sample"][place], "deep": samples["deep"][place]}
        for place, (r, g, b) in enumerate(colours.T.astype(float).tolist())
    ]


def _range_mosaic(size: Size, *, low: int, high: int, tiling: Tiling, scale: int) -> dict[str, Any]:
    """A picture in tiles of any size between two, through the mosaic network."""
    sizes = SizeRule(minimum=Size(height=low, width=low), maximum=Size(height=high, width=high))
    return {
        "minimum": [low, low],
        "maximum": [high, high],
        "tile": tiling.tile,
        "overlap": tiling.overlap,
        **mosaic(size, sizes, tiling, scale),
    }
