"""An ONNX graph of one size as a MIL program, node by node."""

import importlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgesr.errors import ExportError
from edgesr.export.mil import linear, movement, pointwise
from edgesr.export.mil.node import LOWERINGS, Array, Lowered, Node, rank
from edgesr.export.mil.tables import is_large
from edgesr.export.onnx_graph import INPUT, OUTPUT, REWRITE_KEY

OPERATORS = (linear, movement, pointwise)
"""Imported for what they register."""


_RANK = 5
_INT32 = (np.iinfo(np.int32).min, np.iinfo(np.int32).max)


def lowered(graph: onnx.GraphProto, mb: Any, x: Lowered, *, compact: bool = False) -> Lowered:
    """Build the graph's nodes on the MIL variable `x`, in the block that is being built; the variable of its output.

    What follows from constants alone is computed here. compact: but for large tables that repeat smaller ones, and what follows
    from them; the program must then be built and converted inside of `compact_tables`.
    Raises ExportError for a node that has no form in Core ML.
    """
    values: dict[str, Lowered] = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values[INPUT] = x
    for node in graph.node:
        inputs = tuple(values[name] if name else None for name in node.input)
        known = all(value is None or isinstance(value, np.ndarray) for value in inputs)
        known = known and not (compact and node.op_type == "Tile" and is_large(np.asarray(inputs[0]).shape, inputs[1]))
        results = _computed(node, inputs) if known else _built(node, inputs, mb)
        for name, result in zip(node.output, results, strict=True):
            values[name] = result
    return values[OUTPUT]


def _computed(node: onnx.NodeProto, inputs: Sequence[Array | None]) -> Sequence[Array]:
    """The results of a node whose inputs are constants."""
    reference = importlib.import_module("onnx.reference")
    names = [f"x{number}" if value is not None else "" for number, value in enumerate(inputs)]
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    del alone.input[:]
    alone.input.extend(names)
    run = reference.ReferenceEvaluator(alone)
    feeds = {name: value for name, value in zip(names, inputs, strict=True) if name}
    return [np.asarray(value) for value in run.run(None, feeds)]


def _built(node: onnx.NodeProto, inputs: tuple[Lowered | None, ...], mb: Any) -> Sequence[Lowered]:
    wrapped = Node(
        mb=mb,
        kind=node.op_type,
        name=_name(node),
        rewrite=next((one.value for one in node.metadata_props if one.key == REWRITE_KEY), ""),
        inputs=tuple(_narrow(value) for value in inputs),
        attributes=_attributes(node),
        outputs=len(node.output),
    )
    lowering = LOWERINGS.get(node.op_type)
    if lowering is None or node.domain:
        raise wrapped.refusal(f"no operator of {node.domain or 'ONNX'} but these is lowered: {', '.join(sorted(LOWERINGS))}")
    try:
        made = lowering(wrapped)
    except ExportError:
        raise
    except Exception as error:  # coremltools raises whatever its type inference met; the cause is chained
        raise wrapped.refusal(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__) from error
    results = list(made) if isinstance(made, list | tuple) else [made]
    for result in results:
        if rank(result) > _RANK:
            raise wrapped.refusal(f"it has {rank(result)} axes, supported: {_RANK} at most")
    return results


def _narrow(value: Lowered | None) -> Lowered | None:
    """MIL has 32 bits for whole numbers, and for floats at most."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype == np.int64:
        return np.asarray(value.clip(*_INT32), dtype=np.int32)  # a cut's end may be as large as there are numbers
    return value.astype(np.float32) if value.dtype == np.float64 else value


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    found = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def _name(node: onnx.NodeProto) -> str:
    """A name as MIL allows it, which tells the place in the network."""
    return re.sub(r"\W", "_", node.name or node.output[0])
