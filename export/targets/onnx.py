"""ONNX for any runtime: one `.onnx` file of standard operators, opset 17 to 20."""

from edgesr.export.target import Form, Target
from edgesr.export.targets._onnx_file import write_onnx

TARGET = Target(
    title="ONNX, standard operators",
    format="onnx",
    runtime="ort",
    # Left out is what costs nodes for the sake of the kernels and caches of ONNX Runtime: tiles of rows, phases, portions.
    needs=frozenset({"any_batch", "any_size", "channels_last", "no_bicubic", "no_fft", "static_parts_apart"}),
    opsets=(20, 19, 18, 17),
    precisions=("fp32", "fp16"),
    half_io=True,
    lower=lambda asked: (Form(path=write_onnx(asked)),),
)
