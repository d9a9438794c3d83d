"""TensorRT: one strongly typed `.onnx` file of standard operators, from which `edgesr build` makes an engine on the device.

Precision is in the graph, as TensorRT 11 demands and 10 can be told to take it. By default a file is for one size, 180×320, whose
enlargement by 4 is 1280×720, the setting of the papers: TensorRT picks its kernels by timing them on the very shape, a fixed
shape can be captured in a CUDA graph, and larger pictures run in tiles. Lists of sizes and ranges become profiles.
"""

from dataclasses import replace

from edgesr.errors import ExportError
from edgesr.export.constant_factors import with_constant_factors
from edgesr.export.target import Conversion, Form, Target
from edgesr.export.targets._onnx_file import write_onnx
from edgesr.export.tensorrt_parser import check_parser
from edgesr.tensors import Size

_LARGEST = 2**31 - 1
"""Bytes of a message of protobuf's."""


def _lower(asked: Conversion) -> tuple[Form, ...]:
    ((sizes, graph),) = asked.graphs.items()
    final = with_constant_factors(graph, tables=asked.options["tables"] == "constant")
    if final.ByteSize() > _LARGEST:
        raise ExportError(f"an ONNX file holds 2 GB at most, not {final.ByteSize() / 1e9:.1f}", hint="Add --tables compact.")
    check_parser(final)
    return (Form(path=write_onnx(replace(asked, graphs={sizes: final}))),)


TARGET = Target(
    title="TensorRT",
    format="onnx",
    runtime="ort",
    also_on="cuda",
    needs=frozenset({"attention_at_once", "no_bicubic", "no_fft", "no_run_time_kernels", "static_parts_apart"}),
    opsets=(20, 19, 18, 17),
    precisions=("fp32", "fp16"),
    default_size=Size(height=180, width=320),
    several_sizes=True,
    profiles=True,
    options={"tables": ("compact", "constant")},
    lower=_lower,
)
