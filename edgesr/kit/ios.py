"""A Swift package around a Core ML artifact."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from edgesr.errors import ArtifactError, UsageError
from edgesr.files import sha256_of, staged_folder
from edgesr.image_encoding import encode
from edgesr.kit.golden import Golden, golden
from edgesr.kit.model import AppModel, read_app_model
from edgesr.kit.vectors import vectors

MARK = "kit.json"
"""The file that says what was written, so that it can be written again."""

_PLACEHOLDER = re.compile(r"@@([A-Z0-9_]+)@@")


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
    with staged_folder(output, replaceable=_replaceable(output)) as stage:
        values = _values(model, name)
        for place, text in _sources(model, values):
            _write(stage / place, text.encode())
        for file in model.files:
            target = stage / "Sources" / name / "Resources" / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.artifact.folder / file.name, target)
        _write_test_data(stage / "Tests" / f"{name}Tests" / "Resources", model, picture)
        mark = {"kit": "ios", "artifact": model.manifest.to_json()["digest"], "files": _hashes(stage)}
        _write(stage / MARK, (json.dumps(mark, indent=2) + "\n").encode())
    return Kit(folder=output, name=name, model=model)


def _sources(model: AppModel, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Path in the package -> text, from the templates; of the two kinds of network the model's own."""
    own, other = ("Image", "Tensor") if model.takes_pictures else ("Tensor", "Image")
    for path, template in _templates(resources.files("edgesr.kit") / "templates" / "ios"):
        if path.endswith(f"/{other}Network.swift"):
            continue
        place = path.replace(f"/{own}Network.swift", "/Network.swift").replace("NAME", values["NAME"])
        yield place, _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _templates(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Relative path and text of every file below."""
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            yield from _templates(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")


def _values(model: AppModel, name: str) -> dict[str, str]:
    """What takes the place of `@@…@@` in the templates."""
    manifest = model.manifest
    weights = "none, so that its pictures are noise" if manifest.weights == "untrained" else manifest.weights.get("kind", "")
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
        "SEAMS": _seams(model),
        "TWELVE": str(12 * manifest.scale**2),
        "BUDGET": f"{manifest.budget.psnr_db:g}",
        "WEIGHTS": weights if re.fullmatch(r"[\w ,]+", weights) else "see the artifact's manifest",
    }


def _seams(model: AppModel) -> str:
    """What tiles do to the result."""
    reach = model.manifest.reach
    if reach.kind == "global":
        return "The network looks at all that it is given: every tiling is an approximation."
    if reach.kind == "windowed":
        return "The network looks in windows: tiles come close to the whole picture, and are not the same."
    if reach.radius is not None and reach.radius > model.overlap:
        return f"The network sees {reach.radius} pixels far: tiles come close to the whole picture, and are not the same."
    return "The network sees no further than that, so that tiles leave no trace."


def _name_of(model: AppModel) -> str:
    """`vapsr-s` ×4 -> VapsrSX4."""
    words = re.split(r"[^A-Za-z0-9]+", f"{model.manifest.model}-x{model.manifest.scale}")
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name[:1].isalpha() else f"Model{name}"


def _write_test_data(folder: Path, model: AppModel, picture: Golden) -> None:
    data = vectors(tile=model.tile, overlap=model.overlap)
    data["golden"] = {"width": picture.size.width, "height": picture.size.height, "meanSquare": picture.mean_square}
    # One line for each vector, so that a difference between two versions can be read.
    kinds = [f"{json.dumps(kind)}: {_lines(value)}" for kind, value in data.items()]
    _write(folder / "vectors.json", ("{\n" + ",\n".join(kinds) + "\n}\n").encode())
    _write(folder / "golden-input.png", encode(picture.input, "PNG"))
    _write(folder / "golden-output.png", encode(picture.output, "PNG"))


def _lines(value: object) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(each) for each in value) + "\n]"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _hashes(folder: Path) -> dict[str, str]:
    """Every file below by its path, but for the mark."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: sha256_of(path) for name, path in names.items() if name != MARK}


def _replaceable(folder: Path) -> frozenset[str]:
    """The entries of an earlier kit; none of another folder. Raises ArtifactError for a kit that somebody has worked in."""
    try:
        written = json.loads((folder / MARK).read_text(encoding="utf-8"))["files"]
        changed = [name for name, digest in _hashes(folder).items() if written.get(name) != digest]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()
    if changed:
        raise ArtifactError(
            f"{folder} was changed since it was made ({', '.join(changed[:3])}); nothing was written",
            hint="Name another folder: -o DIR.",
        )
    return frozenset(entry.name for entry in folder.iterdir())
