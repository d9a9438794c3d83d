"""`edgesr kit`: packages around an artifact, for apps and boards."""

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgesr.cli.options import Json
from edgesr.cli.render import Output
from edgesr.kit.ios import Kit, write_ios_kit
from edgesr.kit.jetson import JetsonKit, write_jetson_kit
from edgesr.manifest import Manifest

app = typer.Typer(help="Packages around an artifact: for apps on iOS, and for a Jetson.", no_args_is_help=True)


@app.callback()
def _kit() -> None:
    """Packages around an artifact: for apps on iOS, and for a Jetson."""


@app.command()
def ios(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A Core ML artifact, from `edgesr export --target coreml`.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder for the package; named after it if left out.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The package's name in Swift, as in MyUpscaler.")] = None,
    as_json: Json = False,
) -> None:
    """Write a Swift package for iOS and macOS that upscales pictures of any size, with tests and an example."""
    show = Output(as_json=as_json)
    with show.progress() as progress:
        progress("writing the Swift package")
        kit = write_ios_kit(folder, output=output, name=name)
    model = kit.model
    _warn_of_noise(show, folder, model.manifest, "the app's pictures")
    data = {
        "folder": str(kit.folder),
        "name": kit.name,
        "model": model.manifest.model,
        "scale": model.manifest.scale,
        "tile": asdict(model.tile),
        "overlap": model.tiling.overlap,
        "ios": model.ios,
        "macos": model.macos,
        "compiled": False,
    }
    show.result(data, _ios_lines(kit))


@app.command()
def jetson(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="An artifact for TensorRT, from `edgesr export --target tensorrt`.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder for the kit; named after the model if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a folder to copy onto a Jetson: the network, runners in Python and C++ without PyTorch, tests, a systemd unit."""
    show = Output(as_json=as_json)
    with show.progress() as progress:
        progress("writing the kit")
        kit = write_jetson_kit(folder, output=output)
    _warn_of_noise(show, folder, kit.manifest, "its pictures")
    data = {
        "folder": str(kit.folder),
        "model": kit.manifest.model,
        "scale": kit.manifest.scale,
        "engines": list(kit.engines),
        "run": False,
    }
    show.result(data, _jetson_lines(kit))


def _warn_of_noise(show: Output, folder: Path, manifest: Manifest, pictures: str) -> None:
    if manifest.weights == "untrained":
        show.warn(f"{folder} was exported without weights: {pictures} will be noise.")


def _ios_lines(kit: Kit) -> Iterator[str]:
    model = kit.model
    megabytes = sum(file.bytes for file in model.files) / 1e6
    yield f"Written: {kit.folder}, the Swift package {kit.name} for iOS {model.ios} or macOS {model.macos} and later"
    yield f"Model: {model.manifest.artifact} ({megabytes:.2f} MB)"
    if not model.sizes.fixed:
        yield f"Whole: pictures of {model.sizes.description} (HxW) pixels"
    yield f"Tiles: {model.tile} (HxW) pixels with {model.tiling.overlap} of overlap, made {model.manifest.scale} times larger"
    yield "It was not compiled here: edgesr works without a Mac. Its tests compare it with edgesr's own results; run them first."
    yield f"Next, on a Mac: cd {shlex.quote(str(kit.folder))} && swift test"


def _jetson_lines(kit: JetsonKit) -> Iterator[str]:
    manifest = kit.manifest
    yield f"Written: {kit.folder}, for a Jetson with TensorRT 10 (JetPack 6.1 and later), or any machine with TensorRT 10 or 11"
    yield f"Model: {manifest.artifact} ({manifest.model_bytes / 1e6:.2f} MB), made into {', '.join(kit.engines)} on the board"
    yield "TensorRT is not here, so that nothing was run with it; the kit's arithmetic is tested, and its README says how."
    yield f"Next: scp -r {shlex.quote(str(kit.folder))} BOARD: and there the three commands of README.md"
