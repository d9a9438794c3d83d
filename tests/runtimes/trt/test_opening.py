"""Which engines are loaded and which are not, and what is said; around a planted TensorRT."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesr.artifact import Artifact
from edgesr.errors import ArtifactError, UsageError
from edgesr.files import sha256_of
from edgesr.manifest import digest
from edgesr.runtime import RuntimeSession
from edgesr.runtimes import open_artifact, runtimes
from edgesr.runtimes._trt.engines import Here, usable_engines
from tests.runtimes.trt.conftest import Board, MakeArtifact
from tests.runtimes.trt.planted_tensorrt import plan

Command = Callable[..., Any]


@pytest.fixture
def built(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> Artifact:
    """An artifact with one engine, for 8x8 to 64x64."""
    artifact = make_artifact()
    assert edgesr("build", artifact.folder).code == 0
    return artifact


def engine(artifact: Artifact) -> Path:
    return next((artifact.folder / "engines").glob("*.engine"))


def opened(artifact: Artifact) -> RuntimeSession:
    return open_artifact(artifact, runtime="tensorrt")


def ran(artifact: Artifact) -> RuntimeSession:
    """A session after its first picture, which is when the engine is loaded."""
    session = opened(artifact)
    session.run(np.zeros((1, 3, 8, 8), np.float32))
    return session


def test_a_picture_goes_through(edgesr: Command, built: Artifact, tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "in.png")
    done = edgesr("upscale", tmp_path / "in.png", tmp_path / "out.png", "--artifact", built.folder, "--runtime", "tensorrt")
    assert done.code == 0, done.err
    with Image.open(tmp_path / "out.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), levels.repeat(2, axis=0).repeat(2, axis=1))


def test_a_large_picture_goes_through_in_tiles(edgesr: Command, built: Artifact, board: Board, tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (150, 200, 3)).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "in.png")
    done = edgesr("upscale", tmp_path / "in.png", tmp_path / "out.png", "--artifact", built.folder, "--runtime", "tensorrt")
    assert done.code == 0, done.err
    with Image.open(tmp_path / "out.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), levels.repeat(2, axis=0).repeat(2, axis=1))
    assert board.trt.device.allocations == 3, "all tiles in the same buffers"


def test_the_artifact_is_verified_in_it(edgesr: Command, built: Artifact) -> None:
    done = edgesr("verify", built.folder, "--runtime", "tensorrt")
    assert done.code == 0, done.err
    assert "same function as the reference's outputs recorded at export" in done.out


def test_settings_name_the_engine_and_tensorrt(built: Artifact) -> None:
    session = ran(built)
    assert session.settings["TensorRT"] == "10.13.3.9"
    assert session.settings["engine"] == engine(built).stem
    assert session.settings["TF32"] == "no"


def test_of_engines_for_one_shape_the_newest_runs(edgesr: Command, built: Artifact) -> None:
    for words, tf32 in ((["--tf32"], "yes"), (["--again"], "no"), (["--tf32", "--again"], "yes")):
        assert edgesr("build", built.folder, *words).code == 0
        assert ran(built).settings["TF32"] == tf32
    found = edgesr("build", built.folder)
    assert "There already" in found.out
    assert "was built later than" in found.err
    assert found.err.count(".engine") == 2
    assert edgesr("build", built.folder, "--tf32").err == ""


def test_there_is_no_engine_yet(make_artifact: MakeArtifact, board: Board) -> None:
    artifact = make_artifact()
    with pytest.raises(ArtifactError, match="has no engine yet") as caught:
        opened(artifact)
    assert f"edgesr build '{artifact.folder}'" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tensorrt": "10.16.0.1"}, "was built for TensorRT 10.13.3.9, here is 10.16.0.1"),
        ({"gpu": "NVIDIA Thor"}, "was built for GPU NVIDIA Jetson AGX Orin, here is NVIDIA Thor"),
        ({"compute_capability": "11.0"}, "was built for compute capability 8.7, here is 11.0"),
    ],
)
def test_an_engine_of_another_machine_is_not_loaded(built: Artifact, orin: Here, changes: dict[str, str], said: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        usable_engines(built, replace(orin, **changes))
    assert said in caught.value.message
    assert f"edgesr build '{built.folder}'" in caught.value.hint


def test_another_driver_is_none_of_its_business(built: Artifact, orin: Here) -> None:
    assert usable_engines(built, replace(orin, driver="14.0"))


def test_an_engine_of_another_export_is_not_loaded(built: Artifact, orin: Here) -> None:
    files = tuple(replace(file, sha256="f" * 64) for file in built.manifest.files)
    other = replace(built, manifest=replace(built.manifest, files=files))
    with pytest.raises(ArtifactError, match="was built from another export of the network"):
        usable_engines(other, orin)


def test_a_changed_engine_is_not_loaded(built: Artifact, board: Board) -> None:
    engine(built).write_bytes(engine(built).read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="was changed after the build") as caught:
        opened(built)
    assert f"rm '{engine(built).with_suffix('')}'.*" in caught.value.hint


def test_a_lost_engine_is_said(edgesr: Command, built: Artifact, board: Board) -> None:
    engine(built).unlink()
    with pytest.raises(ArtifactError, match="is missing; only its manifest is there"):
        opened(built)
    assert edgesr("build", built.folder, "--again").code == 0
    assert opened(built)


def test_a_stranger_is_not_loaded_and_can_be_trusted(edgesr: Command, built: Artifact, board: Board) -> None:
    engine(built).with_suffix(".json").unlink()
    with pytest.raises(ArtifactError, match="has no manifest that says who built it") as caught:
        opened(built)
    assert f"--trust '{engine(built)}'" in caught.value.hint
    assert edgesr("build", built.folder, "--trust", engine(built)).code == 0
    assert opened(built).sizes.description == "8x8 to 64x64"


@pytest.mark.parametrize("change", ["no json", "[]", "schema", "digest", "name", "profile"])
def test_a_damaged_manifest_is_said(built: Artifact, board: Board, change: str) -> None:
    path = engine(built).with_suffix(".json")
    data = json.loads(path.read_text())
    changed: dict[str, Any] = {
        "schema": {**data, "schema": 99},
        "digest": {**data, "gpu": "NVIDIA Thor"},
        "name": {**data, "engine": "../other.engine"},
        "profile": {**data, "profile": [8, 8]},
    }
    if change in changed:
        path.write_text(json.dumps({**changed[change], **({} if change == "digest" else {"digest": digest(changed[change])})}))
    else:
        path.write_text(change)
    with pytest.raises(ArtifactError, match=r"is no manifest of an engine|is about") as caught:
        opened(built)
    assert f"rm '{engine(built).with_suffix('')}'.*" in caught.value.hint


def test_an_engine_of_other_shapes_than_its_manifest_says(built: Artifact, board: Board) -> None:
    path = engine(built).with_suffix(".json")
    data = json.loads(path.read_text())
    data["profile"]["maximum"] = [1, 4096, 4096]
    path.write_text(json.dumps({**data, "digest": digest(data)}))
    with pytest.raises(ArtifactError, match="takes other shapes than its manifest says"):
        ran(built)


def test_an_engine_that_tensorrt_refuses(built: Artifact, board: Board) -> None:
    board.trt.loads, board.trt.says = False, ["IRuntime::deserializeCudaEngine: Error Code 1: Serialization (bad magic)"]
    with pytest.raises(Exception, match=r"cannot be loaded: Error Code 1: Serialization \(bad magic\)"):
        ran(built)


def test_an_engine_that_is_not_what_its_manifest_says(built: Artifact, board: Board) -> None:
    path = engine(built)
    path.write_bytes(plan([(1, 3, 8, 8)] * 3, names=("a", "b")))
    data = json.loads(path.with_suffix(".json").read_text())
    data["sha256"] = sha256_of(path)
    path.with_suffix(".json").write_text(json.dumps({**data, "digest": digest(data)}))
    with pytest.raises(ArtifactError, match="has other inputs and outputs"):
        ran(built)


def test_an_artifact_for_another_target_is_refused(vapsr_s: Artifact, board: Board) -> None:
    with pytest.raises(UsageError, match="is an artifact for ort, not for TensorRT") as caught:
        opened(vapsr_s)
    assert "edgesr export vapsr-s --scale 4 --target tensorrt" in caught.value.hint


def test_it_is_nobodys_default(vapsr_s: Artifact, board: Board) -> None:
    fitting = [name for name, runtime in runtimes().items() if "onnx" in runtime.formats and not runtime.peer]
    assert fitting[0] == "ort"
    assert type(open_artifact(vapsr_s)).__name__ == "OrtSession"


def test_without_tensorrt_the_commands_are_told(
    edgesr: Command, make_artifact: MakeArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesr.backends.available", lambda _: False)
    artifact = make_artifact("16x24,8x8")
    done = edgesr("build", artifact.folder, "--workspace", 256)
    assert done.code == 4
    folder = str(artifact.folder)
    assert "runtime tensorrt needs the package tensorrt, which is not installed" in done.err
    assert 'pip install "edgesr[tensorrt]"' in done.err
    assert done.err.count("trtexec '--onnx=") == 4
    assert (
        f"trtexec '--onnx={folder}/toy-x2.onnx' '--saveEngine={folder}/engines/toy-x2-1x16x24-fp32.engine' "
        f"'--timingCacheFile={folder}/engines/timing.cache' --skipInference --stronglyTyped --noTF32 "
        "--memPoolSize=workspace:256M --minShapes=input:1x3x16x24 --optShapes=input:1x3x16x24 --maxShapes=input:1x3x16x24"
    ) in done.err
    assert not (artifact.folder / "engines").exists()


def test_a_jetson_hears_of_its_own_tensorrt_wherever_it_is_missing(
    edgesr: Command, make_artifact: MakeArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nv_tegra_release").write_text("# R36")
    monkeypatch.setattr("edgesr.backends._ON_JETSON", tmp_path / "nv_tegra_release")
    monkeypatch.setattr("edgesr.backends.available", lambda _: False)
    artifact = make_artifact()
    for words in (["build", artifact.folder], ["verify", artifact.folder, "--runtime", "tensorrt"]):
        done = edgesr(*words)
        assert (done.code, "runtime tensorrt needs the package tensorrt" in done.err) == (4, True), done.err
        assert "comes with JetPack" in done.err
        assert "edgesr[tensorrt]" not in done.err


def test_an_export_does_not_replace_what_engines_were_built_from(edgesr: Command, built: Artifact) -> None:
    done = edgesr("export", "vapsr-s", "--target", "tensorrt", "-o", built.folder)
    assert (done.code, "holds engines that were built from the artifact there" in done.err) == (1, True), done.err
    assert f"rm -r '{built.folder / 'engines'}'" in done.err
    assert engine(built).exists()


def test_trtexec_of_11_is_strongly_typed_by_itself_and_fixed_files_take_no_shapes(
    edgesr: Command, make_artifact: MakeArtifact, board: Board
) -> None:
    board.trt.open_shape = False
    done = edgesr("build", make_artifact("16x24", open_shape=False).folder, "--tf32", "--json")
    ten, eleven = done.json["trtexec"]
    assert ten == eleven.replace(" --skipInference", " --skipInference --stronglyTyped")
    assert "Shapes" not in ten
    assert "TF32" not in ten
    assert "memPoolSize" not in ten
