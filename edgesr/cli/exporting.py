"""`edgesr export`, `verify` and `plan`."""

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from edgesr.artifact import Artifact
from edgesr.cli.options import Device, Json, Scale, Weights
from edgesr.cli.render import Output, table
from edgesr.errors import UnknownNameError, UsageError
from edgesr.manifest import Manifest
from edgesr.parity import Edge
from edgesr.tensors import PRECISIONS, Precision, parse_size, parse_sizes

if TYPE_CHECKING:
    from edgesr.export.rewrite import Applied

Model = Annotated[str, typer.Argument(help="Model name, as `edgesr models` lists it.")]
Without = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Leave a rewrite out; may be given several times.")]
Sizes = Annotated[
    str | None,
    typer.Option(
        metavar="HxW", help="Convert for this input size only; for coreml and tensorrt also HxW,HxW or a range HxW..HxW."
    ),
]
PrecisionName = Annotated[
    str | None,
    typer.Option(help="fp32, fp16 (what needs it stays in float32); for coreml also w8, p8, p6, p4.", show_default=False),
]
Shapes = Annotated[
    str | None, typer.Option(help="coreml, several sizes: enumerated (the default) or functions.", show_default=False)
]
Tables = Annotated[
    str | None,
    typer.Option(
        help="coreml, tensorrt, biases: compact (the default) or constant; qnn: or auto (the default).", show_default=False
    ),
]
Io = Annotated[str | None, typer.Option(help="coreml: image (the default) or tensor; qnn: tensor or image.", show_default=False)]
Soc = Annotated[
    str | None,
    typer.Option(metavar="CHIP", help="qnn: chips to compile for, as sm8650,sm8550 or '8 Gen 3' (sm8650).", show_default=False),
]
Layout = Annotated[str | None, typer.Option(help="qnn, of input and output: nchw (the default) or nhwc.", show_default=False)]
Verify = Annotated[
    str | None,
    typer.Option(
        help="qnn: emulate a small picture (quick, the default) or one of the size (full, minutes).", show_default=False
    ),
]
Optimization = Annotated[
    str | None,
    typer.Option(help="qnn, how hard its compiler works: O3 (the default, minutes), O2 or O1.", show_default=False),
]
Batch = Annotated[int, typer.Option("--batch", metavar="N", help="tensorrt: up to this many pictures at a time.")]
Dynamic = Annotated[bool, typer.Option("--dynamic", help="ort, onnx: any batch and size (their default without --size).")]
Optimum = Annotated[
    str | None, typer.Option(metavar="HxW", help="tensorrt, a range: the size to be fast at (180x320).", show_default=False)
]
BudgetDb = Annotated[
    float | None,
    typer.Option(
        "--budget",
        metavar="DB",
        help="The least PSNR on a real picture; else 50 (coreml: 100 in fp32, 40 in w8, p8, p6, p4; qnn: 45).",
    ),
]
TargetName = Annotated[str, typer.Option("--target", help="What to export for.")]


def export(
    model: Model,
    scale: Scale = None,
    weights: Weights = None,
    target: TargetName = "ort",
    size: Sizes = None,
    batch: Batch = 1,
    optimum: Optimum = None,
    dynamic: Dynamic = False,
    opset: Annotated[int | None, typer.Option(metavar="N", help="ONNX opset; target onnx takes 17 to 20.")] = None,
    precision: PrecisionName = None,
    io: Io = None,
    soc: Soc = None,
    layout: Layout = None,
    verify: Verify = None,
    optimization: Optimization = None,
    deployment: Annotated[str | None, typer.Option(help="coreml: ios15 to ios18 (ios16).", show_default=False)] = None,
    shapes: Shapes = None,
    tables: Tables = None,
    budget: BudgetDb = None,
    half_io: Annotated[bool, typer.Option("--half-io", help="float16 input and output too, with --precision fp16.")] = False,
    without: Without = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder for the artifact.")] = None,
    as_json: Json = False,
) -> None:
    """Convert a network, prove that it is still the same function, and write an artifact folder."""
    options = {"io": io, "soc": soc, "layout": layout, "verify": verify}
    options |= {"deployment": deployment, "shapes": shapes, "tables": tables, "optimization": optimization}
    if size and dynamic:
        raise UsageError("--size and --dynamic contradict each other", hint="Give one of them.")
    chosen = _precision(precision)
    from edgesr.export.pipeline import export as run
    from edgesr.export.request import ExportRequest
    from edgesr.export.target import targets

    show = Output(as_json=as_json)
    if dynamic and targets()[target].default_size:
        more = ", several as 128x128,256x256, or a range 64x64..512x512" * targets()[target].several_sizes
        raise UsageError(f"target {target} has no --dynamic", hint=f"Name a size: --size 128x128{more}.")
    request = ExportRequest(
        model=model,
        scale=scale,
        weights=weights,
        target_name=target,
        sizes=parse_sizes(size) if size else None,
        batch=batch,
        optimum=parse_size(optimum) if optimum else None,
        opset=opset,
        precision=chosen,
        options={name: value for name, value in options.items() if value is not None},
        budget_db=budget,
        half_io=half_io,
        without=tuple(without or ()),
        folder=output,
    )
    with show.progress() as progress:
        artifact = run(request, progress=progress)
    _warn(show, artifact.manifest)
    show.result({"folder": str(artifact.folder), **artifact.manifest.to_json()}, _export_lines(artifact))


def _precision(name: str | None) -> Precision | None:
    """The precision of this name; raises UnknownNameError."""
    chosen = next((known for known in PRECISIONS if known == name), None)
    if name and chosen is None:
        raise UnknownNameError("precision", name, PRECISIONS)
    return chosen


def _warn(show: Output, manifest: Manifest) -> None:
    """Say what weights the artifact has where they are not the authors' or the user's."""
    if manifest.weights == "untrained":
        show.warn(
            f"{manifest.model} has no weights here: these are seeded ones. The result is for latency and conversion only, "
            "its pictures are noise. For real ones: --weights FILE, or see `edgesr weights list`."
        )
    elif manifest.weights["kind"] == "demo":
        show.warn("these are the demo weights that edgesr ships; the authors' are far better (see `edgesr weights list`).")


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An artifact folder.")],
    weights: Weights = None,
    runtime: Annotated[
        str | None, typer.Option(help="Run it in this runtime, not in its target's own.", show_default=False)
    ] = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Check an artifact's files, run it again and compare it with the reference."""
    from edgesr.export.verification import verify as run

    show = Output(as_json=as_json)
    with show.progress() as progress:
        result = run(folder, weights=weights, runtime=runtime, device=device, progress=progress)
    data: dict[str, Any] = {"folder": str(folder), "ok": True, "against": result.against, **_edge_json(result.edge)}
    show.result(data, [parity_table([result.edge]), f"{folder} holds: files intact, same function as {result.against}."])


def plan(model: Model, target: TargetName = "ort", scale: Scale = None, without: Without = None, as_json: Json = False) -> None:
    """Show which rewrites a model gets for a target, in which order and why."""
    from edgesr.export.rewrite import apply_plan
    from edgesr.export.rewrite import plan as steps_for
    from edgesr.export.target import targets
    from edgesr.models import model_spec

    spec = model_spec(model) if scale is None else model_spec(model, scale=scale)
    steps = steps_for(targets()[target].needs, without=without or ())
    _, applied = apply_plan(steps, spec.build())
    refused = [
        {"rewrite": done.name, "reason": reason, "places": places}
        for done in applied
        for reason, places in _by_reason(done).items()
    ]
    rows = [
        {
            "rewrite": step.name,
            "matches": len(done.matches),
            "because": ", ".join(step.because),
            "equation": step.rewrite.equation,
        }
        for step, done in zip(steps, applied, strict=True)
    ]
    columns = ("order", "rewrite", "matches", "because", "equation")
    matching = [row for row in rows if row["matches"]]
    idle = [str(row["rewrite"]) for row in rows if not row["matches"]]
    lines: list[str | Table] = [
        table(
            f"{spec.name} for {target}",
            columns,
            [(order, *(row[column] for column in columns[1:])) for order, row in enumerate(matching, start=1)],
            numbers=("order", "matches"),
        ),
        *([f"The target also wants these, which find nothing here: {', '.join(idle)}"] if idle else []),
        *([f"Left out: {', '.join(without)}"] if without else []),
        *(f"{one['rewrite']} refused {len(one['places'])} places, {one['places'][0]} first: {one['reason']}" for one in refused),
    ]
    Output(as_json=as_json).result({"model": spec.name, "target": target, "rewrites": rows, "refused": refused}, lines)


def _by_reason(applied: "Applied") -> dict[str, list[str]]:
    """Where a rewrite was refused, by reason."""
    places: dict[str, list[str]] = {}
    for path, reason in applied.refusals:
        places.setdefault(reason, []).append(path)
    return places


def parity_table(edges: list[Edge] | tuple[Edge, ...]) -> Table:
    """Each edge's differences from the reference, input by input."""
    rows = [
        (e.name, d.input, f"{d.max_abs:.1e}", f"{d.relative_l2:.1e}", f"{d.psnr_db:.1f}") for e in edges for d in e.differences
    ]
    columns = ["edge", "input", "max |Δ|", "‖Δ‖/‖y‖", "PSNR dB"]
    return table("Parity with the reference", columns, rows, numbers=columns[2:])


def _export_lines(artifact: Artifact) -> Iterator[str | Table]:
    folder, manifest = artifact.folder, artifact.manifest
    yield parity_table(manifest.parity)
    done = ", ".join(f"{each.name} in {each.matches} place{'s' * (each.matches > 1)}" for each in manifest.rewrites)
    if manifest.precision == "fp16" and not _rounds(manifest):
        yield f"In float32: {', '.join(manifest.islands) or 'nothing; half precision is enough everywhere'}"
    yield f"Rewrites: {done or 'none was applied'}"
    shape = ",".join(str(side) for side in manifest.input.shape)
    kind = "RGB picture, 0 to 255" if manifest.input.is_picture else "RGB in [0,1]"
    yield f"Input: ({shape}) {kind}; H×W {manifest.sizes.description}"
    for one in manifest.compiled:
        on_npu = f"{one.npu_nodes} nodes on its NPU, {one.cpu_nodes} on the processor"
        yield f"Compiled for {one.chip} ({one.architecture}) by {one.compiler}: {on_npu}"
    for each in manifest.profiles:
        shapes = (each.minimum, each.optimum, each.maximum)
        yield f"Profile (N,H,W): {', '.join('×'.join(map(str, shape)) for shape in shapes)} (smallest, best, largest)"
    others = "".join(f", {each.form}" for each in manifest.compiled if each.form != manifest.artifact)
    yield f"Written: {folder / manifest.artifact} ({manifest.model_bytes / 1e6:.2f} MB){others} and {folder / 'manifest.json'}"
    yield f"Next: edgesr upscale PICTURE OUT.png --artifact {shlex.quote(str(folder))}"
    if manifest.format == "mlpackage":
        yield f"For an app: edgesr kit ios {shlex.quote(str(folder))}"
    if manifest.profiles:
        yield f"On the device: edgesr build {shlex.quote(str(folder))}"


def _rounds(manifest: Manifest) -> bool:
    """Whether the target brings everything to half precision itself, so that nothing was looked for that must stay in float32."""
    from edgesr.export.target import targets

    return targets()[manifest.target].rounds


def _edge_json(edge: Edge) -> dict[str, Any]:
    return {**edge.extremes, "inputs": [asdict(d) for d in edge.differences]}
