"""Continuation by the edge's pixels, written as joining copies of the edge: Qualcomm's own is wrong for maps of few channels.

    pad(x) = [x₀ … x₀, x, xₙ … xₙ]    for every map x, along each axis that is continued

QNN 2.51 gives zeros, or what lies beside, for the continued pixels of a picture (Pad of mode "edge" on 3 or 8 channels, in the
emulator); it is right with 32, or after a convolution. It takes the operator, so that only running it shows.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgesr.export.qnn.constants import drop_unread

_END = np.iinfo(np.int64).max


def with_edges_joined(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without a Pad of mode "edge"; the same function of its inputs. How much is continued must be constant."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += _joined(node, constants, graph) if _continues_edges(node) else [node]
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unread(graph)
    return made


def _continues_edges(node: onnx.NodeProto) -> bool:
    return node.op_type == "Pad" and any(each.name == "mode" and each.s == b"edge" for each in node.attribute)


def _joined(pad: onnx.NodeProto, constants: dict[str, NDArray[Any]], graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Axis by axis: cut the first and the last, and join them with the map as often as each is asked for."""
    before, after = np.split(constants[pad.input[1]], 2)
    nodes: list[onnx.NodeProto] = []
    name = pad.input[0]
    for axis in np.flatnonzero(before + after).tolist():
        first, last, wide = (f"{pad.name}.{axis}{part}" for part in (".first", ".last", ""))
        nodes += _cut(name, first, (0, 1, axis), graph) if before[axis] else []
        nodes += _cut(name, last, (-1, _END, axis), graph) if after[axis] else []
        parts = [*[first] * before[axis], name, *[last] * after[axis]]
        nodes.append(helper.make_node("Concat", parts, [wide], name=wide, axis=axis))
        name = wide
    nodes[-1].output[0] = pad.output[0]
    for node in nodes:
        node.metadata_props.extend(pad.metadata_props)
    return nodes


def _cut(name: str, result: str, numbers: tuple[int, int, int], graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """What makes `result` of a map, from start to end along an axis."""
    known = [f"{result}.{number}" for number in ("start", "end", "axis")]
    graph.initializer.extend(numpy_helper.from_array(np.array([n], np.int64), key) for n, key in zip(numbers, known, strict=True))
    return [helper.make_node("Slice", [name, *known], [result], name=result)]
