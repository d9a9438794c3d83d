"""The table of docs/tensorrt.md: every variant for TensorRT, at ×4 in both precisions, and for a range of sizes.

Its figures are those of the manifest and of the file; the record is docs/records/tensorrt.json.
"""

from collections import Counter
from typing import Any

import onnx
from export_tables import ExportTable, Rows, decibel_cells, decibels, run

from edgesr.artifact import Artifact
from edgesr.models import families


def rows() -> Rows:
    """The arguments of `edgesr export`, row by row."""
    variants = [name for family in families().values() for name in family.variants]
    found: Rows = [(variant, "--size", "64x64", "--precision", each) for variant in variants for each in ("fp32", "fp16")]
    found += [(variant, "--size", "32x32..64x64", "--precision", "fp16") for variant in variants]
    trained = (("vapsr", "VapSR_X4.pth"), ("vapsr-s", "VapSR-S.pth"))
    found += [(name, "--weights", file, "--precision", each) for name, file in trained for each in ("fp32", "fp16")]
    found += [(variant,) for variant in variants if variant != "esc-xl"]
    found += [
        (variant, "--scale", str(scale), "--size", "64x64")
        for family in families().values()
        for variant, configs in family.variants.items()
        for scale in configs
        if scale != 4
    ]
    return found


def figures(artifact: Artifact) -> dict[str, Any]:
    """Of the file."""
    model = onnx.load(artifact.path)
    return {
        "nodes": len(model.graph.node),
        "operators": len(Counter(node.op_type for node in model.graph.node)),
        "bytes": artifact.manifest.model_bytes,
        "islands": list(artifact.manifest.islands),
        **decibels(artifact),
    }


def cells(row: dict[str, Any]) -> list[str]:
    """In the order of the header."""
    sizes = [str(row["nodes"]), str(row["operators"]), f"{row['bytes'] / 1e6:.2f}"]
    return [*sizes, *decibel_cells(row), ", ".join(row["islands"]) or "–"]


if __name__ == "__main__":
    run(
        ExportTable(
            command="scripts/tensorrt",
            target="tensorrt",
            page="tensorrt.md",
            record="tensorrt.json",
            packages=("edgesr", "torch", "onnx", "onnxruntime"),
            rows=rows,
            header=("nodes", "kinds of operators", "file MB", "dB on the picture", "dB on noise", "in float32"),
            figures=figures,
            cells=cells,
        ),
        __doc__ or "",
    )
