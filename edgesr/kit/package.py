"""What kits share: templates that are filled in, test data, and a mark by which an earlier kit is known and replaced."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from edgesr.errors import ArtifactError
from edgesr.files import sha256_of, staged_folder
from edgesr.image_encoding import encode
from edgesr.kit.golden import Golden
from edgesr.manifest import Manifest

MARK = "kit.json"
"""The file that says what was written, so that it can be written again."""

_PLACEHOLDER = re.compile(r"@@([A-Z0-9_]+)@@")


@contextlib.contextmanager
def staged_kit(output: Path, *, kind: str, manifest: Manifest) -> Iterator[Path]:
    """Yield an empty folder that becomes the kit `output` when the block ends well, with its mark; else nothing is left.

    An earlier kit is replaced if none of its files was changed. Raises ArtifactError when that is not so, or the folder cannot be
    written or holds something else.
    """
    with staged_folder(output, replaceable=_replaceable(output)) as stage:
        yield stage
        mark = {"kit": kind, "artifact": manifest.to_json()["digest"], "files": _hashes(stage)}
        write_file(stage / MARK, (json.dumps(mark, indent=2) + "\n").encode())


def filled_templates(kind: str, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Path in the kit and text of every template of this kind, each `@@NAME@@` replaced by its value."""
    for path, template in _templates(resources.files("edgesr.kit") / "templates" / kind):
        yield path, _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def write_file(path: Path, data: bytes) -> None:
    """Write the file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_test_data(folder: Path, vectors: Mapping[str, Any], picture: Golden) -> None:
    """Write `vectors.json`, one line for each vector so that a difference can be read, and the golden pictures."""
    golden = {"width": picture.size.width, "height": picture.size.height, "meanSquare": picture.mean_square}
    kinds = [f"{json.dumps(kind)}: {_lines(value)}" for kind, value in {**vectors, "golden": golden}.items()]
    write_file(folder / "vectors.json", ("{\n" + ",\n".join(kinds) + "\n}\n").encode())
    write_file(folder / "golden-input.png", encode(picture.input, "PNG"))
    write_file(folder / "golden-output.png", encode(picture.output, "PNG"))


def _lines(value: object) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(each) for each in value) + "\n]"


def _templates(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Relative path and text of every file below; what Python compiled for itself is none."""
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _templates(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")


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
