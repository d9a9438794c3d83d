"""From an ONNX graph of one size to Core ML's MIL: one small function for each operator that our graphs have."""
