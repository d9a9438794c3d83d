"""A function of a package, run operation by operation, every result checked against its declared shape and type."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgesr.errors import ArtifactError
from edgesr.pages import keep_pages
from edgesr.runtimes._mil import linear, movement, pointwise, weights
from edgesr.runtimes._mil.program import Constant, Function, Operation, Value
from edgesr.runtimes._mil.registry import OPERATORS

Rounding = Literal["none", "declared"]
"""Whether the results that the file declares in half precision are rounded to it."""

_KINDS = (linear, movement, pointwise, weights)
"""Imported for what they register."""
_LISTS = frozenset({"values"})
"""Parameters that take several values."""
_FLOATS = ("FLOAT16", "FLOAT32")
_OPERANDS = ("x", "values", "a", "query")
"""What an operator calls the operand whose type its result has."""
_MOVES = frozenset(
    [
        "concat",
        "depth_to_space",
        "expand_dims",
        "gather",
        "pad",
        "pixel_shuffle",
        "reshape",
        "slice_by_index",
        "slice_by_size",
        "split",
        "squeeze",
        "stack",
        "tile",
        "transpose",
        "upsample_nearest_neighbor",
    ]
)
"""Operators whose results hold nothing but numbers of their operands, which are rounded already."""


class Evaluator:
    """Runs a function. The weights that are stored compressed are taken apart once."""

    def __init__(self, function: Function, *, rounding: Rounding) -> None:
        """Raises ArtifactError for an unknown operator, a value that nothing makes, or types that do not fit."""
        unknown = sorted({each.kind for each in function.operations} - OPERATORS.keys())
        if unknown:
            raise ArtifactError(f"the package uses operators that are not evaluated: {', '.join(unknown)}")
        _check(function)
        keep_pages()
        self._function = function
        self._rounding = rounding
        self._half = torch.empty(0, dtype=torch.half)
        self._results = frozenset(function.outputs)
        constants = {name: _tensor(value) for name, value in function.constants.items()}
        operations = []
        for each in function.operations:
            if each.kind.startswith("constexpr_"):
                self._run(each, constants)
            else:
                operations.append(each)
        self._operations = tuple(operations)
        self._uses = Counter(name for each in operations for name in set(each.reads))
        self._constants = {name: value for name, value in constants.items() if name in self._uses or name in self._results}

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs by name -> outputs by name, all float32; an image's numbers are 0 to 255.

        Raises ArtifactError where a result has not the shape or type that the file declares.
        """
        values: dict[str, Tensor | str] = dict(self._constants)
        for given in self._function.inputs:
            image = torch.from_numpy(np.array(feeds[given.name], dtype=np.float32))
            values[given.name] = self._rounded(self._checked(image, given, "the input"), given)
        left = Counter(self._uses)
        with torch.inference_mode():
            for each in self._operations:
                self._run(each, values)
                left.subtract(set(each.reads))
                for name in (*each.reads, *(output.name for output in each.outputs)):
                    if not left[name] and name not in self._results and name not in self._constants:
                        values.pop(name, None)  # so that what is alive is what a runtime would keep alive
        return {name: np.asarray(values[name]) for name in self._function.outputs}

    def _run(self, each: Operation, values: dict[str, Tensor | str]) -> None:
        """Compute one operation's results into `values`."""
        arguments: dict[str, Any] = {}
        for key, found in each.inputs.items():
            read = [values[one] if isinstance(one, str) else _tensor(one) for one in found]
            arguments[key] = tuple(read) if key in _LISTS else read[0]
        try:
            results = OPERATORS[each.kind](**arguments)
        except (TypeError, ValueError, RuntimeError, IndexError, NotImplementedError) as error:
            raise ArtifactError(f"operation {each.kind} {each.outputs[0].name} cannot be evaluated: {error}") from error
        found_all = (results,) if isinstance(results, Tensor) else tuple(results)
        if len(found_all) != len(each.outputs):
            raise ArtifactError(
                f"operation {each.kind} {each.outputs[0].name} has {len(found_all)} results, not {len(each.outputs)}"
            )
        for result, declared in zip(found_all, each.outputs, strict=True):
            checked = self._checked(result, declared, each.kind)
            values[declared.name] = checked if each.kind in _MOVES else self._rounded(checked, declared, _storages(arguments))

    def _checked(self, result: Tensor, declared: Value, kind: str) -> Tensor:
        """The result; raises ArtifactError where it has not the declared shape or kind of number."""
        fitting = len(result.shape) == len(declared.shape) and all(
            side in (-1, length) for length, side in zip(result.shape, declared.shape, strict=True)
        )
        if not fitting:
            shapes = f"{'x'.join(map(str, result.shape))}, not {'x'.join(map(str, declared.shape))}"
            raise ArtifactError(f"{kind} {declared.name} has the shape {shapes} as the file declares")
        floating, truth = declared.dtype in _FLOATS, declared.dtype == "BOOL"
        if floating != result.is_floating_point() or truth != (result.dtype == torch.bool):
            raise ArtifactError(f"{kind} {declared.name} is {result.dtype}, not {declared.dtype} as the file declares")
        return result

    def _rounded(self, result: Tensor, declared: Value, others: frozenset[int] = frozenset()) -> Tensor:
        """The result in its declared precision where that is asked for; in place unless it lies in one of the other storages.

        Through memory that is there already: fresh pages for every map would take longer than the rounding.
        """
        if self._rounding == "none" or declared.dtype != "FLOAT16":
            return result
        if result.untyped_storage().data_ptr() in others or not _dense(result):
            return result.half().float()
        if len(self._half) < result.numel():
            self._half = torch.empty(result.numel(), dtype=torch.half)
        return result.copy_(self._half.as_strided(result.shape, result.stride()).copy_(result))


def _storages(arguments: Mapping[str, Any]) -> frozenset[int]:
    """Where the operands lie."""
    read = [each for value in arguments.values() for each in (value if isinstance(value, tuple) else (value,))]
    return frozenset(each.untyped_storage().data_ptr() for each in read if isinstance(each, Tensor))


def _dense(x: Tensor) -> bool:
    """Whether each number of it has a place of its own, with none between them."""
    return x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last))


def _check(function: Function) -> None:
    """Raise ArtifactError where a value is read before it is made, or has another precision than what it is made of."""
    types = {name: str(value.dtype).upper() for name, value in function.constants.items() if not isinstance(value, str)}
    types |= {each.name: each.dtype for each in function.inputs}
    known = types.keys() | function.constants.keys()
    for each in function.operations:
        missing = sorted(set(each.reads) - known)
        if missing:
            raise ArtifactError(f"operation {each.kind} {each.outputs[0].name} reads what nothing makes: {', '.join(missing)}")
        read = [types.get(name) for key in _OPERANDS for name in each.inputs.get(key, ()) if isinstance(name, str)]
        for output in each.outputs:
            other = [dtype for dtype in read if dtype in _FLOATS and dtype != output.dtype]
            if other and output.dtype in _FLOATS and each.kind != "cast":
                raise ArtifactError(f"operation {each.kind} {output.name} is {output.dtype}, but made of {other[0]}")
            types[output.name] = output.dtype
            known.add(output.name)
    absent = sorted(set(function.outputs) - known)
    if absent:
        raise ArtifactError(f"function {function.name} returns what nothing makes: {', '.join(absent)}")


def _tensor(value: Constant) -> Tensor | str:
    """A constant as operators read it: floats as float32, whole numbers as int64, but for those of a byte, which are many."""
    if isinstance(value, str) or value.dtype.kind == "U":
        return str(value)
    if value.dtype.kind == "f":
        return torch.from_numpy(np.array(value, dtype=np.float32))
    wide = value.dtype.kind in "iu" and value.dtype.itemsize > 1
    return torch.from_numpy(np.array(value, dtype=np.int64 if wide else value.dtype))
