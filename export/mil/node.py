"""An ONNX node as the lowering sees it: its inputs already lowered, its attributes with the defaults of ONNX."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ExportError

Array = NDArray[Any]
Lowered = Any
"""A MIL variable, or an array for what is known already."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node. mb: coremltools' builder. name: of the MIL operations that it becomes. rewrite: whose module made it, or ""."""

    mb: Any
    kind: str
    name: str
    rewrite: str
    inputs: tuple[Lowered | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1

    @property
    def x(self) -> Lowered:
        """The first input, which every operator has."""
        return self.inputs[0]

    def input(self, index: int) -> Lowered | None:
        """The input, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def array(self, index: int, what: str) -> Array | None:
        """An input that must be known before the network runs; raises ExportError where it is not."""
        found = self.input(index)
        if found is None:
            return None
        if not isinstance(found, np.ndarray):
            raise self.refusal(f"its {what} follow from the picture")
        return found

    def ints(self, index: int, attribute: str = "") -> list[int] | None:
        """Whole numbers that stand in an input, or in an attribute (in older opsets); None where they are left out."""
        found = self.array(index, attribute or f"input {index}")
        if found is None:
            found = self.attributes.get(attribute)
        return None if found is None else [int(number) for number in np.asarray(found).reshape(-1)]

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute or its default."""
        return self.attributes.get(name, default)

    def only(self, name: str, default: Any, *supported: Any) -> Any:
        """An attribute that may have these values alone; raises ExportError for others."""
        value = self.attribute(name, default)
        if value not in supported:
            raise self.refusal(f"{name} is {value!r}, supported: {', '.join(map(repr, supported))}")
        return value

    def refusal(self, reason: str) -> ExportError:
        """The error that says which node cannot be lowered, and who made it."""
        made = f"made by the rewrite {self.rewrite}" if self.rewrite else "of the network as it was written"
        return ExportError(
            f"{self.kind} {self.name}, {made}, has no form in Core ML: {reason}",
            hint="See which rewrites apply: edgesr plan MODEL --target coreml",
        )


Lowering = Callable[[Node], Lowered | Sequence[Lowered]]

LOWERINGS: dict[str, Lowering] = {}


def lowers(*kinds: str) -> Callable[[Lowering], Lowering]:
    """Register a function for these operators."""

    def register(function: Lowering) -> Lowering:
        for kind in kinds:
            LOWERINGS[kind] = function
        return function

    return register


def rank(value: Lowered) -> int:
    """The number of axes."""
    return len(value.shape)
