"""An engine's own manifest, NAME.json beside NAME.engine: what it was built from, by what and for what. None is loaded without.

An engine is machine code for one TensorRT and one GPU: loading another's at best fails, and loading a stranger's runs his code.
The manifest shows accidents (a file of another board, of an older export, cut off in copying), not attacks: whoever can write
into the folder can write both files.
"""

import hashlib
import json
import re
import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from edgesr.artifact import ENGINES, Artifact
from edgesr.errors import ArtifactError
from edgesr.files import sha256_of, write_whole
from edgesr.manifest import Profile, digest

Origin = Literal["built", "trusted"]
_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Here:
    """What engines are bound to. tensorrt: as in 10.13.3.9. gpu: as the driver names it. compute_capability: as in 8.7.

    driver: the newest CUDA that the driver runs, as in 12.6; engines are not bound to it.
    """

    tensorrt: str
    gpu: str
    compute_capability: str
    driver: str

    @property
    def slug(self) -> str:
        """For file names, as in trt10.13.3-nvidia-h200."""
        return f"trt{'.'.join(self.tensorrt.split('.')[:3])}-{plain(self.gpu)}"


@dataclass(frozen=True, kw_only=True)
class EngineManifest:
    """Everything that NAME.json says.

    engine: the file's name. onnx_sha256: of the artifact's model file. profile: the shapes that it takes. tensorrt, gpu,
    compute_capability, driver: see `Here`. scratch_bytes: what it needs of the device at most besides its weights, input and
    output. origin: "built" by edgesr, or "trusted": built by somebody else and taken over because the user said so. options: of
    the build. date: in UTC, as in 2026-11-21T13:00:00.000000+00:00; of engines for the same shapes the newest runs.
    """

    engine: str
    sha256: str
    bytes: int
    onnx_sha256: str
    model: str
    scale: int
    precision: str
    profile: Profile
    tensorrt: str
    gpu: str
    compute_capability: str
    driver: str
    scratch_bytes: int
    origin: Origin
    options: dict[str, str]
    date: str

    def to_json(self) -> dict[str, Any]:
        """As NAME.json holds it, with a digest of itself."""
        data = {"schema": _SCHEMA, **asdict(self)}
        return {**data, "digest": digest(data)}

    def misfit(self, artifact: Artifact, here: Here) -> str:
        """Why it may not be loaded for this artifact here; "" when it may."""
        if self.onnx_sha256 != artifact.manifest.model_sha256:
            return f"{self.engine} was built from another export of the network"
        built = {"TensorRT": self.tensorrt, "GPU": self.gpu, "compute capability": self.compute_capability}
        now = {"TensorRT": here.tensorrt, "GPU": here.gpu, "compute capability": here.compute_capability}
        differing = [name for name in built if built[name] != now[name]]
        return "; ".join(f"{self.engine} was built for {name} {built[name]}, here is {now[name]}" for name in differing)


def plain(text: str) -> str:
    """For file names: lower case, and a hyphen for whatever is neither letter nor digit."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def shape_name(profile: Profile) -> str:
    """A profile in a file's name: 1x180x320, or 1x64x64-1x512x512 from the smallest to the largest."""
    ends = dict.fromkeys("x".join(map(str, shape)) for shape in (profile.minimum, profile.maximum))
    return "-".join(ends)


def engine_stem(artifact: Artifact, profile: Profile, options: dict[str, str], here: Here) -> str:
    """MODEL-xSCALE-SHAPE-PRECISION-trtMAJOR.MINOR.PATCH-GPU-CHECKSUM8.

    The checksum is that of the ONNX file, profile and options, so that what was built before is found.
    """
    manifest = artifact.manifest
    recipe = json.dumps([manifest.model_sha256, asdict(profile), options, here.tensorrt, here.compute_capability], sort_keys=True)
    checksum = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    name = f"{plain(manifest.model)}-x{manifest.scale}-{shape_name(profile)}-{manifest.precision}"
    return f"{name}-{here.slug}-{checksum}"


def write_engine(folder: Path, manifest: EngineManifest, plan: bytes) -> None:
    """Write the engine, then its manifest, so that an interrupt leaves no engine that could be loaded; raises ArtifactError."""
    engine = folder / manifest.engine
    text = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        folder.mkdir(exist_ok=True)
        engine.with_suffix(".json").unlink(missing_ok=True)
        write_whole(engine, plan)
        try:
            write_whole(engine.with_suffix(".json"), text.encode())
        except BaseException:
            engine.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ArtifactError(
            f"cannot write {engine}: {error.strerror or error}; nothing was left behind",
            hint="Free some space, or make the artifact's folder writable.",
        ) from error


def _delete(path: Path) -> str:
    """What to do with an engine that is of no use, whatever it was built with, and with a file that belongs to none."""
    return f"Delete it: rm {shlex.quote(str(path.with_suffix('')))}.*\nThen build it again: edgesr build DIR"


def read_manifest(path: Path) -> EngineManifest:
    """Read NAME.json; raises ArtifactError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != _SCHEMA or data["digest"] != digest(data):
            raise ValueError("its schema or digest does not fit")
        shapes = {name: tuple(shape) for name, shape in data["profile"].items()}
        known = {field.name: data[field.name] for field in fields(EngineManifest)}
        manifest = EngineManifest(**{**known, "profile": Profile(**shapes)})
        if not isinstance(manifest.date, str) or not isinstance(manifest.options, dict):
            raise TypeError("its date or options are of another kind")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path} is no manifest of an engine: {error}", hint=_delete(path)) from error
    if manifest.engine != path.with_suffix(".engine").name:
        raise ArtifactError(f"{path} is about {manifest.engine!r}, another file", hint=_delete(path))
    return manifest


def check_bytes(path: Path, manifest: EngineManifest) -> None:
    """Raise ArtifactError when the engine is missing or is not the file that its manifest is about."""
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; only its manifest is there", hint=_delete(path))
    seen = sha256_of(path)
    if seen != manifest.sha256:
        raise ArtifactError(
            f"{path} was changed after the build: sha256 {seen[:12]}…, expected {manifest.sha256[:12]}…", hint=_delete(path)
        )


def newest_engines(artifact: Artifact, here: Here) -> tuple[dict[Profile, EngineManifest], list[str]]:
    """Shapes -> the newest of the artifact's engines for them, the newest of all first; and why others may not be loaded here."""
    manifests = [read_manifest(path) for path in sorted((artifact.folder / ENGINES).glob("*.json"))]
    newest: dict[Profile, EngineManifest] = {}
    misfits = []
    for manifest in sorted(manifests, key=lambda each: each.date, reverse=True):
        if reason := manifest.misfit(artifact, here):
            misfits.append(reason)
        else:
            newest.setdefault(manifest.profile, manifest)
    return newest, misfits


def usable_engines(artifact: Artifact, here: Here) -> tuple[tuple[Path, EngineManifest], ...]:
    """The engines of `newest_engines`, checked to the byte. Raises ArtifactError, with the reason, when there is none.

    Engines of other machines are passed over. One without a manifest is refused by name when there is nothing else.
    """
    folder = artifact.folder / ENGINES
    newest, misfits = newest_engines(artifact, here)
    for manifest in newest.values():
        check_bytes(folder / manifest.engine, manifest)
    if newest:
        return tuple((folder / manifest.engine, manifest) for manifest in newest.values())
    build = f"edgesr build {shlex.quote(str(artifact.folder))}"
    if misfits:
        more = f" (and {len(misfits) - 1} more that do not fit)" if len(misfits) > 1 else ""
        raise ArtifactError(misfits[0] + more, hint=f"Build it here: {build}")
    strangers = sorted(folder.glob("*.engine"))
    if strangers:
        trust = f"{build} --trust {shlex.quote(str(strangers[0]))}"
        raise ArtifactError(
            f"{strangers[0]} has no manifest that says who built it and from what; an engine is code, so it was not loaded",
            hint=f"Build it here: {build}\nIf you built it yourself, from this artifact: {trust}",
        )
    raise ArtifactError(f"{artifact.folder} has no engine yet", hint=f"Build it here: {build}")
