from edgesr.export.target import Target
from edgesr.export.targets._onnx_file import write_onnx
TARGET = Target(title="x", format="onnx", runtime="ort", needs=frozenset({"no_bicubic","no_fft","static_parts_apart","no_run_time_kernels","static_control_flow"}), opsets=(20,), precisions=("fp32",),
 lower=lambda graph, folder, stem: (write_onnx(graph, folder, stem),))
