"""The test vectors of a kit for apps: those of `vectors` and `range_vectors` in the one form that its tiler has.

That takes any sizes between a smallest and a largest; a model of one size is one where both are the same.
"""

from collections.abc import Iterator
from typing import Any

from edgesr.kit.range_vectors import range_vector, range_vectors
from edgesr.kit.vectors import lengths, vectors
from edgesr.tensors import Size, SizeRule, one_of
from edgesr.tiling import LARGEST_SIDE, Tiling, choose_tiling

_RULES = (
    SizeRule(minimum=Size(height=16, width=24), maximum=Size(height=16, width=24)),
    SizeRule(minimum=Size(height=64, width=64), maximum=Size(height=512, width=300)),
    SizeRule(minimum=Size(height=1, width=1), maximum=Size(height=4096, width=4096)),
    one_of((Size(height=64, width=96), Size(height=256, width=128), Size(height=96, width=64))),
)
"""Sizes that models take, besides the app's own."""


def app_vectors(*, sizes: SizeRule, tiling: Tiling, tile: Size) -> dict[str, Any]:
    """The vectors as JSON holds them, some at the sizes and tiles that the app will use, the same each time.

    tile: the largest one with its margins.
    """
    shared, ranges = vectors(tile=tile, overlap=tiling.overlap), range_vectors()
    return {
        "spans": [*map(_of_one_size, shared["spans"]), *ranges["ranges"], *_own(sizes, tiling, tile)],
        "plans": [_plan(size, rule) for rule in (*_RULES, sizes) for size in _around(rule)],
        **{kind: shared[kind] for kind in ("reflections", "samples", "lumas", "alphas")},
        "mosaics": [*map(_mosaic_of_one_size, shared["mosaics"]), *ranges["rangeMosaics"]],
    }


def taken_whole(sizes: SizeRule) -> tuple[SizeRule, ...]:
    """The same sizes, each rule a smallest and a largest one with all between."""
    return tuple(one_of((size,)) for size in sizes.choices) or (sizes,)


def _of_one_size(span: dict[str, Any]) -> dict[str, Any]:
    """A plan with one window as one with any between two that are the same."""
    window = span["window"]
    stops = [start + window for start in span["starts"]]
    return {**_without(span, "window"), "least": window, "most": window, "tile": 1, "stops": stops}


def _mosaic_of_one_size(mosaic: dict[str, Any]) -> dict[str, Any]:
    size = [mosaic["tileHeight"], mosaic["tileWidth"]]
    return {**_without(mosaic, "tileHeight", "tileWidth"), "minimum": size, "maximum": size, "tile": 1}


def _without(vector: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in vector.items() if name not in names}


def _own(sizes: SizeRule, tiling: Tiling, tile: Size) -> Iterator[dict[str, Any]]:
    """Plans of a range; those of one size are in `vectors`."""
    if sizes.is_range and sizes.maximum:
        low, high = sizes.minimum, sizes.maximum
        for least, most, window in ((low.height, high.height, tile.height), (low.width, high.width, tile.width)):
            yield from (range_vector(each, least, most, tiling) for each in lengths(window, tiling.overlap) if each >= least)


def _around(rule: SizeRule) -> list[Size]:
    """Sizes at the ends of what a rule takes, next to them, and at the largest area that is run whole.

    Without those below a range, which `edgesr upscale` refuses: an app continues such pictures.
    """
    ends = {size for each in taken_whole(rule) for size in (each.minimum, each.maximum) if size}
    near = {Size(height=end.height + dy, width=end.width + dx) for end in ends for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    whole = Size(height=LARGEST_SIDE, width=LARGEST_SIDE)
    large = {whole, Size(height=whole.height, width=whole.width + 1), Size(height=2 * whole.height, width=whole.width // 2)}
    least = rule.minimum if rule.is_range else Size(height=1, width=1)
    return sorted(size for size in near | large if size.height >= least.height and size.width >= least.width)


def _plan(size: Size, rule: SizeRule) -> dict[str, Any]:
    """Whether a picture of the size is run whole."""
    taken = [
        [low.height, low.width, high.height, high.width]
        for low, high in ((each.minimum, each.maximum) for each in taken_whole(rule))
        if high
    ]
    return {"height": size.height, "width": size.width, "taken": taken, "isWhole": choose_tiling(size, rule) is None}
