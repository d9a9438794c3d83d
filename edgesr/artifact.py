"""An artifact: a folder with the converted model, the reference's recorded outputs and `manifest.json`, which says what it is."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from edgesr.errors import ArtifactError
from edgesr.files import sha256_of
from edgesr.manifest import SCHEMA, FileInfo, Manifest, digest, manifest_from_json
from edgesr.tensors import Size

MANIFEST = "manifest.json"
ENGINES = "engines"
"""The folder in an artifact's where `edgesr build` keeps what it made of it."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A folder whose manifest was read."""

    folder: Path
    manifest: Manifest

    @property
    def path(self) -> Path:
        """The model file, or the folder which is the model."""
        return self.folder / self.manifest.artifact

    def check_files(self) -> None:
        """Raise ArtifactError when a file of the manifest is missing or is not the one that was written, or a model's folder
        holds another.
        """
        for file in self.manifest.files:
            path = self.folder / file.name
            if not path.is_file():
                raise ArtifactError(f"{path} is missing", hint="Export the model again.")
            seen = sha256_of(path)
            if seen != file.sha256:
                raise ArtifactError(
                    f"{path} was changed after the export: sha256 {seen[:12]}…, expected {file.sha256[:12]}…",
                    hint="Export the model again.",
                )
        known = {file.name for file in self.manifest.files}
        for model in {self.path, *(self.folder / each.form for each in self.manifest.compiled)}:
            for path in model.rglob("*") if model.is_dir() else ():
                if path.is_file() and path.relative_to(self.folder).as_posix() not in known:
                    raise ArtifactError(f"{path} was added after the export", hint="Delete it, or export the model again.")


def function_name(size: Size) -> str:
    """What the function of a model is called that takes this size, where each size has one of its own (`shapes` "functions")."""
    return f"size_{size}"


def read_artifact(folder: Path) -> Artifact:
    """Read the manifest of an artifact folder; raises ArtifactError for a folder that is none, without touching other files."""
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{folder} is not an artifact: it has no {MANIFEST}", hint="Make one: edgesr export MODEL --target ort -o DIR"
        ) from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}", hint="Export the model again.") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ArtifactError(f"{path} is not a manifest of schema {SCHEMA}", hint="Export the model again with this version.")
    if data.get("digest") != digest(data):
        raise ArtifactError(f"{path} was changed after the export: its digest does not fit", hint="Export the model again.")
    try:
        manifest = manifest_from_json(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{path} is malformed: {error!r}", hint="Export the model again.") from error
    forms = (each.form for each in manifest.compiled)
    for name in (manifest.artifact, *forms, *(file.name for file in manifest.files)):
        if not name or Path(name).is_absolute() or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise ArtifactError(f"{path} names a file outside its folder: {name!r}", hint="Do not trust this artifact.")
    return Artifact(folder=folder, manifest=manifest)


def replaceable_files(folder: Path) -> frozenset[str]:
    """The names in `folder` that a new export may replace: those of the artifact there, or none.

    Raises ArtifactError where engines were built from that artifact: they take minutes on a board, and would be of no use.
    """
    try:
        manifest = read_artifact(folder).manifest
    except ArtifactError:
        return frozenset()
    if (folder / ENGINES).exists():
        raise ArtifactError(
            f"{folder} holds engines that were built from the artifact there; nothing was written",
            hint=f"Name another folder: -o DIR, or delete the engines: rm -r {shlex.quote(str(folder / ENGINES))}",
        )
    return frozenset({MANIFEST, *(file.name.partition("/")[0] for file in manifest.files)})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into the folder."""
    text = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def files_in(folder: Path) -> tuple[FileInfo, ...]:
    """Name, hash and length of every file in the folder and in folders of it, sorted."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(
        FileInfo(name=path.relative_to(folder).as_posix(), sha256=sha256_of(path), bytes=path.stat().st_size) for path in paths
    )
