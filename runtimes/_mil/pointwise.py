"""Operators from each number to one: arithmetic, comparisons, activations; and normalisations and sums along axes."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from edgesr.runtimes._mil.registry import OPERATORS, flag, ints, number, operator, scalar

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
    "logical_and": torch.logical_and,
    "logical_not": torch.logical_not,
    "logical_or": torch.logical_or,
    "maximum": lambda x, y: torch.maximum(x, y),
    "minimum": lambda x, y: torch.minimum(x, y),
    "mul": lambda x, y: x * y,
    "not_equal": lambda x, y: x != y,
    "pow": lambda x, y: x**y,
    "real_div": lambda x, y: x / y,
    "relu": lambda x: x.clamp(min=0),
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sin": lambda x: x.sin(),
    "sqrt": lambda x: x.sqrt(),
    "square": lambda x: x * x,
    "sub": lambda x, y: x - y,
    "tanh": lambda x: x.tanh(),
}


@operator("cast")
def cast(x: Tensor, dtype: str) -> Tensor:
    """x as another type. Floats stay float32 here: the evaluation rounds them to what is declared."""
    kinds = {"fp16": torch.float32, "fp32": torch.float32, "int32": torch.int32, "bool": torch.bool}
    return x.to(kinds.get(dtype, torch.int32))


@operator("clip")
def clip(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """x between alpha and beta."""
    return x.clamp(scalar(alpha), scalar(beta))


@operator("gelu")
def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """x times the normal distribution's integral up to x, or one of its two approximations."""
    if mode == "EXACT":
        return x * (1 + torch.erf(x * math.sqrt(0.5))) / 2
    if mode == "TANH_APPROXIMATION":
        return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    return x * torch.sigmoid(1.702 * x)


@operator("leaky_relu")
def leaky_relu(x: Tensor, alpha: Tensor) -> Tensor:
    """x where it is not negative, else alpha·x."""
    return torch.where(x >= 0, x, x * scalar(alpha))


@operator("inverse")
def inverse(x: Tensor, epsilon: Tensor = number(1e-4)) -> Tensor:
    """1/(x + ε)."""
    return 1 / (x + scalar(epsilon))


@operator("rsqrt")
def rsqrt(x: Tensor, epsilon: Tensor = number(1e-12)) -> Tensor:
    """1/√(x + ε)."""
    return 1 / (x + scalar(epsilon)).sqrt()


@operator("select")
def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a where the condition holds, else b."""
    return torch.where(cond.bool(), a, b)


@operator("softmax")
def softmax(x: Tensor, axis: Tensor = number(-1)) -> Tensor:
    """e^x over its sum along the axis."""
    return x.softmax(dim=int(axis))


@operator("layer_norm")
def layer_norm(
    x: Tensor, axes: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: Tensor = number(1e-5)
) -> Tensor:
    """(x − mean)/√(variance + ε)·γ + β, with mean and variance over the axes."""
    along = sorted(axis % x.ndim for axis in ints(axes))
    spread = [x.shape[axis] if axis in along else 1 for axis in range(x.ndim)]
    apart = x - x.mean(dim=along, keepdim=True)
    y = apart / ((apart * apart).mean(dim=along, keepdim=True) + scalar(epsilon)).sqrt()
    y = y if gamma is None else y * gamma.reshape(spread)
    return y if beta is None else y + beta.reshape(spread)


def _over_all(x: Tensor, axes: Tensor | None) -> list[int]:
    return list(range(x.ndim)) if axes is None else ints(axes)


@operator("reduce_mean")
def reduce_mean(x: Tensor, axes: Tensor | None = None, keep_dims: Tensor = number(False)) -> Tensor:
    """The mean over the axes."""
    return x.mean(dim=_over_all(x, axes), keepdim=flag(keep_dims))


@operator("reduce_sum")
def reduce_sum(x: Tensor, axes: Tensor | None = None, keep_dims: Tensor = number(False)) -> Tensor:
    """The sum over the axes."""
    return x.sum(dim=_over_all(x, axes), keepdim=flag(keep_dims))


@operator("reduce_max")
def reduce_max(x: Tensor, axes: Tensor | None = None, keep_dims: Tensor = number(False)) -> Tensor:
    """The largest number over the axes."""
    return x.amax(dim=_over_all(x, axes), keepdim=flag(keep_dims))
