"""What an app hands to the network and gets: the ONNX graph with other tensors at its ends, still of standard operators."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesr.export.onnx_graph import INPUT, OUTPUT
from edgesr.levels import LEVELS

_LAST, _FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
_LEVEL, _BLACK = "edgesr.level", "edgesr.black"


def with_interface(model: onnx.ModelProto, *, pictures: bool, colours_last: bool) -> onnx.ModelProto:
    """A copy whose input and output keep their names.

    pictures: they are uint8, 0 to 255; the output is clamped. colours_last: they are (1,H,W,3) and (1,sH,sW,3).
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    if colours_last:
        _put_around(graph, helper.make_node("Transpose", [], [], perm=_FIRST), helper.make_node("Transpose", [], [], perm=_LAST))
    if pictures:
        # A quantised tensor of scale 1/255 is what the NPU takes and gives by itself; QuantizeLinear rounds and clamps.
        graph.initializer.append(numpy_helper.from_array(np.array(1 / LEVELS, np.float32), _LEVEL))
        graph.initializer.append(numpy_helper.from_array(np.array(0, np.uint8), _BLACK))
        parameters = [_LEVEL, _BLACK]
        first, last = (helper.make_node(kind, parameters, []) for kind in ("DequantizeLinear", "QuantizeLinear"))
        _put_around(graph, first, last)
    for value in (*graph.input, *graph.output):
        _declare(value, pictures=pictures, colours_last=colours_last)
    onnx.checker.check_model(made, full_check=True)
    return made


def _put_around(graph: onnx.GraphProto, first: onnx.NodeProto, last: onnx.NodeProto) -> None:
    """Put a node before and one after what is there; their tensors are to be named, those of the graph's ends stay."""
    inner = {name: f"{name}.{node.op_type}" for name, node in ((INPUT, first), (OUTPUT, last))}
    for node in graph.node:
        node.input[:] = [inner.get(name, name) for name in node.input]
        node.output[:] = [inner.get(name, name) for name in node.output]
    first.name, last.name = inner[INPUT], inner[OUTPUT]
    first.input[:], first.output[:] = [INPUT, *first.input], [inner[INPUT]]
    last.input[:], last.output[:] = [inner[OUTPUT], *last.input], [OUTPUT]
    nodes = [first, *graph.node, last]
    del graph.node[:]
    graph.node.extend(nodes)


def _declare(value: onnx.ValueInfoProto, *, pictures: bool, colours_last: bool) -> None:
    shape = [dimension.dim_value or dimension.dim_param for dimension in value.type.tensor_type.shape.dim]
    kind = TensorProto.UINT8 if pictures else TensorProto.FLOAT
    value.CopyFrom(helper.make_tensor_value_info(value.name, kind, [shape[i] for i in _LAST] if colours_last else shape))
