"""Each evaluated operator against what coremltools itself infers for constants, over the attributes that it has."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Case = tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]

MAP = (1, 4, 6, 5)
LINES = (2, 3, 4)


def _unary(name: str, **attributes: Any) -> Case:
    return lambda mb, x: getattr(mb, name)(x=x, **attributes), (LINES,)


def _binary(name: str, right: tuple[int, ...] = (3, 1)) -> Case:
    return lambda mb, x, y: getattr(mb, name)(x=x, y=y), (LINES, right)


def _compared(name: str) -> Case:
    return lambda mb, x, y: mb.cast(x=getattr(mb, name)(x=x, y=y), dtype="fp32"), (LINES, LINES)


def _positive(name: str, **attributes: Any) -> Case:
    return lambda mb, x: getattr(mb, name)(x=mb.add(x=mb.square(x=x), y=np.float32(0.1)), **attributes), (LINES,)


def _of(name: str, given: tuple[int, ...], **attributes: Any) -> Case:
    return lambda mb, x: getattr(mb, name)(x=x, **attributes), (given,)


def _factors(*shape: int) -> np.ndarray:
    return np.linspace(0.5, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape)


UNARY = ("abs", "ceil", "cos", "erf", "exp", "floor", "identity", "relu", "relu6", "sigmoid", "sin", "square", "tanh")
BINARY = ("add", "floor_div", "maximum", "minimum", "mul", "real_div", "sub")
COMPARISONS = ("equal", "greater", "greater_equal", "less", "less_equal", "not_equal")

CASES: dict[str, Case] = {
    **{name: _unary(name) for name in UNARY},
    **{name: _binary(name) for name in BINARY},
    **{name: _compared(name) for name in COMPARISONS},
    "add of one number": _binary("add", (1,)),
    "add of a constant": (lambda mb, x: mb.add(x=x, y=np.float32(0.7)), (LINES,)),
    "pow": (lambda mb, x, y: mb.pow(x=mb.abs(x=x), y=y), (LINES, (4,))),
    "sqrt": _positive("sqrt"),
    "rsqrt": _positive("rsqrt"),
    "rsqrt with epsilon": _positive("rsqrt", epsilon=np.float32(0.5)),
    "inverse": _positive("inverse"),
    "inverse with epsilon": _positive("inverse", epsilon=np.float32(0.5)),
    "clip": _unary("clip", alpha=np.float32(-0.3), beta=np.float32(0.6)),
    "leaky_relu": _unary("leaky_relu", alpha=np.float32(0.2)),
    "prelu": _of("prelu", MAP, alpha=_factors(4)),
    "gelu": _unary("gelu"),
    "gelu by tanh": _unary("gelu", mode="TANH_APPROXIMATION"),
    "gelu by sigmoid": _unary("gelu", mode="SIGMOID_APPROXIMATION"),
    "softmax": _unary("softmax"),
    "softmax over rows": _unary("softmax", axis=1),
    "select": (lambda mb, x, y: mb.select(cond=mb.less(x=x, y=y), a=x, b=y), (LINES, LINES)),
    "logical": (
        lambda mb, x, y: mb.cast(
            x=mb.logical_or(
                x=mb.logical_and(x=mb.less(x=x, y=y), y=mb.greater(x=x, y=np.float32(0))),
                y=mb.logical_not(x=mb.less(x=y, y=np.float32(0))),
            ),
            dtype="fp32",
        ),
        (LINES, LINES),
    ),
    "cast to whole numbers": (
        lambda mb, x: mb.cast(x=mb.cast(x=mb.mul(x=x, y=np.float32(9)), dtype="int32"), dtype="fp32"),
        (LINES,),
    ),
    "layer_norm over channels": _of("layer_norm", MAP, axes=[1], gamma=_factors(4), beta=-_factors(4)),
    "layer_norm over rows": _of("layer_norm", LINES, axes=[-1], gamma=_factors(4), beta=-_factors(4), epsilon=np.float32(0.1)),
    "layer_norm over two axes": _of("layer_norm", LINES, axes=[1, 2], gamma=_factors(3, 4), beta=_factors(3, 4)),
    "layer_norm alone": _of("layer_norm", LINES, axes=[-1]),
    "reduce_mean": _of("reduce_mean", MAP, axes=[2, 3], keep_dims=True),
    "reduce_mean without axes": _of("reduce_mean", MAP, axes=[-1, 1]),
    "reduce_sum": _of("reduce_sum", MAP, axes=[1], keep_dims=True),
    "reduce_max": _of("reduce_max", MAP, axes=[-1]),
    "reshape": _of("reshape", MAP, shape=[2, -1, 5]),
    "reshape that keeps sides": _of("reshape", MAP, shape=[0, 0, -1, 3]),
    "transpose": _of("transpose", MAP, perm=[0, 2, 3, 1]),
    "transpose, from the end": _of("transpose", MAP, perm=[0, -1, 1, -2]),
    "expand_dims": _of("expand_dims", LINES, axes=[0, -1]),
    "squeeze": _of("squeeze", (1, 3, 1, 4), axes=[0]),
    "squeeze of all": _of("squeeze", (1, 3, 1, 4)),
    "tile": _of("tile", LINES, reps=[2, 1, 3]),
    "split in equal parts": (lambda mb, x: mb.split(x=x, num_splits=2, axis=1), (MAP,)),
    "split": (lambda mb, x: mb.split(x=x, split_sizes=[1, 3, 2], axis=-2), (MAP,)),
    "concat": (lambda mb, x, y: mb.concat(values=[x, y], axis=-1), (LINES, LINES)),
    "stack": (lambda mb, x, y: mb.stack(values=[x, y], axis=1), (LINES, LINES)),
    "slice_by_size": _of("slice_by_size", MAP, begin=[0, 1, -4, 0], size=[1, 2, 3, -1]),
    "slice_by_index": _of("slice_by_index", MAP, begin=[0, 1, 1, -3], end=[1, 3, -1, 5]),
    "slice_by_index in steps": _of("slice_by_index", MAP, begin=[0, 0, 1, 0], end=[1, 4, 6, 5], stride=[1, 3, 2, 2]),
    "slice_by_index backwards": _of(
        "slice_by_index", MAP, begin=[0, 3, 0, 4], end=[1, 0, 6, 0], stride=[1, -1, 1, -2], end_mask=[False, True, False, False]
    ),
    "slice_by_index with masks": _of(
        "slice_by_index",
        MAP,
        begin=[0, 2, 3, 3],
        end=[0, 2, 0, 4],
        begin_mask=[True, False, True, False],
        end_mask=[True, False, True, False],
        squeeze_mask=[False, True, False, False],
    ),
    "gather": (lambda mb, x: mb.gather(x=x, indices=[2, 0, 2], axis=1), (LINES,)),
    "gather of a table": (lambda mb, x: mb.gather(x=x, indices=[[1, 0], [2, 2]], axis=-2), (LINES,)),
    "gather of one": (lambda mb, x: mb.gather(x=x, indices=np.int32(1), axis=0), (LINES,)),
    "pad": _of("pad", MAP, pad=[0, 0, 1, 2, 0, 1, 3, 0], mode="constant", constant_val=np.float32(0.5)),
    "pad of the last axes": _of("pad", MAP, pad=[1, 2, 3, 4], mode="constant"),
    "pad by reflection": _of("pad", MAP, pad=[2, 3, 4, 1], mode="reflect"),
    "pad by the edge": _of("pad", MAP, pad=[2, 3, 0, 1], mode="replicate"),
    "matmul": (lambda mb, x, y: mb.matmul(x=x, y=y), ((2, 3, 4), (4, 5))),
    "matmul transposed": (
        lambda mb, x, y: mb.matmul(x=x, y=y, transpose_x=True, transpose_y=True),
        ((2, 1, 4, 3), (5, 6, 4)),
    ),
    "linear": (lambda mb, x: mb.linear(x=x, weight=_factors(5, 4), bias=_factors(5)), (LINES,)),
    "einsum": (lambda mb, x, y: mb.einsum(values=[x, y], equation="nchw,nwhu->nchu"), ((2, 3, 4, 5), (1, 5, 4, 6))),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_does_what_coremltools_infers(workshop: Any, name: str) -> None:
    build, shapes = CASES[name]
    random = np.random.default_rng(7)
    inputs = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    expected = workshop.inferred(build, *inputs)
    actual = workshop.evaluated(build, *inputs)
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


NEWER: dict[str, tuple[str, Case]] = {
    "reshape that keeps sides from the end": ("iOS17", _of("reshape", (2, 50), shape=[1, 0, -1, 0])),
    "gather": ("iOS17", (lambda mb, x: mb.gather(x=x, indices=np.array([2, 0], np.uint16), axis=1), (LINES,))),
    "slice_by_index": (
        "iOS17",
        _of("slice_by_index", LINES, begin=np.array([0, 1, 1], np.int16), end=np.array([2, 3, 4], np.int16)),
    ),
    "scaled_dot_product_attention": (
        "iOS18",
        (
            lambda mb, q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
            ((1, 2, 4, 3), (1, 2, 5, 3), (1, 2, 5, 6)),
        ),
    ),
    "scaled_dot_product_attention with a mask": (
        "iOS18",
        (
            lambda mb, q, k, v, mask: mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=mask),
            ((1, 2, 4, 3), (1, 2, 5, 3), (1, 2, 5, 6), (4, 5)),
        ),
    ),
}


@pytest.mark.parametrize("name", NEWER)
def test_a_newer_operator_does_what_coremltools_infers(workshop: Any, name: str) -> None:
    target, (build, shapes) = NEWER[name]
    random = np.random.default_rng(8)
    inputs = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    (expected,) = workshop.inferred(build, *inputs, target=target)
    (actual,) = workshop.evaluated(build, *inputs, target=target)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
