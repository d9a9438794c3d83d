"""Arithmetic, activations, normalisations and sums, as Core ML's operators and as ONNX Runtime computes them."""

from collections.abc import Callable

import numpy as np
import pytest

from edgesr.tensors import FloatArray


def noise(*shape: int) -> FloatArray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


MAP = (1, 4, 7, 6)

CASES = {
    "identity": (MAP, "output = Identity (input)", {}),
    "sigmoid": (MAP, "output = Sigmoid (input)", {}),
    **{
        f"{kind.lower()}, a number": (MAP, f"output = {kind} (input, c)", {"c": np.float32(1.5)})
        for kind in ("Add", "Div", "Mul", "Sub")
    },
    **{
        f"{kind.lower()}, a constant for each channel": (MAP, f"output = {kind} (input, c)", {"c": noise(4, 1, 1)})
        for kind in ("Add", "Div", "Mul", "Sub")
    },
    **{
        f"{kind.lower()}, of a constant": (MAP, f"p = Sigmoid (input)\noutput = {kind} (c, p)", {"c": noise(1, 4, 1, 6)})
        for kind in ("Add", "Div", "Mul", "Sub")
    },
    **{
        f"{kind.lower()}, computed and repeated": (
            MAP,
            f"p = Sigmoid (input)\nm = ReduceMean (p, axes)\noutput = {kind} (input, m)",
            {"axes": [2, 3]},
        )
        for kind in ("Add", "Div", "Mul", "Sub")
    },
    "add of the same": (MAP, "output = Add (input, input)", {}),
    "gelu": (MAP, "output = Gelu (input)", {}),
    "gelu, exact": (MAP, 'output = Gelu <approximate = "none"> (input)', {}),
    "gelu, by tanh": (MAP, 'output = Gelu <approximate = "tanh"> (input)', {}),
    "leaky relu": (MAP, "output = LeakyRelu (input)", {}),
    "leaky relu, alpha": (MAP, "output = LeakyRelu <alpha = 0.3> (input)", {}),
    "softmax": (MAP, "output = Softmax (input)", {}),
    "softmax, an axis": (MAP, "output = Softmax <axis = 1> (input)", {}),
    "softmax, an axis from the end": (MAP, "output = Softmax <axis = -2> (input)", {}),
    "layer normalisation": ((3, 5), "output = LayerNormalization (input, g, b)", {"g": noise(5), "b": noise(5)}),
    "layer normalisation without biases": ((3, 5), "output = LayerNormalization <epsilon = 0.1> (input, g)", {"g": noise(5)}),
    "layer normalisation of a map": (MAP, "output = LayerNormalization (input, g, b)", {"g": noise(6), "b": noise(6)}),
    "layer normalisation of channels": (
        MAP,
        "t = Transpose <perm = [0, 2, 3, 1]> (input)\nn = LayerNormalization <axis = 3> (t, g, b)\n"
        "output = Transpose <perm = [0, 3, 1, 2]> (n)",
        {"g": noise(4), "b": noise(4)},
    ),
    "layer normalisation, two axes": (MAP, "output = LayerNormalization <axis = -2> (input, g)", {"g": noise(7, 6)}),
    "layer normalisation, one weight": (MAP, "output = LayerNormalization <axis = 2> (input, g)", {"g": noise(1)}),
    **{
        f"mean, {axes}{', kept' if keep else ''}": (
            MAP,
            f"output = ReduceMean <keepdims = {keep}> (input, axes)",
            {"axes": np.asarray(axes, dtype=np.int64)},
        )
        for axes in ([2, 3], [-1], [0, 1])
        for keep in (0, 1)
    },
    "mean of everything": (MAP, "output = ReduceMean (input)", {}),
    "mean of nothing": (
        MAP,
        "output = ReduceMean <noop_with_empty_axes = 1> (input, axes)",
        {"axes": np.zeros(0, dtype=np.int64)},
    ),
    "mean, no axes": (MAP, "output = ReduceMean (input, axes)", {"axes": np.zeros(0, dtype=np.int64)}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_saved_package_computes_what_onnx_runtime_does(name: str, outputs: dict[str, tuple[FloatArray, FloatArray]]) -> None:
    expected, actual = outputs[name]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5, strict=True)


REFUSED = {
    "another activation": ((MAP, "output = Mish (input)", {}), "no operator of ONNX but these is lowered: Add, Concat,"),
    "another domain": ((MAP, "output = com.microsoft.Gelu (input)", {}), "no operator of com.microsoft but these is lowered: "),
    "the statistics of a normalisation": (
        (MAP, "output, mean = LayerNormalization (input, g)", {"g": noise(6)}),
        "its mean and deviation are asked for, supported: the normalised map alone",
    ),
    "computed weights": (
        ((3, 3), "g = ReduceMean <keepdims = 0> (input, axes)\noutput = LayerNormalization (input, g)", {"axes": [0]}),
        "its weights follow from the picture",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_said(name: str, refused: Callable[..., str]) -> None:
    case, reason = REFUSED[name]
    assert reason in refused(case)


def test_an_error_names_the_node_and_who_made_it(refused: Callable[..., str]) -> None:
    case: tuple[object, ...] = (MAP, "output = Mish (input)", {})
    assert refused(case).startswith("Mish culprit, of the network as it was written, has no form in Core ML: ")
    assert refused(case, rewrite="fourier-linear").startswith("Mish culprit, made by the rewrite fourier-linear, has no form")
