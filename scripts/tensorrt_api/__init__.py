"""The Python interface of TensorRT 10 and 11: a stub package made of it, and whether our source keeps to both."""
