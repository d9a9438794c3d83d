"""ONNX Runtime: one `.onnx` file of opset 20 and, in float32, the same as `.ort` for ONNX Runtime's small builds for phones."""

import onnx

from edgesr.export.ort_format import write_ort_format
from edgesr.export.target import Conversion, Form, Target
from edgesr.export.targets._onnx_file import write_onnx


def _lower(asked: Conversion) -> tuple[Form, ...]:
    graph, path = asked.graph, write_onnx(asked)
    if any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in graph.graph.initializer):
        # Writing it on a processor without half precision, ONNX Runtime would make the weights float32 again.
        return (Form(path=path),)
    mobile = asked.folder / f"{asked.stem}.ort"
    write_ort_format(graph, mobile)
    return Form(path=path), Form(path=mobile)


TARGET = Target(
    title="ONNX Runtime",
    format="onnx",
    runtime="ort",
    needs=frozenset(
        {
            "any_batch",
            "any_size",
            "bounded_memory",
            "cache_sized_attention",
            "channels_last",
            "fast_run_time_kernels",
            "few_multiplications",
            "fused_attention",
            "no_bicubic",
            "no_fft",
            "static_parts_apart",
        }
    ),
    opsets=(20,),
    precisions=("fp32", "fp16"),
    half_io=True,
    lower=_lower,
)
