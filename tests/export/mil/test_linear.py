"""Convolutions and products of matrices, as Core ML's operators and as ONNX Runtime computes them."""

from collections.abc import Callable

import numpy as np
import pytest

from edgesr.tensors import FloatArray


def noise(*shape: int) -> FloatArray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


MAP = (1, 4, 7, 6)

CASES = {
    "conv": (MAP, "output = Conv (input, w)", {"w": noise(5, 4, 3, 2)}),
    "conv with a bias": (MAP, "output = Conv (input, w, b)", {"w": noise(5, 4, 1, 1), "b": noise(5)}),
    "conv, four unlike pads": (MAP, "output = Conv <pads = [1, 2, 3, 0]> (input, w)", {"w": noise(3, 4, 3, 3)}),
    "conv, strides": (MAP, "output = Conv <strides = [2, 3]> (input, w)", {"w": noise(3, 4, 2, 3)}),
    "conv, dilations": (MAP, "output = Conv <dilations = [2, 1], pads = [2, 1, 2, 1]> (input, w)", {"w": noise(3, 4, 3, 3)}),
    "conv, groups": (MAP, "output = Conv <group = 2, pads = [1, 1, 1, 1]> (input, w)", {"w": noise(6, 2, 3, 3)}),
    "conv, depthwise": (
        MAP,
        "output = Conv <group = 4, pads = [1, 1, 1, 1]> (input, w, b)",
        {"w": noise(4, 1, 3, 3), "b": noise(4)},
    ),
    "conv, explicitly not padded": (MAP, 'output = Conv <auto_pad = "VALID"> (input, w)', {"w": noise(2, 4, 2, 2)}),
    "conv over one axis": ((2, 3, 9), "output = Conv <pads = [2, 1], strides = [2]> (input, w)", {"w": noise(4, 3, 3)}),
    "conv, computed weight": (
        (1, 2, 5, 5),
        "w = Slice (input, zero, three, rows)\nk = Slice (w, zero, three, columns)\n"
        "output = Conv <pads = [1, 1, 1, 1]> (input, k)",
        {"zero": [0], "three": [3], "rows": [2], "columns": [3]},
    ),
    "conv, computed bias": (
        (1, 4, 5, 5),
        "m = ReduceMean <keepdims = 0> (input, axes)\nb = Reshape (m, flat)\noutput = Conv (input, w, b)",
        {"axes": [2, 3], "flat": [4], "w": noise(4, 4, 1, 1)},
    ),
    "matmul by a matrix, two axes": ((5, 4), "output = MatMul (input, w)", {"w": noise(4, 3)}),
    "matmul by a matrix, three axes": ((2, 5, 4), "output = MatMul (input, w)", {"w": noise(4, 3)}),
    "matmul by a matrix, a map": ((1, 5, 6, 4), "output = MatMul (input, w)", {"w": noise(4, 3)}),
    "matmul by a matrix, a map with biases": (
        (1, 5, 6, 4),
        "y = MatMul (input, w)\noutput = Add (y, b)",
        {"w": noise(4, 3), "b": noise(3)},
    ),
    "matmul by a matrix, five axes": ((1, 2, 5, 6, 4), "output = MatMul (input, w)", {"w": noise(4, 3)}),
    "matmul of a constant": ((2, 4, 5), "output = MatMul (w, input)", {"w": noise(3, 4)}),
    "matmul by matrices": ((2, 5, 4), "output = MatMul (input, w)", {"w": noise(2, 4, 3)}),
    "matmul of what is computed": (
        (1, 3, 5, 4),
        "t = Transpose <perm = [0, 1, 3, 2]> (input)\noutput = MatMul (input, t)",
        {},
    ),
    "matmul, repeated over an axis": (
        (2, 3, 5, 5),
        "m = ReduceMean (input, axes)\noutput = MatMul (m, input)",
        {"axes": [1]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_saved_package_computes_what_onnx_runtime_does(name: str, outputs: dict[str, tuple[FloatArray, FloatArray]]) -> None:
    expected, actual = outputs[name]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5, strict=True)


REFUSED = {
    "padding by ONNX": (
        (MAP, 'output = Conv <auto_pad = "SAME_UPPER"> (input, w)', {"w": noise(2, 4, 3, 3)}),
        "'NOTSET', 'VALID'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_said(name: str, refused: Callable[..., str]) -> None:
    case, reason = REFUSED[name]
    assert reason in refused(case)
