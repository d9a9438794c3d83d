"""Tables that repeat smaller ones: as constants of a package, or as operations on the smaller ones.

ESC's position biases are 4 tables of 1024×1024 numbers a block that follow from 63×63 each. Written out they make the file large;
coremltools would write them out, for it computes whatever follows from constants.
"""

import contextlib
import importlib
import math
from collections.abc import Iterator
from typing import Any

LARGEST = 2**16
"""Up to how many numbers a repeated table is written out even in a compact package."""


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


def is_large(shape: Any, repetitions: Any) -> bool:
    """Whether the repetition of a table of this shape is left to the program."""
    return math.prod(int(side) for side in shape) * math.prod(int(number) for number in repetitions) > LARGEST
