"""From an artifact to engines in its folder: built, found built already, or taken over from the user's own hands."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgesr.artifact import ENGINES, Artifact
from edgesr.errors import ArtifactError
from edgesr.manifest import Profile
from edgesr.progress import Progress, silent
from edgesr.runtimes._trt.building import build_plan
from edgesr.runtimes._trt.engines import (
    EngineManifest,
    Here,
    Origin,
    check_bytes,
    engine_stem,
    newest_engines,
    read_manifest,
    write_engine,
)
from edgesr.runtimes._trt.loading import LoadedEngine, here, load
from edgesr.runtimes._trt.recipe import BuildOptions
from edgesr.runtimes._trt.timing import cache_path, keep_cache


@dataclass(frozen=True, kw_only=True)
class Made:
    """An engine in the artifact's folder. seconds: of the build. found: whether it was there before. notes: to be told."""

    path: Path
    manifest: EngineManifest
    seconds: float = 0.0
    found: bool = False
    notes: tuple[str, ...] = ()


def build_engines(
    artifact: Artifact, profiles: Sequence[Profile], options: BuildOptions, progress: Progress = silent
) -> tuple[Made, ...]:
    """An engine for each profile, built unless it is there; one is complete before the next is begun.

    Raises BackendMissingError without TensorRT or GPU, ExportError for a graph that TensorRT refuses, DeviceError for a GPU that
    fails or is too small, ArtifactError for files that are not what they should be. Nothing half-built is left.
    """
    artifact.check_files()
    machine = here()
    return tuple(_build(artifact, profile, options, machine, progress) for profile in profiles)


def trust_engine(artifact: Artifact, file: Path) -> Made:
    """Take an engine over that somebody else built, as by trtexec, and write the manifest that lets it be loaded.

    Loading it runs its code: only the user can know whether that is safe. Raises ArtifactError for an engine that is not this
    artifact's, and DeviceError for one of another TensorRT or GPU.
    """
    artifact.check_files()
    machine = here()
    try:
        plan = file.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{file} cannot be read: {error.strerror}", hint="Name the engine: --trust FILE") from error
    engine = load(plan, file.name)
    engine.check(artifact.manifest, file.name)
    profile = engine.profile(artifact.manifest.input.name)
    return _keep(artifact, profile, {"file": file.name}, machine, plan, engine, origin="trusted")


def _build(artifact: Artifact, profile: Profile, options: BuildOptions, machine: Here, progress: Progress) -> Made:
    folder = artifact.folder / ENGINES
    path = folder / f"{engine_stem(artifact, profile, options.record, machine)}.engine"
    if not options.again and path.with_suffix(".json").is_file():
        manifest = read_manifest(path.with_suffix(".json"))
        check_bytes(path, manifest)
        if not manifest.misfit(artifact, machine):
            runs = newest_engines(artifact, machine)[0][profile]
            note = f"{runs.engine} was built later than {manifest.engine} and runs in its place; to build this one again: --again"
            return Made(path=path, manifest=manifest, found=True, notes=(note,) if runs != manifest else ())
    start = time.perf_counter()
    cache = options.timing_cache or cache_path(folder, machine)
    plan = build_plan(artifact, profile, options, cache, progress)
    progress("loading the engine")
    engine = load(plan.data, path.name)
    engine.check(artifact.manifest, path.name)
    made = _keep(artifact, profile, options.record, machine, plan.data, engine, origin="built")
    unkept = keep_cache(cache, plan.times)  # last: a build that took minutes must not go for the want of it
    notes = (*plan.notes, unkept) if unkept else plan.notes
    return Made(path=made.path, manifest=made.manifest, seconds=time.perf_counter() - start, notes=notes)


def _keep(
    artifact: Artifact,
    profile: Profile,
    options: dict[str, str],
    machine: Here,
    plan: bytes,
    engine: LoadedEngine,
    *,
    origin: Origin,
) -> Made:
    """Write the engine and its manifest."""
    stem = engine_stem(artifact, profile, options, machine)
    manifest = EngineManifest(
        engine=f"{stem}.engine",
        sha256=hashlib.sha256(plan).hexdigest(),
        bytes=len(plan),
        onnx_sha256=artifact.manifest.model_sha256,
        model=artifact.manifest.model,
        scale=artifact.manifest.scale,
        precision=artifact.manifest.precision,
        profile=profile,
        tensorrt=machine.tensorrt,
        gpu=machine.gpu,
        compute_capability=machine.compute_capability,
        driver=machine.driver,
        scratch_bytes=engine.scratch_bytes,
        origin=origin,
        options=options,
        date=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
    folder = artifact.folder / ENGINES
    write_engine(folder, manifest, plan)
    return Made(path=folder / manifest.engine, manifest=manifest)
