"""Position biases made when the network runs, which Qualcomm's compiler would write out into the binary.

    spread(T) = spread(T + 0·x)    for every finite number x

A window's biases follow from a small table T by repetition and cuts (see `_planes.spread`), and whatever follows from constants
alone becomes a constant of the binary: more than half of ESC-light's, and far more of ESC-XL's (docs/qnn.md has the sizes).
A number of the picture, times 0, keeps the compiler from it, at the price of main memory and work in every run.
"""

import math

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgesr.export.onnx_graph import INPUT

_NOTHING = "edgesr.nothing"

MOST = 10**8
"""How many bytes of biases a binary holds at most unless more are asked for."""


def written_out(model: onnx.ModelProto) -> int:
    """Bytes, in float16, of the maps that follow from constants alone and that the network reads."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {value.name: [each.dim_value for each in value.type.tensor_type.shape.dim] for value in graph.value_info}
    constants = {tensor.name for tensor in graph.initializer}
    made: set[str] = set()
    read: set[str] = set()
    for node in graph.node:
        if all(name in constants or name in made for name in node.input if name):
            made.update(node.output)
        else:
            read.update(node.input)
    return sum(2 * math.prod(shapes.get(name, ())) for name in made & read)


def with_tables_at_run_time(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which no table that is repeated is a constant; the same where there is none, and the same function."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    constants = {tensor.name for tensor in graph.initializer}
    tables = list(dict.fromkeys(node.input[0] for node in graph.node if node.op_type == "Tile" and node.input[0] in constants))
    if not tables:
        return made
    numbers = {"first": np.zeros(4, np.int64), "end": np.ones(4, np.int64), "shape": np.ones(1, np.int64)}
    graph.initializer.extend(numpy_helper.from_array(value, f"{_NOTHING}.{name}") for name, value in numbers.items())
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), f"{_NOTHING}.factor"))
    corner, number = f"{_NOTHING}.corner", f"{_NOTHING}.number"
    nodes = [
        _node("Slice", [INPUT, f"{_NOTHING}.first", f"{_NOTHING}.end"], corner),
        _node("Reshape", [corner, f"{_NOTHING}.shape"], number),
        _node("Mul", [number, f"{_NOTHING}.factor"], _NOTHING),
        *(_node("Add", [table, _NOTHING], f"{table}.now") for table in tables),
    ]
    for node in graph.node:
        if node.op_type == "Tile" and node.input[0] in tables:
            node.input[0] = f"{node.input[0]}.now"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return made


def _node(operator: str, inputs: list[str], output: str) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [output], name=output)
