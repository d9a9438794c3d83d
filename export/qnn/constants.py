"""Constants that a graph does not need any more once nodes were replaced."""

import onnx


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove the constants that nothing reads."""
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
