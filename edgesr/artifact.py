"""An artifact: a folder with the converted model, the reference's recorded outputs and `manifest.json`, which says what it is.

The manifest holds no date and no path, so that the same request gives the same bytes, and a digest of itself. That shows
accidents, not attacks: whoever alters a file on purpose can alter the digest too.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edgesr.errors import ArtifactError
from edgesr.files import sha256_of
from edgesr.model import Reach
from edgesr.parity import Budget, Difference, Edge
from edgesr.tensors import Precision, Size, SizeRule

MANIFEST = "manifest.json"
RECORDED = "parity.npz"
"""Inputs and the reference's outputs, so that an artifact can be verified where there is no checkpoint and no PyTorch."""

_SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An input or output: symbols in `shape` are strings; `range` is nominal, and outputs are not clamped to it."""

    name: str
    shape: tuple[int | str, ...]
    layout: Literal["NCHW"] = "NCHW"
    dtype: Literal["float32", "float16"] = "float32"
    range: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """A file of the folder."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class RewriteInfo:
    """A rewrite that was applied, and in how many places."""

    name: str
    matches: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that `manifest.json` says.

    artifact: the model's file name. format: what kind of file it is, as runtimes name it. model: the variant.
    precision: fp32, or fp16 with the operator types in `islands` in float32. budget: what parity was asked for.
    weights: "untrained", or the checkpoint's kind (official, file, demo), name and sha256. sizes: the inputs it takes. reach: how
    far an output pixel sees, which tiling needs.
    """

    artifact: str
    format: str
    model: str
    scale: int
    target: str
    precision: Precision
    islands: tuple[str, ...]
    budget: Budget
    weights: dict[str, str] | Literal["untrained"]
    sizes: SizeRule
    reach: Reach
    input: TensorInfo
    output: TensorInfo
    rewrites: tuple[RewriteInfo, ...]
    parity: tuple[Edge, ...]
    files: tuple[FileInfo, ...]
    tools: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """The manifest as `manifest.json` holds it; every edge also carries its extremes."""
        data = asdict(self)
        data["parity"] = [
            {"edge": edge.name, **edge.extremes, "inputs": [asdict(d) for d in edge.differences]} for edge in self.parity
        ]
        data = {"schema": _SCHEMA, **data}
        return {**data, "digest": _digest(data)}


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A folder whose manifest was read."""

    folder: Path
    manifest: Manifest

    @property
    def path(self) -> Path:
        """The model file."""
        return self.folder / self.manifest.artifact

    def check_files(self) -> None:
        """Raise ArtifactError when a file of the manifest is missing or is not the one that was written."""
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
    if not isinstance(data, dict) or data.get("schema") != _SCHEMA:
        raise ArtifactError(f"{path} is not a manifest of schema {_SCHEMA}", hint="Export the model again with this version.")
    if data.get("digest") != _digest(data):
        raise ArtifactError(f"{path} was changed after the export: its digest does not fit", hint="Export the model again.")
    try:
        manifest = _manifest_from_json(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{path} is malformed: {error!r}", hint="Export the model again.") from error
    for name in (manifest.artifact, *(file.name for file in manifest.files)):
        if Path(name).name != name or name in ("", ".", ".."):
            raise ArtifactError(f"{path} names a file outside its folder: {name!r}", hint="Do not trust this artifact.")
    return Artifact(folder=folder, manifest=manifest)


def replaceable_files(folder: Path) -> frozenset[str]:
    """The names in `folder` that a new export may replace: those of the artifact there, or none."""
    try:
        manifest = read_artifact(folder).manifest
    except ArtifactError:
        return frozenset()
    return frozenset({MANIFEST, *(file.name for file in manifest.files)})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into the folder."""
    text = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def file_info(path: Path) -> FileInfo:
    """Name, hash and length of a file."""
    return FileInfo(name=path.name, sha256=sha256_of(path), bytes=path.stat().st_size)


def _digest(data: dict[str, Any]) -> str:
    """SHA-256 of a manifest without its `digest`, whatever its layout and the order of its keys."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _manifest_from_json(data: dict[str, Any]) -> Manifest:
    fields = {key: value for key, value in data.items() if key not in ("schema", "digest")}
    low, high = fields["sizes"]["minimum"], fields["sizes"]["maximum"]
    tensors = {key: _tensor_from_json(fields[key]) for key in ("input", "output")}
    parity = tuple(
        Edge(name=edge["edge"], differences=tuple(Difference(**item) for item in edge["inputs"])) for edge in fields["parity"]
    )
    return Manifest(
        **{
            **fields,
            **tensors,
            "reach": Reach(**fields["reach"]),
            "islands": tuple(fields["islands"]),
            "budget": Budget(**fields["budget"]),
            "sizes": SizeRule(minimum=Size(**low), maximum=Size(**high) if high else None),
            "parity": parity,
            "rewrites": tuple(RewriteInfo(**item) for item in fields["rewrites"]),
            "files": tuple(FileInfo(**item) for item in fields["files"]),
        }
    )


def _tensor_from_json(data: dict[str, Any]) -> TensorInfo:
    low, high = data["range"]
    return TensorInfo(**{**data, "shape": tuple(data["shape"]), "range": (low, high)})
