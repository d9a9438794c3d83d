"""The evaluated operators by their name in the file, and how they read their arguments.

An operator is a function of tensors by the operator's own parameter names, with Core ML's defaults; the reference is Apple's
documentation of the MIL operators. Floats come as float32, whatever the file declares; the evaluation rounds what they return.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Operator = Callable[..., Tensor | Sequence[Tensor]]

OPERATORS: dict[str, Operator] = {}

ONE, ZERO, LAST = torch.tensor(1), torch.tensor(0), torch.tensor(-1)
YES, NO = torch.tensor(True), torch.tensor(False)
EPSILON = torch.tensor(1e-5)
"""Defaults, as they would come from the file."""


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Register a function under these names."""

    def register(function: Operator) -> Operator:
        for name in names:
            OPERATORS[name] = function
        return function

    return register


def ints(values: Tensor) -> list[int]:
    """A constant vector's numbers."""
    return [int(value) for value in values.reshape(-1)]


def scalar(value: Tensor) -> float:
    """A constant's number."""
    return float(value.reshape(()))


def flag(value: Tensor) -> bool:
    """A constant's truth value."""
    return bool(value.reshape(()))
