"""From an ONNX graph to a context binary for the Hexagon NPU."""
