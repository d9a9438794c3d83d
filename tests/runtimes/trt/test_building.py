"""`edgesr build` around a planted TensorRT: what is written, kept and said. It proves nothing about TensorRT itself."""

import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesr.artifact import Artifact
from edgesr.files import sha256_of, write_whole
from edgesr.runtimes._trt.making import build_engines
from edgesr.runtimes._trt.recipe import BuildOptions
from tests.runtimes.trt.conftest import Board, MakeArtifact
from tests.runtimes.trt.planted_tensorrt import plan

Command = Callable[..., Any]


def engines(artifact: Artifact) -> list[str]:
    """The names in the folder of engines; none where there is no folder."""
    return sorted(path.name for path in (artifact.folder / "engines").glob("*"))


def test_it_writes_an_engine_a_manifest_and_the_times(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    artifact = make_artifact()
    done = edgesr("build", artifact.folder, "--json")
    assert (done.code, done.err) == (0, "")
    (made,) = done.json["engines"]
    name = Path(made["path"]).name
    assert name.startswith("toy-x2-1x8x8-1x64x64-fp32-trt10.13.3-nvidia-jetson-agx-orin-")
    assert len(name.removesuffix(".engine").rpartition("-")[2]) == 8
    assert engines(artifact) == sorted([name, name.replace(".engine", ".json"), "timing-trt10.13.3-nvidia-jetson-agx-orin.cache"])
    manifest = json.loads(Path(made["path"]).with_suffix(".json").read_text())
    assert manifest["sha256"] == sha256_of(Path(made["path"]))
    assert {key: manifest[key] for key in ("tensorrt", "gpu", "compute_capability", "driver", "origin", "onnx_sha256")} == {
        "tensorrt": "10.13.3.9",
        "gpu": "NVIDIA Jetson AGX Orin",
        "compute_capability": "8.7",
        "driver": "12.6",
        "origin": "built",
        "onnx_sha256": artifact.manifest.model_sha256,
    }
    assert manifest["profile"] == {"minimum": [1, 8, 8], "optimum": [1, 64, 64], "maximum": [1, 64, 64]}
    assert manifest["scratch_bytes"] == 64 * 64 * 100


def test_the_network_is_strongly_typed_and_keeps_to_float32(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    artifact = make_artifact()
    assert edgesr("build", artifact.folder, "--workspace", 512).code == 0
    assert board.trt.asked == ["network flags 2", f"WORKSPACE {512 << 20}", "RUNTIME_ACTIVATION_RESIZE_10_10 True"]
    assert board.trt.flags == set()
    assert edgesr("build", artifact.folder, "--tf32").code == 0
    board.trt.flags.add("TF32")
    assert edgesr("build", artifact.folder, "--tf32", "--again").code == 0
    assert board.trt.flags == {"TF32"}


def test_what_is_built_is_found_again(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    artifact = make_artifact()
    edgesr("build", artifact.folder)
    done = edgesr("build", artifact.folder)
    assert done.code == 0
    assert "There already: " in done.out
    assert board.trt.built == 1
    assert edgesr("build", artifact.folder, "--again").code == 0
    assert edgesr("build", artifact.folder, "--tf32").code == 0
    assert board.trt.built == 3
    assert len([name for name in engines(artifact) if name.endswith(".engine")]) == 2


def test_sizes_get_an_engine_each(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    artifact = make_artifact()
    done = edgesr("build", artifact.folder, "--size", "16x24,32x32")
    assert done.code == 0
    built = [name for name in engines(artifact) if name.endswith(".engine")]
    assert [name.split("-fp32")[0] for name in built] == ["toy-x2-1x16x24", "toy-x2-1x32x32"]
    assert "for 16x24 (HxW), TensorRT 10.13.3.9, NVIDIA Jetson AGX Orin; scratch memory 0 MB at most" in done.out


def test_a_size_that_the_artifact_does_not_take(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    done = edgesr("build", make_artifact().folder, "--size", "128x128")
    assert done.code == 2
    assert "128x128 (HxW) is too large: this model takes 64x64 at most" in done.err
    assert board.trt.built == 0


def test_a_network_of_one_shape_needs_no_profile(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    board.trt.open_shape = False
    assert edgesr("build", make_artifact("16x24", open_shape=False).folder).code == 0
    assert board.trt.asked == ["network flags 2"]


def test_a_file_that_contradicts_its_manifest(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    board.trt.open_shape = False  # it takes 16x24, and the manifest says a range
    done = edgesr("build", make_artifact().folder)
    assert done.code == 1
    assert "toy-x2.onnx takes (1, 3, 16, 24), which is not what was asked for" in done.err


def test_times_are_given_to_the_next_build(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    artifact = make_artifact()
    edgesr("build", artifact.folder)
    cache = artifact.folder / "engines" / "timing-trt10.13.3-nvidia-jetson-agx-orin.cache"
    assert cache.read_bytes() == b"times"
    done = edgesr("build", artifact.folder, "--again")
    assert done.err == ""
    assert cache.read_bytes() == b"timestimes"


@pytest.mark.parametrize(("held", "said"), [(b"gibberish", "the magic number does not match"), (b"", "it is empty")])
def test_a_damaged_cache_is_made_anew_and_that_is_said(
    edgesr: Command, make_artifact: MakeArtifact, board: Board, tmp_path: Path, held: bytes, said: str
) -> None:
    cache = tmp_path / "times"
    cache.write_bytes(held)
    done = edgesr("build", make_artifact().folder, "--timing-cache", cache)
    assert done.code == 0
    assert f"Warning: the timing cache {cache} was of no use and is made anew: " in done.err
    assert said in done.err
    assert cache.read_bytes() == b"times"


def test_times_that_cannot_be_kept_cost_no_engine(
    edgesr: Command, make_artifact: MakeArtifact, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("edgesr.runtimes._trt.timing.write_whole", refuse)
    artifact = make_artifact()
    done = edgesr("build", artifact.folder)
    assert done.code == 0, done.err
    assert "Warning: cannot write the timing cache" in done.err
    assert "Read-only file system; the next build measures again" in done.err
    assert [name.rpartition(".")[2] for name in engines(artifact)] == ["engine", "json"]


def test_an_interrupt_stops_the_build_and_leaves_nothing(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    board.trt.steps, board.trt.pause = 1000, 0.01
    artifact = make_artifact()

    def interrupt() -> None:
        board.trt.began.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    done = edgesr("build", artifact.folder)
    assert done.code == 130
    assert "interrupted" in done.err
    assert engines(artifact) == []
    assert board.trt.stepped < 500, "the builder was not stopped"


def test_progress_tells_the_builders_phase_and_step(make_artifact: MakeArtifact, board: Board) -> None:
    board.trt.pause = 0.25
    told: list[tuple[str, int, int | None]] = []

    def progress(stage: str, done: int = 0, total: int | None = None) -> None:
        told.append((stage, done, total))

    artifact = make_artifact()
    build_engines(artifact, artifact.manifest.profiles, BuildOptions(), progress)
    assert told[0][0] == "reading toy-x2.onnx"
    assert ("building: Building Engine", 1, 3) in told
    assert told[-1][0] == "loading the engine"


def test_a_graph_that_is_refused_names_the_node(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    board.trt.parses = False
    artifact = make_artifact()
    done = edgesr("build", artifact.folder)
    assert done.code == 1
    assert "TensorRT does not take toy-x2.onnx: Loop /body/Loop_3: a Loop whose trip count is not known" in done.err
    assert engines(artifact) == []


def test_a_build_that_fails_says_what_tensorrt_said(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    board.trt.builds, board.trt.says = False, ["Error Code 10: Could not find any implementation for node /a"]
    artifact = make_artifact()
    done = edgesr("build", artifact.folder)
    assert done.code == 1
    assert "TensorRT could not build toy-x2.onnx: Error Code 10: Could not find any implementation for node /a" in done.err
    assert engines(artifact) == []


def test_too_little_memory_names_a_size_and_a_tile(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    board.trt.builds = False
    board.trt.says = [f"Requested amount of GPU memory ({16 << 30} bytes) could not be allocated."]
    done = edgesr("build", make_artifact("8x8..1024x1024").folder)
    assert done.code == 1
    assert "there is not enough device memory to build for 1024x1024 (HxW): Requested amount" in done.err
    assert "480x480 probably fits: edgesr build DIR --size 480x480, then edgesr upscale --tile 384" in done.err


def test_a_gpu_that_tensorrt_cannot_use(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    board.trt.starts, board.trt.says = False, ["CUDA initialization failure with error: 35"]
    done = edgesr("build", make_artifact().folder)
    assert done.code == 4
    assert "the NVIDIA driver is too old" in done.err


def test_no_gpu(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    board.cuda.codes["cuInit"] = 100
    artifact = make_artifact()
    done = edgesr("build", artifact.folder)
    assert done.code == 4
    assert "the NVIDIA driver cannot start: it finds no GPU" in done.err
    assert engines(artifact) == []


def test_another_version_of_tensorrt(
    edgesr: Command, make_artifact: MakeArtifact, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = make_artifact()
    for version, known in (("8.6.1.6", False), ("10.3.0.30", False), ("12.0.0.1", False), ("11.4.0.106", True)):
        monkeypatch.setattr(sys.modules["tensorrt"], "__version__", version)
        done = edgesr("build", artifact.folder)
        assert done.code == (0 if known else 4), done.err
        assert known or f"this is TensorRT {version}; edgesr takes 10.13 and later, up to 11" in done.err


def test_a_full_disk_leaves_nothing(
    edgesr: Command, make_artifact: MakeArtifact, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = make_artifact()

    def full(path: Path, data: bytes) -> None:
        if path.suffix == ".json":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, data)

    monkeypatch.setattr("edgesr.runtimes._trt.engines.write_whole", full)
    done = edgesr("build", artifact.folder)
    assert done.code == 1
    assert "No space left on device; nothing was left behind" in done.err
    assert [name for name in engines(artifact) if not name.startswith("timing")] == []


def test_verbose_shows_what_tensorrt_says(edgesr: Command, make_artifact: MakeArtifact, board: Board) -> None:
    board.trt.says = ["a layer was slow"]
    done = edgesr("build", make_artifact().folder, "--verbose")
    assert done.code == 0
    assert "TensorRT error: a layer was slow" in done.err


def test_an_engine_of_ones_own_is_taken_over_with_trust(
    edgesr: Command, make_artifact: MakeArtifact, board: Board, tmp_path: Path
) -> None:
    artifact = make_artifact()
    own = tmp_path / "mine.engine"
    own.write_bytes(plan([(1, 3, 8, 8), (1, 3, 16, 16), (1, 3, 32, 32)]))
    done = edgesr("build", artifact.folder, "--trust", own, "--json")
    assert done.code == 0, done.err
    (made,) = done.json["engines"]
    assert (made["origin"], made["profile"]["maximum"]) == ("trusted", [1, 32, 32])
    assert own.exists()
    own.write_bytes(plan([(1, 3, 8, 8)] * 3, names=("images", "boxes")))
    done = edgesr("build", artifact.folder, "--trust", own)
    assert done.code == 1
    assert "mine.engine has other inputs and outputs than this artifact" in done.err
    assert edgesr("build", artifact.folder, "--trust", own, "--tf32").code == 2
    assert edgesr("build", artifact.folder, "--trust", tmp_path / "nowhere").code == 1
