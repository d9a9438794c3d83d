"""`edgesr models` and `inspect`: what there is."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from edgesr.cli.inspecting import inspect_artifact
from edgesr.cli.options import Json
from edgesr.cli.render import Output, big, table
from edgesr.errors import CheckpointError
from edgesr.model import ModelSpec


def models(as_json: Json = False) -> None:
    """List the models: sizes, cost at a 1280×720 output, what an output pixel sees, and official weights."""
    from edgesr.models import families, model_spec

    show = Output(as_json=as_json)
    specs = [
        model_spec(name, scale=scale)
        for family in families().values()
        for name, configurations in family.variants.items()
        for scale in configurations
    ]
    rows = []
    with show.progress() as progress:
        for done, spec in enumerate(specs):
            progress("counting", done, len(specs))
            rows.append(_model_row(spec))
    columns = ["family", "model", "scale", "parameters", "multiply-adds", "a pixel sees", "smallest", "official weights"]
    cells = [
        (
            row["family"],
            row["model"],
            f"×{row['scale']}",
            big(row["parameters"]),
            big(row["multiply_adds"]),
            _reach(row["reach"]),
            f"{row['smallest_input']}×{row['smallest_input']}",
            ", ".join(row["official_weights"]) or "–",
        )
        for row in rows
    ]
    note = (
        "Multiply-adds are for a 1280×720 output. A tile that overlaps by a local network's radius gives the untiled result; "
        "for a global one no tile does."
    )
    show.result(rows, [table("Models", columns, cells, numbers=["scale", "parameters", "multiply-adds", "smallest"]), note])


def inspect(
    file: Annotated[
        Path, typer.Argument(metavar="FILE|DIR", help="A checkpoint (.pth, .pt, .safetensors) or an artifact folder.")
    ],
    as_json: Json = False,
) -> None:
    """Say what a checkpoint or an artifact holds; nothing in it is executed."""
    if file.is_dir():
        inspect_artifact(file, Output(as_json=as_json))
        return
    from edgesr.reference import inspect_checkpoint

    report = inspect_checkpoint(file)
    unused = ", ".join(b or "the bare state dict" for b in report.branches if b != report.branch)
    rows = [
        ("family", report.family),
        ("variant", report.variant),
        ("scale", f"×{report.scale}"),
        ("configuration", ", ".join(f"{key} {value}" for key, value in report.configuration.items())),
        ("parameters", f"{report.parameters:,}"),
        ("tensors", f"{report.tensors} ({', '.join(report.dtypes)})"),
        ("weights in use", (report.branch or "a bare state dict") + (" (the EMA weights)" if "ema" in report.branch else "")),
        ("also in the file", unused or "nothing"),
        ("finite", "yes" if report.finite else "NO"),
        ("file", f"{report.container}, {report.bytes:,} bytes, sha256 {report.sha256}"),
    ]
    show = Output(as_json=as_json)
    show.result(report.to_json(), [table(file.name, ["", ""], rows)])
    if not report.finite:
        tensor, count = next(iter(report.nonfinite.items()))
        more = f" and {len(report.nonfinite) - 1} more tensors" if len(report.nonfinite) > 1 else ""
        raise CheckpointError(
            f"{file.name} holds NaN or Inf: {count} values of {tensor}{more}",
            hint="Take an earlier checkpoint, or fetch it again.",
        )


def _model_row(spec: ModelSpec) -> dict[str, Any]:
    """What `models --json` says of one variant at one scale."""
    from edgesr.complexity import multiply_adds, parameters

    here = (spec.variant, spec.scale)
    return {
        "family": spec.family_name,
        "model": spec.variant,
        "scale": spec.scale,
        "parameters": parameters(spec.skeleton()),
        "multiply_adds": multiply_adds(spec),
        "reach": asdict(spec.reach),
        "smallest_input": spec.minimum_size,
        "official_weights": [w.file for w in spec.family.weights if (w.variant, w.scale) == here],
        "licence": spec.family.licence,
        "paper": spec.family.paper,
    }


def _reach(reach: dict[str, Any]) -> str:
    return f"{reach['kind']}, radius {reach['radius']}" if reach["radius"] else str(reach["kind"])
