"""`edgesr build`: TensorRT engines on the device that will run them."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesr.artifact import ENGINES, Artifact, read_artifact
from edgesr.cli.options import Json
from edgesr.cli.render import Output
from edgesr.errors import BackendMissingError, UsageError
from edgesr.manifest import Profile
from edgesr.tensors import parse_sizes

if TYPE_CHECKING:
    from edgesr.runtimes._trt.making import Made
    from edgesr.runtimes._trt.recipe import BuildOptions

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A TensorRT artifact, from `edgesr export --target tensorrt`.")]
Sizes = Annotated[
    str | None,
    typer.Option("--size", metavar="HxW", help="Build for this size, or for HxW,HxW; else for the artifact's own."),
]
Workspace = Annotated[
    int | None, typer.Option(min=1, metavar="MB", help="The most scratch memory for one layer; all of the GPU's if left out.")
]
Cache = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where measured times are kept for the next build; DIR/engines if left out.")
]
Tf32 = Annotated[bool, typer.Option("--tf32", help="Let float32 layers round to TF32: faster, and less exact than the file.")]
Again = Annotated[bool, typer.Option("--again", help="Build what is there already, too.")]
Trust = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Take over an engine that you built from this artifact. An engine is code, and runs."),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show all that TensorRT says.")]


def build(
    folder: Folder,
    size: Sizes = None,
    workspace: Workspace = None,
    timing_cache: Cache = None,
    tf32: Tf32 = False,
    again: Again = False,
    trust: Trust = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Build TensorRT engines from an artifact, on the GPU that will run them. Ctrl-C stops; what is complete stays."""
    from edgesr.runtimes._trt.profiles import wanted_profiles
    from edgesr.runtimes._trt.recipe import BuildOptions

    show = Output(as_json=as_json)
    artifact = read_artifact(folder)
    options = BuildOptions(workspace_mb=workspace, tf32=tf32, timing_cache=timing_cache, again=again)
    profiles = wanted_profiles(artifact, parse_sizes(size) if size else None)
    lines = _trtexec_lines(artifact, profiles, options)
    if trust and (size or workspace or timing_cache or tf32 or again):
        raise UsageError("--trust takes an engine as it is", hint="Leave the other options out.")
    try:
        made = _made(artifact, profiles, options, trust, show, verbose=verbose)
    except BackendMissingError as error:
        by_hand = [
            "Where there is only TensorRT's command (on a Jetson in /usr/src/tensorrt/bin), for version 10 and 11:",
            f"mkdir -p {shlex.quote(str(folder / 'engines'))}",
            *lines,
            "That engine runs in the kit, without edgesr (edgesr kit jetson DIR); here, once TensorRT's Python package is, too:",
            f"edgesr build {shlex.quote(str(folder))} --trust ENGINE",
        ]
        raise BackendMissingError(error.message, hint="\n".join([error.hint, *by_hand])) from error
    for note in dict.fromkeys(note for one in made for note in one.notes):
        show.warn(note)
    show.result({"folder": str(folder), "engines": [_json(one) for one in made], "trtexec": lines}, _lines(folder, made, lines))


def _made(
    artifact: Artifact,
    profiles: Sequence[Profile],
    options: "BuildOptions",
    trust: Path | None,
    show: Output,
    *,
    verbose: bool,
) -> "tuple[Made, ...]":
    """Build or take over; raises as the library does."""
    from edgesr.runtimes._trt.making import build_engines, trust_engine
    from edgesr.runtimes._trt.messages import listener
    from edgesr.runtimes._trt.versions import tensorrt_version

    tensorrt_version()
    tell: Callable[[str], None] | None = show.note if verbose else None
    listener().messages.tell = tell
    try:
        with show.progress() as progress:
            return (trust_engine(artifact, trust),) if trust else build_engines(artifact, profiles, options, progress)
    finally:
        listener().messages.tell = None


def _trtexec_lines(artifact: Artifact, profiles: Sequence[Profile], options: "BuildOptions") -> list[str]:
    """For each profile the line for TensorRT 10 and the one for 11."""
    from edgesr.runtimes._trt.engines import shape_name
    from edgesr.runtimes._trt.trtexec import trtexec_line
    from edgesr.runtimes._trt.versions import MAJORS

    manifest, folder = artifact.manifest, artifact.folder / ENGINES
    lines = []
    for profile in profiles:
        engine = folder / f"{manifest.model}-x{manifest.scale}-{shape_name(profile)}-{manifest.precision}.engine"
        cache = options.timing_cache or folder / "timing.cache"
        lines += [trtexec_line(major, manifest, artifact.path, engine, profile, options, cache) for major in MAJORS]
    return lines


def _json(made: "Made") -> dict[str, Any]:
    return {"path": str(made.path), "found": made.found, "seconds": round(made.seconds, 1), **made.manifest.to_json()}


def _lines(folder: Path, made: "Sequence[Made]", trtexec: Sequence[str]) -> Iterator[str]:
    from edgesr.runtimes._trt.profiles import size_rule

    for one in made:
        manifest = one.manifest
        how = "There already" if one.found else "Taken over" if manifest.origin == "trusted" else f"Built in {one.seconds:.0f} s"
        yield f"{how}: {one.path} ({manifest.bytes / 1e6:.2f} MB)"
        yield (
            f"  for {size_rule(manifest.profile).description} (HxW), TensorRT {manifest.tensorrt}, {manifest.gpu}; "
            f"scratch memory {manifest.scratch_bytes / 2**20:.0f} MB at most"
        )
    yield f"Next: edgesr verify {shlex.quote(str(folder))} --runtime tensorrt"
    yield f"Then: edgesr upscale PICTURE OUT.png --artifact {shlex.quote(str(folder))} --runtime tensorrt"
    yield "The same by TensorRT's own command, for version 10 and 11:"
    yield from trtexec
