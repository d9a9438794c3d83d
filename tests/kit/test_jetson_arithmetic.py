"""The arithmetic of the kit's runner in Python against the vectors, and planted faults, which the vectors must find."""

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesr.kit.range_vectors import range_vectors
from edgesr.kit.vectors import vectors
from edgesr.tensors import Size
from jetson_kit import pixels, tiles
from jetson_kit.errors import KitError

Floats = NDArray[np.float32]


@dataclass
class Planted:
    """The vectors' network: the pixel below, the one opposite of it in the tile, and 3x + 5y, modulo 256."""

    minimum: tiles.Size
    maximum: tiles.Size
    scale: int
    seen: list[Floats] = field(default_factory=list)

    def run(self, image: Floats) -> Floats:
        self.seen.append(image)
        both = (image + image[:, :, ::-1, ::-1]).repeat(self.scale, axis=2).repeat(self.scale, axis=3)
        y, x = np.indices(both.shape[2:])
        return ((np.rint(both * 255).astype(np.int64) + 3 * x + 5 * y) % 256).astype(np.float32) / np.float32(255)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return {**vectors(tile=Size(height=40, width=48), overlap=4), **range_vectors()}


def plan(code: Any, length: int, least: int, most: int, tile: int, overlap: int) -> list[tuple[int, ...]]:
    found = code.spans(length, least, most, code.Tiling(tile, overlap))
    return [(span.start, span.stop, span.keep_start, span.keep_stop) for span in found]


def window_agrees(code: Any, v: dict[str, Any]) -> bool:
    found = plan(code, v["length"], v["window"], v["window"], v["window"], v["overlap"])
    return [(start, *keep) for start, _, *keep in found] == list(zip(v["starts"], v["keepStarts"], v["keepStops"], strict=True))


def range_agrees(code: Any, v: dict[str, Any]) -> bool:
    found = plan(code, v["length"], v["least"], v["most"], v["tile"], v["overlap"])
    return found == list(zip(v["starts"], v["stops"], v["keepStarts"], v["keepStops"], strict=True))


def plan_agrees(code: Any, v: dict[str, Any]) -> bool:
    network = Planted(tiles.Size(*v["minimum"]), tiles.Size(*v["maximum"]), 1)
    tiling = code.choose_tiling(
        tiles.Size(*v["size"]), network, radius=v["radius"], tile=v["askedTile"], overlap=v["askedOverlap"]
    )
    return (tiling or (None, None)) == (v["tile"], v["overlap"])


def reflection_agrees(code: Any, v: dict[str, Any]) -> bool:
    size = tiles.Size(1, len(v["places"]))
    network = Planted(size, size, 1)
    code.upscaled(network, np.tile(np.arange(v["count"], dtype=np.float32), (1, 3, 1, 1)), code.Tiling(1, 0))
    return network.seen[0][0, 0, 0].tolist() == v["places"]


def luma_agrees(code: Any, v: dict[str, Any]) -> bool:
    colour = code.to_unit(np.array([[v["red"]], [v["green"]], [v["blue"]]], np.uint8))
    return code.to_samples(code.luma(colour)).tolist() == [v["luma"]]


def grey_agrees(code: Any, v: dict[str, Any]) -> bool:
    output = np.array([v["red"], v["green"], v["blue"]], np.float32).reshape(1, 3, 1, 1)
    large = code.samples_of(output, np.zeros((1, 1, 1), np.uint8), 1)
    return (
        bool(np.floor(np.clip(code.luma(output[0]), 0, 1) * np.float32(65535) + np.float32(0.5)) == v["deep"])
        and large == v["sample"]
    )


def alpha_agrees(code: Any, v: dict[str, Any]) -> bool:
    alpha = np.array(v["alpha"], np.uint8).reshape(v["height"], v["width"])
    return code.to_samples(code.enlarged(code.to_unit(alpha), v["scale"])).ravel().tolist() == v["enlarged"]


def mosaic_agrees(code: Any, v: dict[str, Any]) -> bool:
    least, most = (v.get(end, [v.get("tileHeight"), v.get("tileWidth")]) for end in ("minimum", "maximum"))
    network = Planted(tiles.Size(*least), tiles.Size(*most), v["scale"])
    samples = np.array(v["samples"], np.uint8).reshape(v["height"], v["width"], 3)
    output = code.upscaled(network, pixels.picture_of(samples), code.Tiling(v.get("tile", 1), v["overlap"]))
    return pixels.samples_of(output, samples, v["scale"]).ravel().tolist() == v["result"]


KINDS: dict[str, tuple[str, Callable[[Any, dict[str, Any]], bool]]] = {
    "spans": ("tiles", window_agrees),
    "ranges": ("tiles", range_agrees),
    "plans": ("tiles", plan_agrees),
    "reflections": ("tiles", reflection_agrees),
    "mosaics": ("tiles", mosaic_agrees),
    "rangeMosaics": ("tiles", mosaic_agrees),
    "samples": ("pixels", lambda code, v: int(code.to_samples(np.float32(v["value"]))) == v["sample"]),
    "lumas": ("pixels", luma_agrees),
    "greys": ("pixels", grey_agrees),
    "alphas": ("pixels", alpha_agrees),
}
"""Kind -> the file that it is about, and whether a vector of it agrees. The deep ones are of 16 bits, which C++ alone reads."""


def differing(module: str, code: Any, made: dict[str, Any]) -> list[str]:
    """The kinds of vectors with which the file does not agree, or at which it fails."""

    def agree(kind: str, agrees: Callable[[Any, dict[str, Any]], bool]) -> bool:
        try:
            return all(agrees(code, vector) for vector in made[kind])
        except (ValueError, IndexError):
            return False

    return [kind for kind, (about, agrees) in KINDS.items() if about == module and not agree(kind, agrees)]


@pytest.mark.parametrize("module", ["tiles", "pixels"])
def test_it_gives_what_edgesr_gives(made: dict[str, Any], module: str) -> None:
    assert KINDS.keys() | {"deepSamples", "deepAlphas"} == made.keys()
    assert differing(module, {"tiles": tiles, "pixels": pixels}[module], made) == []


@pytest.mark.parametrize(
    ("module", "right", "wrong", "kinds"),
    [
        ("tiles", "step = window - 2 * tiling.overlap", "step = window - tiling.overlap", {"spans", "ranges", "mosaics"}),
        ("tiles", "length - 2 * tiling.overlap, step)", "length, step)", {"spans", "ranges"}),
        ("tiles", "min(starts[-1], length - least)", "starts[-1]", {"spans", "ranges", "mosaics"}),
        ("tiles", "max(tiling.tile + 2 * tiling.overlap, least)", "max(tiling.tile, least)", {"ranges"}),
        ("tiles", "(start + stop) // 2", "(start + stop + 1) // 2", {"spans", "mosaics"}),
        ("tiles", 'mode="reflect"', 'mode="symmetric"', {"reflections", "mosaics"}),
        ("tiles", "side // 4", "side // 2", {"plans"}),
        ("tiles", "else max(size) <= tile", "else min(size) <= tile", {"plans"}),
        ("tiles", "tile // ALIGNMENT * ALIGNMENT or tile", "tile", {"plans"}),
        ("pixels", "+ np.float32(0.5))", ")", {"samples", "alphas"}),
        ("pixels", "np.clip(values, 0, 1)", "np.clip(values, -1, 1)", {"samples"}),
        ("pixels", "np.float32(0.587) * green", "0.587 * green.astype(np.float64)", {"greys"}),
        ("pixels", "(-0.5 * x + 2.5)", "(-0.75 * x + 2.5)", {"alphas"}),
        ("pixels", "np.arange(length)[::-1]", "np.arange(length)", {"alphas"}),
        ("pixels", "/ scale - 0.5", "/ scale", {"alphas"}),
    ],
)
def test_the_vectors_find_what_is_planted(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch, module: str, right: str, wrong: str, kinds: set[str]
) -> None:
    original = {"tiles": tiles, "pixels": pixels}[module]
    source = Path(str(original.__file__)).read_text(encoding="utf-8")
    assert right in source
    code = types.ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", code)  # dataclasses look their module up
    exec(compile(source.replace(right, wrong), "planted", "exec"), code.__dict__)  # noqa: S102  # our own file, with a fault
    assert kinds <= set(differing(module, code, made))


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(KitError, match="NaN"):
        pixels.to_samples(np.array([0.5, np.nan], np.float32))
