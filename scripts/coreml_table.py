"""The table of docs/coreml.md: every variant as a Core ML package, by precision, by kind of input, by sizes.

Its figures are those of the manifest and of the saved package; the record is docs/records/coreml.json.
"""

from typing import Any

from export_tables import ExportTable, Rows, decibel_cells, decibels, run

from edgesr.artifact import Artifact
from edgesr.models import families
from edgesr.runtimes import runtimes


def rows() -> Rows:
    """The arguments of `edgesr export`, row by row."""
    variants = [name for family in families().values() for name in family.variants]
    size = {"esc-xl": ("--size", "96x96")}  # of whose windows of 48x48 the reference and the evaluation need minutes at 256x256
    found: Rows = [
        (variant, *size.get(variant, ("--size", "128x128")), "--precision", precision, "--io", "tensor")
        for variant in variants
        for precision in ("fp32", "fp16", "w8")
    ]
    trained = (("vapsr", "VapSR_X4.pth"), ("vapsr-s", "VapSR-S.pth"))
    found += [
        (variant, "--weights", file, "--size", "128x128", "--precision", precision, "--io", "tensor")
        for variant, file in trained
        for precision in ("fp32", "fp16", "w8", "p8", "p6", "p4")
    ]
    found += [(variant, "--weights", file) for variant, file in trained]
    found += [(variant, *size.get(variant, ())) for variant in variants]
    found += [(variant, "--tables", "constant") for variant in ("esc", "esc-light", "esc-fp")]
    found += [("vapsr", "--size", "128x128,256x256"), ("vapsr", "--size", "64x64..512x512")]
    both = ("--size", "64x64,128x128", "--shapes", "functions", "--deployment", "ios18")
    found += [("esc", *both), ("srconvnet", *both)]
    small = {variant: size.get(variant, ("--size", "64x64")) for variant in variants}
    found += [
        (variant, "--scale", str(scale), *small[variant])
        for family in families().values()
        for variant, configs in family.variants.items()
        for scale in configs
        if scale != 4
    ]
    return found


def figures(artifact: Artifact) -> dict[str, Any]:
    """Of the saved package."""
    inspect = runtimes()["mil-reference"].inspect
    assert inspect is not None
    operations = sum(inspect(artifact).operators.values())
    return {"operations": operations, "bytes": artifact.manifest.model_bytes, **decibels(artifact)}


def cells(row: dict[str, Any]) -> list[str]:
    """In the order of the header."""
    sizes = [str(row["operations"]), f"{row['bytes'] / 1e6:.2f}"]
    return [*sizes, *decibel_cells(row), f"{row['picture_levels']:.2f}"]


if __name__ == "__main__":
    run(
        ExportTable(
            command="scripts/coreml",
            target="coreml",
            page="coreml.md",
            record="coreml.json",
            packages=("edgesr", "coremltools", "torch", "onnx"),
            rows=rows,
            header=("operations", "package MB", "dB on the picture", "dB on noise", "levels of 255"),
            figures=figures,
            cells=cells,
        ),
        __doc__ or "",
    )
