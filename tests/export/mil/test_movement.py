"""What only moves numbers, and interpolation, as Core ML's operators and as ONNX Runtime computes them."""

from collections.abc import Callable

import numpy as np
import pytest

from edgesr.tensors import FloatArray

MAP = (1, 4, 7, 6)
FAR = np.iinfo(np.int64).max


def sliced(starts: list[int], ends: list[int], *more: list[int]) -> tuple[tuple[int, ...], str, dict[str, list[int]]]:
    names = ("s", "e", "a", "t")
    values = dict(zip(names, (starts, ends, *more), strict=False))
    return MAP, f"output = Slice (input, {', '.join(values)})", values


def padded(
    pads: list[int], *, mode: str = "constant", axes: list[int] | None = None, value: float | None = None
) -> tuple[tuple[int, ...], str, dict[str, object]]:
    constants: dict[str, object] = {"p": pads}
    inputs = "input, p"
    if value is not None:
        constants["v"] = np.float32(value)
        inputs += ", v"
    if axes is not None:
        constants["a"] = axes
        inputs += ", a" if value is not None else ", , a"
    return MAP, f'output = Pad <mode = "{mode}"> ({inputs})', constants


def resized(attributes: str, scales: list[float]) -> tuple[tuple[int, ...], str, dict[str, object]]:
    return MAP, f"output = Resize <{attributes}> (input, , s)", {"s": np.asarray(scales, dtype=np.float32)}


CASES = {
    "reshape": (MAP, "output = Reshape (input, s)", {"s": [2, 84]}),
    "reshape, a side that is kept and one that follows": (MAP, "output = Reshape (input, s)", {"s": [0, 2, 2, -1]}),
    "reshape, where no side could be kept": (MAP, "output = Reshape <allowzero = 1> (input, s)", {"s": [2, 84]}),
    "transpose": (MAP, "output = Transpose <perm = [0, 2, 3, 1]> (input)", {}),
    "transpose, reversed": (MAP, "output = Transpose (input)", {}),
    "transpose, five axes": ((2, 3, 4, 5, 2), "output = Transpose <perm = [4, 0, 3, 1, 2]> (input)", {}),
    "squeeze": ((1, 4, 1, 3), "output = Squeeze (input)", {}),
    "squeeze, axes": ((1, 4, 1, 3), "output = Squeeze (input, a)", {"a": [-2]}),
    "unsqueeze": ((4, 3), "output = Unsqueeze (input, a)", {"a": [0, 2]}),
    "unsqueeze, axes from the end": ((4, 3), "output = Unsqueeze (input, a)", {"a": [-1, 1]}),
    "concat": (MAP, "output = Concat <axis = 1> (input, input)", {}),
    "concat, axis from the end": (MAP, "output = Concat <axis = -1> (input, input, input)", {}),
    "concat with a constant": (MAP, "output = Concat <axis = 1> (c, input)", {"c": np.ones((1, 2, 7, 6), np.float32)}),
    "concat of one": (MAP, "output = Concat <axis = 0> (input)", {}),
    "split": (MAP, "a, output = Split <axis = 1> (input, s)", {"s": [1, 3]}),
    "split, equal parts": (MAP, "a, b, output = Split <axis = 3, num_outputs = 3> (input)", {}),
    "split, the last part smaller": (MAP, "a, b, output = Split <axis = -2, num_outputs = 3> (input)", {}),
    "split in one": (MAP, "output = Split <axis = 1, num_outputs = 1> (input)", {}),
    "slice": sliced([0, 1], [1, 3]),
    "slice, axes": sliced([2, 1], [5, 4], [2, 3]),
    "slice, to the end": sliced([2], [FAR], [-1]),
    "slice, from the end": sliced([-4], [-1], [2]),
    "slice, steps": sliced([1, 0], [6, FAR], [2, 3], [2, 3]),
    "slice, beyond": sliced([-99], [99], [2]),
    "gather, one": (MAP, "output = Gather <axis = 1> (input, i)", {"i": np.int64(2)}),
    "gather, one from the end": (MAP, "output = Gather <axis = 2> (input, i)", {"i": np.int64(-1)}),
    "gather, some in a row": (MAP, "output = Gather <axis = 3> (input, i)", {"i": [1, 2, 3]}),
    "gather, some": (MAP, "output = Gather <axis = 1> (input, i)", {"i": [3, 0, -2]}),
    "gather, a table of them": (MAP, "output = Gather <axis = -1> (input, i)", {"i": [[5, 0], [1, 1]]}),
    "gather, the first axis": ((3, 4), "output = Gather (input, i)", {"i": [2, 0]}),
    "expand": ((1, 4, 1), "output = Expand (input, s)", {"s": [3, 4, 5]}),
    "expand, more axes": ((4, 1), "output = Expand (input, s)", {"s": [2, 1, 4, 3]}),
    "expand by less than there is": (MAP, "output = Expand (input, s)", {"s": [1, 1]}),
    "tile": (MAP, "output = Tile (input, r)", {"r": [1, 2, 1, 3]}),
    "pad": padded([0, 0, 1, 2, 0, 0, 3, 0]),
    "pad, a number": padded([0, 1, 0, 2, 0, 0, 3, 0], value=0.5),
    "pad, axes": padded([1, 2, 0, 3], axes=[3, 1]),
    "pad, axes from the end and a number": padded([2, 1], axes=[-1], value=-1.0),
    "pad, nothing": padded([0] * 8),
    "pad by reflection": padded([0, 0, 1, 2, 0, 0, 3, 0], mode="reflect"),
    "pad by reflection, one axis": padded([0, 3], mode="reflect", axes=[3]),
    "pad by reflection, other axes": padded([2, 1, 1, 3], mode="reflect", axes=[1, 2]),
    "pad by the edge": padded([0, 0, 2, 2, 0, 0, 2, 2], mode="edge"),
    "pad by the edge, other axes": padded([2, 0, 1, 4], mode="edge", axes=[3, 1]),
    "depth to space": (MAP, "output = DepthToSpace <blocksize = 2> (input)", {}),
    "depth to space, PyTorch's order": ((1, 18, 2, 3), 'output = DepthToSpace <blocksize = 3, mode = "CRD"> (input)', {}),
    "depth to space, the other order": ((1, 18, 2, 3), 'output = DepthToSpace <blocksize = 3, mode = "DCR"> (input)', {}),
    **{
        f"resize, {mode}, {centres}, {scales}": resized(
            f'mode = "{mode}", coordinate_transformation_mode = "{centres}"{more}', [1, 1, *scales]
        )
        for scales in ([2, 3], [4, 1])
        for mode, centres, more in (
            ("linear", "half_pixel", ""),
            ("linear", "pytorch_half_pixel", ""),
            ("nearest", "half_pixel", ""),
            ("nearest", "asymmetric", ', nearest_mode = "floor"'),
        )
    },
    "resize to a size": (
        MAP,
        'output = Resize <mode = "linear"> (input, , , s)',
        {"s": [1, 4, 14, 18]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_saved_package_computes_what_onnx_runtime_does(name: str, outputs: dict[str, tuple[FloatArray, FloatArray]]) -> None:
    expected, actual = outputs[name]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6, strict=True)


REFUSED = {
    "backwards": (sliced([5], [0], [2], [-1]), "its step is -1, supported: 1 and more"),
    "a negative pad": (padded([0, 0, -1, 0, 0, 0, 0, 0]), "it cuts where it should continue"),
    "a round pad": (padded([0, 0, 1, 0, 0, 0, 0, 0], mode="wrap"), "mode is 'wrap', supported: 'constant', 'reflect', 'edge'"),
    "three reflections": (padded([0, 1, 1, 1] * 2, mode="reflect"), "reflect padding of 3 axes, supported: two at most"),
    "an empty side": (
        (MAP, "output = Reshape <allowzero = 1> (input, s)", {"s": [0, 84]}),
        "its shape [0, 84] has an empty side",
    ),
    "bicubic": (resized('mode = "cubic"', [1, 1, 2, 2]), "mode is 'cubic', supported: 'nearest', 'linear'"),
    "corners": (
        resized('mode = "linear", coordinate_transformation_mode = "align_corners"', [1, 1, 2, 2]),
        "coordinate_transformation_mode is 'align_corners', supported: ",
    ),
    "the nearest from corners": (
        resized('mode = "nearest", coordinate_transformation_mode = "asymmetric"', [1, 1, 3, 3]),
        "nearest_mode is 'round_prefer_floor', supported: 'floor'",
    ),
    "reduction": (resized('mode = "linear"', [1, 1, 0.5, 0.5]), "it scales by [1.0, 1.0, 0.5, 0.5], supported: height and width"),
    "other axes": (resized('mode = "nearest"', [1, 2, 1, 1]), "supported: height and width of a map by whole factors"),
    "computed indices": (
        ((4, 4), "j = Cast <to = 7> (input)\noutput = Gather (input, j)", {}),
        "Cast culprit_0, of the network as it was written, has no form in Core ML: no operator of ONNX but these is lowered",
    ),
    "a shape that follows from the picture": (((2, 2), "output = Reshape (input, input)", {}), "its input 1 follow"),
    "more axes than Core ML has": (
        ((1, 2, 3, 4), "output = Reshape (input, s)", {"s": [1, 2, 1, 3, 2, 2]}),
        "it has 6 axes, supported: 5 at most",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_said(name: str, refused: Callable[..., str]) -> None:
    case, reason = REFUSED[name]
    assert reason in refused(case)
