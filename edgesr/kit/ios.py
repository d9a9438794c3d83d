"""A Swift package around a Core ML artifact."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgesr.errors import UsageError
from edgesr.kit.golden import golden
from edgesr.kit.model import AppModel, read_app_model
from edgesr.kit.package import filled_templates, staged_kit, write_file, write_test_data
from edgesr.kit.source import seams, weights_in_words
from edgesr.kit.vectors import vectors


@dataclass(frozen=True, kw_only=True)
class Kit:
    """A package that was written into `folder`."""

    folder: Path
    name: str
    model: AppModel


def write_ios_kit(folder: Path, *, output: Path | None = None, name: str | None = None) -> Kit:
    """Write a Swift package around the Core ML artifact in `folder`.

    output: where; None makes a folder in the current one, named after the package. name: the package's; None makes one of the
    model's. An earlier kit is replaced if none of its files was changed. Raises what `read_app_model` raises, UsageError for a
    name that is none in Swift, and ArtifactError when the folder cannot be written.
    """
    model = read_app_model(folder)
    name = _name_of(model) if name is None else name
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
        raise UsageError(
            f"{name!r} is no name for a Swift package", hint="A capital letter, then letters and digits: --name MyUpscaler"
        )
    output = output or Path(name)
    picture = golden(model.artifact)
    with staged_kit(output, kind="ios", manifest=model.manifest) as stage:
        for place, text in _sources(model, name):
            write_file(stage / place, text.encode())
        for file in model.files:
            target = stage / "Sources" / name / "Resources" / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.artifact.folder / file.name, target)
        write_test_data(stage / "Tests" / f"{name}Tests" / "Resources", vectors(tile=model.tile, overlap=model.overlap), picture)
    return Kit(folder=output, name=name, model=model)


def _sources(model: AppModel, name: str) -> Iterator[tuple[str, str]]:
    """Path in the package -> text, from the templates; of the two kinds of network the model's own."""
    own, other = ("Image", "Tensor") if model.takes_pictures else ("Tensor", "Image")
    for path, text in filled_templates("ios", _values(model, name)):
        if not path.endswith(f"/{other}Network.swift"):
            yield path.replace(f"/{own}Network.swift", "/Network.swift").replace("NAME", name), text


def _values(model: AppModel, name: str) -> dict[str, str]:
    """What takes the place of `@@…@@` in the templates."""
    manifest = model.manifest
    return {
        "NAME": name,
        "MODEL": f"{manifest.model}-x{manifest.scale}",
        "MODEL_NAME": model.name,
        "MODEL_HASH": str(manifest.to_json()["digest"])[:16],
        "FUNCTION": f'"{model.function}"' if model.function else "nil",
        "INPUT": manifest.input.name,
        "OUTPUT": manifest.output.name,
        "SCALE": str(manifest.scale),
        "TILE_HEIGHT": str(model.tile.height),
        "TILE_WIDTH": str(model.tile.width),
        "OVERLAP": str(model.overlap),
        "IOS": f"{model.ios}.0",
        "MACOS": f"{model.macos}.0",
        "SEAMS": seams(manifest.reach, model.overlap),
        "TWELVE": str(12 * manifest.scale**2),
        "BUDGET": f"{manifest.budget.psnr_db:g}",
        "WEIGHTS": weights_in_words(manifest),
    }


def _name_of(model: AppModel) -> str:
    """`vapsr-s` ×4 -> VapsrSX4."""
    words = re.split(r"[^A-Za-z0-9]+", f"{model.manifest.model}-x{model.manifest.scale}")
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name[:1].isalpha() else f"Model{name}"
