"""A graph in half precision, with islands in float32 where half does not reach.

Every float32 tensor becomes float16, except within islands: operators that keep float32 because a measurement asks for them (see
`half_precision_search`), and whatever follows from constants and shapes alone, such as angles of a Fourier matrix, which would
lose whole numbers above 2048. Casts stand where the two meet.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

FLOAT, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
_HALF_MAXIMUM = float(np.finfo(np.float16).max)
_MOVING = frozenset(
    {
        *("Cast", "CastLike", "Compress", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND"),
        *("Identity", "Pad", "Reshape", "Scan", "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze"),
        *("Tile", "Transpose", "Unsqueeze", "Where"),
    }
)
"""What only moves numbers. It keeps the precision of what it is given, or an island's large numbers would not come out of it."""
_ALWAYS_FLOAT = {"Resize": (1, 2)}
"""Inputs that ONNX types as float32 whatever the precision: the region and the scales."""


def in_half_precision(model: onnx.ModelProto, islands: Collection[str] = (), *, half_io: bool = False) -> onnx.ModelProto:
    """The graph with float16 tensors; operators whose type is in `islands` keep float32.

    half_io: whether the graph's input and output are float16 too. An operator that takes a weight beyond the range of float16 is
    an island as well.
    """
    made = ir.serde.deserialize_model(onnx.shape_inference.infer_shapes(model))
    _Conversion(made, islands).convert(half_io=half_io)
    return ir.serde.serialize_model(made)


def rounded_to_half(model: onnx.ModelProto, islands: Collection[str] = ()) -> onnx.ModelProto:
    """The graph of `in_half_precision`, computed in float32, with every float16 tensor of it rounded.

    Runs on every machine and rounds for certain, where a runtime without arithmetic in half leaves roundings out.
    """
    made = ir.serde.deserialize_model(in_half_precision(model, islands))
    for value in made.graph.initializers.values():
        if value.dtype == HALF and value.const_value is not None:
            value.const_value = ir.tensor(value.const_value.numpy().astype(np.float32), name=value.name)
            value.dtype = FLOAT
    for node in list(made.graph.all_nodes()):
        for body in _bodies(node):
            for given in body.inputs:
                if given.dtype == HALF:
                    given.dtype = FLOAT
        for value in [output for output in node.outputs if output.dtype == HALF]:
            value.dtype = FLOAT
            _round(node, value)
        if node.op_type == "Cast" and node.attributes["to"].as_int() == HALF:
            node.attributes["to"] = ir.AttrInt64("to", int(FLOAT))
    return ir.serde.serialize_model(made)


def _round(node: ir.Node, value: ir.Value) -> None:
    """Let whatever reads the node's float32 output read it rounded to float16."""
    graph = node.graph
    assert graph is not None
    half = _cast(value, HALF)
    full = _cast(half.outputs[0], FLOAT)
    half.outputs[0].name, full.outputs[0].name = f"{value.name}_to_be_rounded", f"{value.name}_rounded"
    value.replace_all_uses_with(full.outputs[0], replace_graph_outputs=True)
    half.replace_input_with(0, value)
    graph.insert_after(node, [half, full])


def computing(model: onnx.ModelProto) -> frozenset[str]:
    """The operator types that compute floats from the picture, which may be islands. The others only move them."""
    made = ir.serde.deserialize_model(onnx.shape_inference.infer_shapes(model))
    tensors = _Tensors(made)
    return frozenset(
        node.op_type
        for node in made.graph.all_nodes()
        if node.op_type not in _MOVING and any(tensors.is_of_picture(output) for output in node.outputs)
    )


class _Tensors:
    """What is known of a model's values: which are float32, and which depend on the picture."""

    def __init__(self, model: ir.Model) -> None:
        self._of_picture: set[ir.Value] = set(model.graph.inputs)
        self._walk(model.graph)

    def is_float(self, value: ir.Value | None) -> bool:
        """Whether the value is float32 (or float16, once converted)."""
        return value is not None and value.dtype in (FLOAT, HALF)

    def is_island(self, node: ir.Node, islands: Collection[str]) -> bool:
        """Whether the operator stays in float32; what makes its inputs has been converted before."""
        if node.op_type in islands or not any(output in self._of_picture for output in node.outputs):
            return True
        moved = [value for value in node.inputs if value in self._of_picture] if node.op_type in _MOVING else []
        if any(value.dtype == FLOAT for value in moved if value is not None):
            return True
        return any(_overflows(value) for value in node.inputs if self.is_float(value))

    def is_of_picture(self, value: ir.Value | None) -> bool:
        """Whether the value is a float that depends on the picture."""
        return value is not None and value in self._of_picture

    def _walk(self, graph: ir.Graph) -> None:
        for node in graph:
            for body in _bodies(node):
                # A Scan's body takes the states first and then slices of the inputs: both are types of what is outside.
                for outer, inner in zip(node.inputs[-len(body.inputs) :], body.inputs, strict=False):
                    if outer in self._of_picture:
                        self._of_picture.add(inner)
                self._walk(body)
                for outer_output, inner_output in zip(node.outputs, body.outputs, strict=False):
                    if outer_output.dtype is None and inner_output.dtype is not None:
                        outer_output.dtype = inner_output.dtype
            inputs = [value for value in node.inputs if value is not None]
            for output in node.outputs:
                if output.dtype is None and inputs and inputs[0].dtype is not None:
                    output.dtype = inputs[0].dtype  # operators of other domains, which ONNX has no rules for
            of_picture = any(value in self._of_picture and self.is_float(value) for value in _read(node))
            if of_picture:
                self._of_picture.update(output for output in node.outputs if self.is_float(output))


def _overflows(value: ir.Value | None) -> bool:
    """Whether the value is a weight with a number that float16 does not have."""
    weight = value.const_value if value is not None else None
    if weight is None:
        return False
    numbers = np.abs(weight.numpy())
    return bool((np.isfinite(numbers) & (numbers > _HALF_MAXIMUM)).any())  # float16 has infinity


def _bodies(node: ir.Node) -> list[ir.Graph]:
    return [attribute.as_graph() for attribute in node.attributes.values() if attribute.type == ir.AttributeType.GRAPH]


def _read(node: ir.Node) -> Iterator[ir.Value]:
    """What the node takes, its bodies included."""
    yield from (value for value in node.inputs if value is not None)
    for body in _bodies(node):
        for inner in body:
            yield from _read(inner)


@dataclass
class _Conversion:
    """One conversion of a model, in place. For each float value: where its float16 and its float32 form are."""

    model: ir.Model
    islands: Collection[str]
    half: dict[ir.Value, ir.Value] = field(default_factory=dict)
    full: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def convert(self, *, half_io: bool) -> None:
        graph = self.model.graph
        self.tensors = _Tensors(self.model)
        for value in [*graph.inputs, *graph.initializers.values()]:
            if self.tensors.is_float(value):
                self.full[value] = value
        if half_io:
            for value in graph.inputs:
                value.dtype = HALF
                self.half[value] = self.full.pop(value)
        self._convert(graph)
        wanted = HALF if half_io else FLOAT
        self._outputs(graph, [wanted] * len(graph.outputs))
        RemoveUnusedNodesPass()(self.model)

    def _convert(self, graph: ir.Graph) -> None:
        for node in list(graph):
            island = self.tensors.is_island(node, self.islands)
            for body in _bodies(node):
                self._body(body, island=island)
            floats = _ALWAYS_FLOAT.get(node.op_type, ())
            for position, value in enumerate(node.inputs):
                if value is not None and self.tensors.is_float(value):
                    as_full = island or position in floats
                    node.replace_input_with(position, self._as_full(value) if as_full else self._as_half(value))
            self._type_outputs(node, FLOAT if island else HALF)

    def _body(self, body: ir.Graph, *, island: bool) -> None:
        for value in body.inputs:
            if self.tensors.is_float(value):
                value.dtype = FLOAT if island else HALF
                (self.full if island else self.half)[value] = value
        self._convert(body)
        self._outputs(body, [FLOAT if island else HALF] * len(body.outputs))

    def _type_outputs(self, node: ir.Node, dtype: ir.DataType) -> None:
        known = self.full if dtype == FLOAT else self.half
        for output in node.outputs:
            if self.tensors.is_float(output):
                output.dtype = dtype
                known[output] = output
        if dtype == HALF and node.op_type == "Cast" and self.tensors.is_float(node.outputs[0]):
            node.attributes["to"] = ir.AttrInt64("to", int(HALF))

    def _outputs(self, graph: ir.Graph, wanted: list[ir.DataType]) -> None:
        for position, (value, dtype) in enumerate(zip(list(graph.outputs), wanted, strict=True)):
            if not self.tensors.is_float(value) or value.dtype == dtype:
                continue
            name = value.name
            cast = _cast(value, dtype)
            value.name, cast.outputs[0].name = f"{name}_before_cast", name
            cast.outputs[0].shape = value.shape
            graph.append(cast)
            graph.outputs[position] = cast.outputs[0]

    def _as_half(self, value: ir.Value) -> ir.Value:
        if value not in self.half:
            self.half[value] = self._half_weight(value) if value.is_initializer() else self._after(value, HALF)
        return self.half[value]

    def _as_full(self, value: ir.Value) -> ir.Value:
        if value not in self.full:
            self.full[value] = self._after(value, FLOAT)
        return self.full[value]

    def _half_weight(self, value: ir.Value) -> ir.Value:
        assert value.const_value is not None
        name = f"{value.name}_half"
        weight = ir.Value(name=name, shape=value.shape, type=ir.TensorType(HALF))
        weight.const_value = ir.tensor(value.const_value.numpy().astype(np.float16), name=name)
        self.model.graph.initializers[name] = weight
        return weight

    def _after(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        """A cast of the value, right behind the node that makes it (or first in the graph that takes it as input)."""
        cast = _cast(value, dtype)
        producer = value.producer()
        if producer is not None and producer.graph is not None:
            producer.graph.insert_after(producer, cast)
        else:
            graph = value.graph
            assert graph is not None
            graph.insert_before(graph[0], cast)
        return cast.outputs[0]


def _cast(value: ir.Value, dtype: ir.DataType) -> ir.Node:
    node = ir.node("Cast", [value], attributes={"to": int(dtype)})
    output = node.outputs[0]
    output.name = f"{value.name}_{'half' if dtype == HALF else 'float'}"
    output.shape, output.dtype = value.shape, dtype
    return node
