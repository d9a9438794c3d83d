"""`edgesr upscale` and `eval`: pictures through an artifact or a reference."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from edgesr.cli.options import Device, Json, Scale, Weights
from edgesr.cli.render import Output, table
from edgesr.errors import UsageError
from edgesr.evaluation import Evaluation, evaluate
from edgesr.model import Reach
from edgesr.runtime import Options, Session
from edgesr.upscale import FolderReport, UpscaleOptions, UpscaleReport, upscale_file, upscale_folder

ArtifactFolder = Annotated[Path | None, typer.Option("--artifact", metavar="DIR", help="An artifact folder to run.")]
ModelName = Annotated[str | None, typer.Option("--model", help="A reference to run in PyTorch, as `edgesr models` lists it.")]
RuntimeName = Annotated[str | None, typer.Option("--runtime", help="Run the artifact in this runtime.")]


def upscale(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A picture (PNG, JPEG, WebP, TIFF) or a folder of pictures.")],
    destination: Annotated[Path, typer.Argument(metavar="OUT", help="A picture, or a folder for a folder.")],
    artifact: ArtifactFolder = None,
    model: ModelName = None,
    scale: Scale = None,
    weights: Weights = None,
    runtime: RuntimeName = None,
    device: Device = None,
    tile: Annotated[int | None, typer.Option(min=1, help="Cut into tiles of this many input pixels.")] = None,
    overlap: Annotated[int | None, typer.Option(min=0, help="Margin around each tile, in input pixels.")] = None,
    check_seams: Annotated[
        bool, typer.Option("--check-seams", help="Also run whole what ran in tiles, and measure the difference.")
    ] = False,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="Of a folder's results: png, jpg, webp or tiff; else as the originals."),
    ] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG.")] = 95,
    as_json: Json = False,
) -> None:
    """Upscale a picture, or every picture of a folder."""
    show = Output(as_json=as_json)
    session, reach = _session(artifact, model, scale, weights, runtime, device, show)
    options = UpscaleOptions(
        tile=tile, overlap=overlap, reach=reach, check_seams=check_seams, suffix=_suffix(form), quality=quality
    )
    if source.is_dir():
        with show.progress() as progress:
            folder = upscale_folder(session, source, destination, options, progress=progress)
        show.result(asdict(folder), _folder_lines(folder))
        for failure in folder.failed:
            named = failure.source in failure.message
            show.error(failure.message if named else f"{failure.source}: {failure.message}", failure.hint)
        if folder.failed:
            raise typer.Exit(1)
    else:
        with show.progress() as progress:
            report = upscale_file(session, source, destination, options, progress=progress)
        show.result(asdict(report), _file_lines(report))


def evaluation(
    hr: Annotated[Path, typer.Option("--hr", metavar="DIR", help="The originals.")],
    lr: Annotated[
        Path | None, typer.Option("--lr", metavar="DIR", help="The small pictures; without, MATLAB's bicubic makes them.")
    ] = None,
    artifact: ArtifactFolder = None,
    model: ModelName = None,
    scale: Scale = None,
    weights: Weights = None,
    runtime: RuntimeName = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """PSNR and SSIM of the luma as super-resolution papers give them, beside bicubic."""
    show = Output(as_json=as_json)
    session, reach = _session(artifact, model, scale, weights, runtime, device, show)
    with show.progress() as progress:
        result = evaluate(session, hr_dir=hr, lr_dir=lr, reach=reach, progress=progress)
    show.result(asdict(result), [_evaluation_table(result)])


def _session(
    folder: Path | None,
    model: str | None,
    scale: int | None,
    weights: str | None,
    runtime: str | None,
    device: str | None,
    show: Output,
) -> tuple[Session, Reach]:
    """The artifact or the reference that the options name, opened."""
    if folder is not None:
        if (model, weights, scale) != (None, None, None):
            raise UsageError(
                "--artifact already says model, scale and weights", hint="Give --artifact, or --model and --weights."
            )
        return _artifact_session(folder, runtime, device, show)
    if model is None and weights is None:
        raise UsageError(
            "nothing to run was named",
            hint="Give --artifact DIR (from `edgesr export`), or --model NAME, or --weights FILE. To try: --model vapsr-s",
        )
    if runtime not in (None, "pytorch"):
        raise UsageError(f"--model runs in PyTorch, not in {runtime}", hint="Export it first, then give --artifact DIR.")
    from edgesr.reference import load_reference
    from edgesr.runtimes.pytorch import RUNTIME, open_reference

    if device not in (None, *RUNTIME.devices):
        raise UsageError(f"PyTorch does not run on {device} here", hint=f"It runs on {', '.join(RUNTIME.devices)}.")
    reference = load_reference(model=model, scale=scale, weights=weights)
    if reference.weights.kind == "untrained":
        show.warn(f"{reference.spec.name} has no weights here: these are seeded ones and the picture will be noise.")
    return open_reference(reference, Options(device=device)), reference.spec.reach


def _artifact_session(folder: Path, runtime: str | None, device: str | None, show: Output) -> tuple[Session, Reach]:
    from edgesr.artifact import read_artifact
    from edgesr.runtimes import open_artifact, runtimes, usual_runtime

    artifact = read_artifact(folder)
    artifact.check_files()
    if artifact.manifest.weights == "untrained":
        show.warn(f"{folder} was exported without weights: the picture will be noise.")
    session = open_artifact(artifact, runtime=runtime, options=Options(device=device))
    chosen = runtimes()[runtime or usual_runtime(artifact.manifest.format)]
    if not chosen.measures:
        where = session.settings.get("device", chosen.title)
        show.warn(f"{where}: the seconds are this computer's, and no measurement.")
    return session, artifact.manifest.reach


def _suffix(form: str | None) -> str | None:
    """`png` or `.PNG` -> `.png`; an unknown one is refused by the library."""
    return f".{form.removeprefix('.').lower()}" if form else None


def _file_lines(report: UpscaleReport) -> Iterator[str]:
    yield f"{report.source} -> {report.destination}: {report.input} to {report.output} (HxW) in {report.run.seconds:.1f} s"
    if report.run.tiling:
        tiling, seams = report.run.tiling, report.run.seams
        yield f"  {report.run.tiles} tiles of {tiling.tile} pixels and {tiling.overlap} of overlap"
        if seams:
            yield f"  seams against the untiled result: max |Δ| {seams.max_abs:.1e}, PSNR {seams.psnr_db:.1f} dB"


def _folder_lines(report: FolderReport) -> Iterator[str]:
    for one in report.upscaled:
        yield from _file_lines(one)
    if report.skipped:
        yield f"Not pictures, skipped: {', '.join(report.skipped)}"
    yield f"{len(report.upscaled)} upscaled, {len(report.failed)} failed, {len(report.skipped)} skipped"


def _evaluation_table(result: Evaluation) -> Table:
    rows = [(one.name, str(one.size), one.network, one.bicubic) for one in result.pictures]
    rows.append(("mean", "", result.network, result.bicubic))
    cells = [
        (name, size, f"{network.psnr_db:.2f}", f"{network.ssim:.4f}", f"{bicubic.psnr_db:.2f}", f"{bicubic.ssim:.4f}")
        for name, size, network, bicubic in rows
    ]
    columns = ["picture", "size", "PSNR-Y dB", "SSIM-Y", "bicubic dB", "bicubic SSIM"]
    title = f"×{result.scale}, small pictures {result.lr}"
    return table(title, columns, cells, numbers=columns[2:])
