"""ONNX Runtime: one `.onnx` file, opset 20, any batch and size unless a size is asked for."""

from pathlib import Path

import onnx

from edgesr.export.target import Target


def _lower(graph: onnx.ModelProto, folder: Path, stem: str) -> Path:
    path = folder / f"{stem}.onnx"
    path.write_bytes(graph.SerializeToString(deterministic=True))
    return path


TARGET = Target(
    title="ONNX Runtime",
    format="onnx",
    runtime="ort",
    needs=frozenset(
        {
            "any_batch",
            "any_size",
            "bounded_memory",
            "channels_last",
            "few_multiplications",
            "no_bicubic",
            "no_fft",
            "static_parts_apart",
        }
    ),
    opsets=(20,),
    precisions=("fp32", "fp16"),
    lower=_lower,
)
