"""GELU kept apart from the convolution before it, which Qualcomm's compiler would make one operator of.

    gelu(W ⊛ z + b) = gelu(n) − n    with n = (−W) ⊛ z − b

for all W, z and b: gelu(x) = x·Φ(x) and Φ(x) + Φ(−x) = 1, so that gelu(x) = x + gelu(−x). The map n has two readers, and what two
read is not fused. The fused operator's GELU is coarser than float16 in Qualcomm's emulator (QNN 2.51): networks of 50 such
layers, as ESC-light, miss 45 dB with it.
"""

from collections import Counter

import onnx
from onnx import helper, numpy_helper

from edgesr.export.qnn.constants import drop_unread

_NAME = "{}.negative"


def with_gelus_apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which no GELU is the only reader of a convolution; the same function of its inputs."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    readers = Counter([*(name for node in graph.node for name in node.input), *(value.name for value in graph.output)])
    convolutions = {node.output[0]: node for node in graph.node if node.op_type == "Conv" and readers[node.output[0]] == 1}
    gelus = {node.input[0]: node for node in graph.node if node.op_type == "Gelu" and node.input[0] in convolutions}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.output[0] in gelus:
            nodes += _negated(node, constants, graph)
        nodes.append(node)
        if node.op_type == "Gelu" and node.input[0] in gelus:
            nodes.append(_difference(node))
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unread(graph)
    return made


def _negated(convolution: onnx.NodeProto, constants: dict[str, onnx.TensorProto], graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Let the convolution have the opposite kernel and bias; the nodes that make those of them that are no constants."""
    makers = []
    for number, name in enumerate(convolution.input[1:], 1):
        opposite = _NAME.format(name)
        convolution.input[number] = opposite
        if name not in constants:
            makers.append(
                helper.make_node("Neg", [name], [f"{convolution.name}.{opposite}"], name=f"{convolution.name}.{number}")
            )
            convolution.input[number] = makers[-1].output[0]
        elif opposite not in constants:
            constants[opposite] = numpy_helper.from_array(-numpy_helper.to_array(constants[name]), opposite)
            graph.initializer.append(constants[opposite])
    return makers


def _difference(gelu: onnx.NodeProto) -> onnx.NodeProto:
    """What makes the GELU's result of what it makes of the opposite map."""
    result, gelu.output[0] = gelu.output[0], _NAME.format(gelu.output[0])
    node = helper.make_node("Sub", [gelu.output[0], gelu.input[0]], [result], name=f"{gelu.name}.difference")
    node.metadata_props.extend(gelu.metadata_props)
    return node
