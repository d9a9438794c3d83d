"""What the target and the runtime `qnn` share: the chips, and ONNX Runtime's QNN execution provider."""
