"""`edgesr kit`: packages for apps."""

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgesr.cli.options import Json
from edgesr.cli.render import Output
from edgesr.kit.ios import Kit, write_ios_kit

app = typer.Typer(help="Packages for apps around an artifact.", no_args_is_help=True)


@app.callback()
def _kit() -> None:
    """Packages for apps around an artifact."""


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
    if model.manifest.weights == "untrained":
        show.warn(f"{folder} was exported without weights: the app's pictures will be noise.")
    data = {
        "folder": str(kit.folder),
        "name": kit.name,
        "model": model.manifest.model,
        "scale": model.manifest.scale,
        "tile": asdict(model.tile),
        "overlap": model.overlap,
        "ios": model.ios,
        "macos": model.macos,
        "compiled": False,
    }
    show.result(data, _lines(kit))


def _lines(kit: Kit) -> Iterator[str]:
    model = kit.model
    megabytes = sum(file.bytes for file in model.files) / 1e6
    yield f"Written: {kit.folder}, the Swift package {kit.name} for iOS {model.ios} or macOS {model.macos} and later"
    yield f"Model: {model.manifest.artifact} ({megabytes:.2f} MB)"
    yield f"Tiles: {model.tile} (HxW) pixels with {model.overlap} of overlap, made {model.manifest.scale} times larger"
    yield "It was not compiled here: edgesr works without a Mac. Its tests compare it with edgesr's own results; run them first."
    yield f"Next, on a Mac: cd {shlex.quote(str(kit.folder))} && swift test"
