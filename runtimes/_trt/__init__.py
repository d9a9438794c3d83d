"""TensorRT: building engines on the device and running them without PyTorch, for `edgesr build` and `runtimes/tensorrt.py`."""
