"""Operators from each number to one: arithmetic, comparisons, activations; and normalisations and sums along axes."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from edgesr.runtimes._mil.registry import EPSILON, LAST, NO, OPERATORS, flag, ints, operator, scalar

OPERATORS |= {
    "abs": lambda x: x.abs(),
    "add": lambda x, y: x + y,
    "ceil": lambda x: x.ceil(),
    "cos": lambda x: x.cos(),
    "equal": lambda x, y: x == y,
    "erf": lambda x: x.erf(),
    "exp": lambda x: x.exp(),
    "floor": lambda x: x.floor(),
    "floor_div": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y,
    "identity": lambda x: x,
    "less": lambda x, y: x < y,
    "less_equal": lambda x, y: x <= y,
    "logical_and": lambda x, y: torch.logical_and(x, y),
    "logical_not": lambda x: torch.logical_not(x),
    "logical_or": lambda x, y: torch.logical_or(x, y),
    "maximum": lambda x, y: torch.maximum(x, y),
    "minimum": lambda x, y: torch.minimum(x, y),
    "mul": lambda x, y: x * y,
    "not_equal": lambda x, y: x != y,
    "pow": lambda x, y: x**y,
    "real_div": lambda x, y: x / y,
    "relu": lambda x: x.clamp(min=0),
    "relu6": lambda x: x.clamp(0, 6),
    "sigmoid": lambda x: torch.sigmoid(x),
    "silu": lambda x: F.silu(x),
    "sin": lambda x: x.sin(),
    "sqrt": lambda x: x.sqrt(),
    "square": lambda x: x * x,
    "sub": lambda x, y: x - y,
    "tanh": lambda x: x.tanh(),
}


@operator("cast")
def cast(x: Tensor, dtype: str) -> Tensor:
    """`x` as another type. Floats stay float32 here: the evaluation rounds them to what is declared."""
    if dtype not in _CASTS:
        raise NotImplementedError(f"cast to {dtype}")
    return x.to(_CASTS[dtype])


_CASTS = {"fp16": torch.float32, "fp32": torch.float32, "bool": torch.bool}
_CASTS |= dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16"), torch.int64)


@operator("clip")
def clip(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """`x` between alpha and beta."""
    return x.clamp(scalar(alpha), scalar(beta))


@operator("gelu")
def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """`x` times the normal distribution's integral up to x, or one of its two approximations."""
    if mode == "EXACT":
        return x * (1 + torch.erf(x * math.sqrt(0.5))) / 2
    if mode == "TANH_APPROXIMATION":
        return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    raise NotImplementedError(f"gelu by {mode}")


@operator("leaky_relu")
def leaky_relu(x: Tensor, alpha: Tensor) -> Tensor:
    """`x` where it is not negative, else alpha·x."""
    return torch.where(x >= 0, x, x * scalar(alpha))


_OF_INVERSE, _OF_RSQRT = torch.tensor(1e-4), torch.tensor(1e-12)


@operator("inverse")
def inverse(x: Tensor, epsilon: Tensor = _OF_INVERSE) -> Tensor:
    """1/(x + ε)."""
    return 1 / (x + scalar(epsilon))


@operator("rsqrt")
def rsqrt(x: Tensor, epsilon: Tensor = _OF_RSQRT) -> Tensor:
    """1/√(x + ε)."""
    return 1 / (x + scalar(epsilon)).sqrt()


@operator("select")
def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """`a` where the condition holds, else b."""
    return torch.where(cond.bool(), a, b)


@operator("softmax")
def softmax(x: Tensor, axis: Tensor = LAST) -> Tensor:
    """e^x over its sum along the axis."""
    return x.softmax(dim=int(axis))


@operator("prelu")
def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """`x` (B,C,…) where it is positive, else α of its channel times x."""
    return torch.where(x > 0, x, x * _of_channels(alpha, x))


@operator("layer_norm")
def layer_norm(
    x: Tensor,
    axes: Tensor | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor = EPSILON,
) -> Tensor:
    """(x − mean)/√(variance + ε)·γ + β, with mean and variance over the axes, whose lengths are γ's and β's shape."""
    along = sorted(axis % x.ndim for axis in _over_all(x, axes))
    y = _normalised(x, along, epsilon)
    for factor in (gamma, beta):
        if factor is not None and list(factor.shape) != [x.shape[axis] for axis in along]:
            raise ValueError(f"γ or β {tuple(factor.shape)} for the axes {along} of {tuple(x.shape)}")
    spread = [x.shape[axis] if axis in along else 1 for axis in range(x.ndim)]
    y = y if gamma is None else y * gamma.reshape(spread)
    return y if beta is None else y + beta.reshape(spread)


@operator("instance_norm")
def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: Tensor = EPSILON) -> Tensor:
    """`x` (B,C,…): as layer_norm over the places of each channel, γ and β for each channel."""
    y = _normalised(x, list(range(2, x.ndim)), epsilon)
    y = y if gamma is None else y * _of_channels(gamma, x)
    return y if beta is None else y + _of_channels(beta, x)


@operator("batch_norm")
def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor = EPSILON,
) -> Tensor:
    """`x` (B,C,…): (x − mean)/√(variance + ε)·γ + β, all of them for each channel."""
    y = (x - _of_channels(mean, x)) / (_of_channels(variance, x) + scalar(epsilon)).sqrt()
    y = y if gamma is None else y * _of_channels(gamma, x)
    return y if beta is None else y + _of_channels(beta, x)


def _normalised(x: Tensor, along: list[int], epsilon: Tensor) -> Tensor:
    apart = x - x.mean(dim=along, keepdim=True)
    return apart / ((apart * apart).mean(dim=along, keepdim=True) + scalar(epsilon)).sqrt()


def _of_channels(values: Tensor, x: Tensor) -> Tensor:
    """A number for each channel, to be broadcast over x (B,C,…)."""
    return values.reshape(1, x.shape[1], *[1] * (x.ndim - 2))


def _over_all(x: Tensor, axes: Tensor | None) -> list[int]:
    return list(range(x.ndim)) if axes is None else ints(axes)


@operator("reduce_mean")
def reduce_mean(x: Tensor, axes: Tensor | None = None, keep_dims: Tensor = NO) -> Tensor:
    """The mean over the axes."""
    return x.mean(dim=_over_all(x, axes), keepdim=flag(keep_dims))


@operator("reduce_sum")
def reduce_sum(x: Tensor, axes: Tensor | None = None, keep_dims: Tensor = NO) -> Tensor:
    """The sum over the axes."""
    return x.sum(dim=_over_all(x, axes), keepdim=flag(keep_dims))


@operator("reduce_max")
def reduce_max(x: Tensor, axes: Tensor | None = None, keep_dims: Tensor = NO) -> Tensor:
    """The largest number over the axes."""
    return x.amax(dim=_over_all(x, axes), keepdim=flag(keep_dims))
