"""Tables that repeat smaller ones: as constants of a package, or as operations on the smaller ones.

ESC's position biases are 4 tables of 1024×1024 numbers a block that follow from 63×63 each. Written out they make the file large;
coremltools would write them out, for it computes whatever follows from constants.
"""

import contextlib
import importlib
import math
from collections.abc import Iterator
from typing import Any

import onnx

from edgesr.errors import ExportError

LARGEST = 2**16
"""Up to how many numbers a repeated table is written out even in a compact package."""
MOST = 2**28
"""Up to how many numbers all of them may have that are written out: half a gigabyte, computed several times."""


@contextlib.contextmanager
def compact_tables() -> Iterator[None]:
    """While a program is built and converted, leave large repetitions of constants, and what follows from them, as operations.

    coremltools has an option that keeps it from storing what it has computed, but would still compute it at every step of the
    conversion and hold it: 15 GB for ESC-XL. Here it is not told the value of a repetition, which any operator may refuse.
    """
    operator = importlib.import_module("coremltools.converters.mil.mil.ops.defs.iOS15.tensor_operation").tile
    infer = operator.value_inference

    def refuse(repetition: Any) -> Any:
        if is_large(repetition.x.shape, repetition.reps.val):
            raise NotImplementedError("the table stays an operation")
        return infer(repetition)

    operator.value_inference = refuse
    try:
        yield
    finally:
        operator.value_inference = infer


def check_written_out(graph: onnx.GraphProto) -> None:
    """Raise ExportError when the tables that repeat smaller ones are too many numbers for a file."""
    shapes = {each.name: [side.dim_value for side in each.type.tensor_type.shape.dim] for each in graph.value_info}
    numbers = sum(math.prod(shapes[node.output[0]]) for node in graph.node if node.op_type == "Tile") // 2  # half is cut away
    if numbers > MOST:
        raise ExportError(
            f"written out, the position biases of this network take {2 * numbers / 1e9:.1f} GB in half precision",
            hint="Leave them compact: without --tables constant.",
        )


def is_large(shape: Any, repetitions: Any) -> bool:
    """Whether the repetition of a table of this shape is left to the program."""
    return math.prod(int(side) for side in shape) * math.prod(int(number) for number in repetitions) > LARGEST
