"""A folder around an artifact for TensorRT, to be copied onto a Jetson: runners in Python and C++, tests, what to type there."""

import shutil
from dataclasses import dataclass, replace
from math import log10
from pathlib import Path

from edgesr.artifact import Artifact, write_manifest
from edgesr.errors import ArtifactError
from edgesr.kit.golden import Golden, golden
from edgesr.kit.package import filled_templates, staged_kit, write_file, write_test_data
from edgesr.kit.range_vectors import range_vectors
from edgesr.kit.source import export_command, read_source, seams, tiling_beyond, weights_in_words
from edgesr.kit.vectors import vectors
from edgesr.manifest import Manifest, Profile
from edgesr.recorded import RECORDED
from edgesr.runtimes._trt.recipe import BuildOptions
from edgesr.runtimes._trt.trtexec import trtexec_line
from edgesr.tensors import Size
from edgesr.tiling import Tiling

TARGET = "tensorrt"


@dataclass(frozen=True, kw_only=True)
class JetsonKit:
    """A kit that was written into `folder`. engines: their file names, one for each of the artifact's profiles."""

    folder: Path
    manifest: Manifest
    engines: tuple[str, ...]


def write_jetson_kit(folder: Path, *, output: Path | None = None) -> JetsonKit:
    """Write a kit around the artifact for TensorRT in `folder`.

    output: where; None makes a folder in the current one, named after the model. An earlier kit is replaced if none of its files
    was changed. Raises what `read_source` raises, and ArtifactError for an artifact that names no shapes, or when the folder
    cannot be written.
    """
    artifact = read_source(folder, target=TARGET, needs="a Jetson needs one for TensorRT")
    manifest = artifact.manifest
    if not manifest.profiles or manifest.artifact not in {file.name for file in manifest.files}:
        raise ArtifactError(
            f"{folder} names no ONNX file and shapes to build an engine for",
            hint=f"Export it again: {export_command(manifest, TARGET)}",
        )
    output = output or Path(f"{manifest.model}-x{manifest.scale}-jetson")
    picture = replace(golden(artifact), mean_square=_allowed(manifest))
    engines = _engines(manifest)
    tiling = tiling_beyond(_largest(manifest), manifest.reach)
    with staged_kit(output, kind="jetson", manifest=manifest) as stage:
        for place, text in filled_templates("jetson", _values(manifest, engines, tiling)):
            write_file(stage / place, text.encode())
        _copy(artifact, stage / "artifact")
        data = {**vectors(tile=_window(manifest, tiling), overlap=tiling.overlap), **range_vectors()}
        write_test_data(stage / "tests", data, picture)
        write_file(stage / "tests" / "golden-input.ppm", _ppm(picture))
    return JetsonKit(folder=output, manifest=manifest, engines=tuple(engines))


def _copy(artifact: Artifact, target: Path) -> None:
    """The artifact as `edgesr build` takes it, without the recorded outputs, which are many times the model's size.

    `check.py` has one of them as a picture; `edgesr verify` takes the artifact where the export's own file is put beside it.
    """
    files = tuple(file for file in artifact.manifest.files if file.name != RECORDED)
    for file in files:
        (target / file.name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.folder / file.name, target / file.name)
    write_manifest(target, replace(artifact.manifest, files=files))


def _allowed(manifest: Manifest) -> float:
    """The mean square of differences, of samples from 0 to 255, that what the artifact's budget allows comes to after rounding.

    Values that differ by e < 1 are rounded to different samples in e of all cases, so that the squares are e + e² at most. In
    float32 an engine only adds up in another order than the reference, which a tenth of the budget allows for: some 74 dB, which
    float16 (65 dB, VapSR-S) and TF32 miss.
    """
    relative = manifest.budget.relative_l2 / (10 if manifest.precision == "fp32" else 1)
    levels = 255 * min(10 ** (-manifest.budget.psnr_db / 20), relative)
    return levels + levels**2


def _engines(manifest: Manifest) -> dict[str, Profile]:
    """File name -> what the engine takes, the one for the largest pictures first."""
    profiles = sorted(manifest.profiles, key=lambda each: each.maximum[1] * each.maximum[2], reverse=True)
    if len(profiles) == 1:
        return {"model.engine": profiles[0]}
    return {f"model-{each.maximum[1]}x{each.maximum[2]}.engine": each for each in profiles}


def _largest(manifest: Manifest) -> Size:
    """What the first of the engines takes at most."""
    _, height, width = next(iter(_engines(manifest).values())).maximum
    return Size(height=height, width=width)


def _window(manifest: Manifest, tiling: Tiling) -> Size:
    """A whole tile with its margins."""
    side, most = tiling.tile + 2 * tiling.overlap, _largest(manifest)
    return Size(height=min(side, most.height), width=min(side, most.width))


def _ppm(picture: Golden) -> bytes:
    """The golden input as the C++ runner reads it."""
    return f"P6\n{picture.size.width} {picture.size.height}\n255\n".encode() + picture.input.tobytes()


def _values(manifest: Manifest, engines: dict[str, Profile], tiling: Tiling) -> dict[str, str]:
    """What takes the place of `@@…@@` in the templates."""
    window = _window(manifest, tiling)
    return {
        "MODEL": f"{manifest.model}-x{manifest.scale}",
        "SCALE": str(manifest.scale),
        "RADIUS": str(manifest.reach.radius if manifest.reach.kind == "local" else -1),
        "INPUT": manifest.input.name,
        "OUTPUT": manifest.output.name,
        "ONNX": manifest.artifact,
        "ONNX_SHA256": manifest.model_sha256,
        "PRECISION": manifest.precision,
        "ENGINE": next(iter(engines)),
        "BUILD_10": _build(10, manifest, engines),
        "BUILD_11": _build(11, manifest, engines),
        "ENGINES": "\n".join(f"- `{name}` takes {_shapes(profile)}." for name, profile in engines.items()),
        "WINDOW": str(window),
        "OVERLAP": str(tiling.overlap),
        "SEAMS": seams(manifest.reach, tiling.overlap),
        "BUDGET": f"{10 * log10(255**2 / _allowed(manifest)):.1f}",
        "WEIGHTS": weights_in_words(manifest),
    }


def _build(major: int, manifest: Manifest, engines: dict[str, Profile]) -> str:
    """The lines that build the engines, to be typed in the kit's folder."""
    onnx, cache = Path("artifact") / manifest.artifact, Path("timing.cache")
    return "\n".join(
        trtexec_line(major, manifest, onnx, Path(name), profile, BuildOptions(), cache) for name, profile in engines.items()
    )


def _shapes(profile: Profile) -> str:
    """In words: heights and widths."""
    low, best, high = (Size(height=shape[1], width=shape[2]) for shape in (profile.minimum, profile.optimum, profile.maximum))
    return f"pictures of {low} (HxW)" if low == high else f"pictures from {low} to {high} (HxW), and is fastest at {best}"
