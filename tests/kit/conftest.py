"""Artifacts for Core ML and TensorRT without a model in them: kits copy the files and read the manifest, and run neither."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.artifact import files_in, write_manifest
from edgesr.kit.jetson import write_jetson_kit
from edgesr.manifest import Manifest, Profile, TensorInfo
from edgesr.model import Reach
from edgesr.parity import Budget
from edgesr.recorded import RECORDED
from edgesr.tensors import FloatArray, Size, SizeRule
from tests.kit.cpp_runner import INCLUDE, built_with_cmake, compiled

SIZE = Size(height=24, width=32)
MODEL_FILES = {
    "toy-x2.mlpackage/Manifest.json": b"{}",
    "toy-x2.mlpackage/Data/com.apple.CoreML/model.mlmodel": b"\x08\x09model",
    "toy-x2.mlpackage/Data/com.apple.CoreML/weights/weight.bin": bytes(range(256)) * 3,
}
ONNX = b"not read by kits"

MakeArtifact = Callable[..., Path]


def manifest() -> Manifest:
    """Of a ×2 network that sees 5 pixels far, for pictures of SIZE."""
    picture: dict[str, Any] = {"dtype": "uint8", "range": (0.0, 255.0)}
    return Manifest(
        artifact="toy-x2.mlpackage",
        format="mlpackage",
        model="toy",
        scale=2,
        target="coreml",
        precision="fp16",
        options={"io": "image", "deployment": "ios16"},
        islands=(),
        budget=Budget(relative_l2=1e-2, psnr_db=50),
        weights={"kind": "demo", "name": "toy.safetensors", "sha256": "0" * 64},
        sizes=SizeRule(minimum=SIZE, maximum=SIZE),
        reach=Reach(kind="local", radius=5),
        input=TensorInfo(name="input", shape=(1, 3, SIZE.height, SIZE.width), **picture),
        output=TensorInfo(name="output", shape=(1, 3, 2 * SIZE.height, 2 * SIZE.width), **picture),
        rewrites=(),
        parity=(),
        files=(),
        tools={},
    )


def recorded(size: Size = SIZE) -> dict[str, FloatArray]:
    """A noise input and a picture of 8 bits, with what a reference may have made of them."""
    rng = np.random.default_rng(3)
    picture = (rng.integers(0, 256, (1, 3, size.height, size.width)) / 255).astype(np.float32)
    noise = rng.random((1, 3, size.height, size.width), dtype=np.float32)
    result = picture.repeat(2, axis=2).repeat(2, axis=3) * np.float32(1.1) - np.float32(0.05)
    return {
        "input/noise": noise,
        "output/noise": noise,
        f"input/picture 1x3x{size}": picture,
        f"output/picture 1x3x{size}": result,
    }


@pytest.fixture
def make_artifact(tmp_path: Path) -> MakeArtifact:
    """`make_artifact(scale=3)` -> an artifact folder whose manifest differs in that.

    io: "image", or "tensor" or "half" for a model of float32 or float16 tensors. arrays: what was recorded.
    """

    def make(*, io: str = "image", arrays: dict[str, FloatArray] | None = None, **changes: Any) -> Path:
        folder, usual = tmp_path / "artifact", manifest()
        if io != "image":
            kind = {"tensor": "float32", "half": "float16"}[io]
            ends: dict[str, Any] = {name: replace(getattr(usual, name), dtype=kind) for name in ("input", "output")}
            usual = replace(usual, **ends)
        return written(folder, usual, MODEL_FILES, arrays, changes)

    return make


def written(
    folder: Path,
    usual: Manifest,
    models: dict[str, bytes],
    arrays: dict[str, FloatArray] | None,
    changes: dict[str, Any],
) -> Path:
    """The artifact's folder."""
    for name, data in models.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    pairs = recorded() if arrays is None else arrays
    np.savez_compressed(folder / RECORDED, **pairs)  # type: ignore[arg-type]  # numpy's stub gives its own options the names of arrays
    files = tuple(file for file in files_in(folder) if file.name in (*models, RECORDED))
    write_manifest(folder, replace(usual, **{"files": files, **changes}))
    return folder


def profile(low: tuple[int, int], high: tuple[int, int] | None = None) -> Profile:
    """For one picture from one height and width to another, and best at the larger."""
    largest = (1, *(high or low))
    return Profile(minimum=(1, *low), optimum=largest, maximum=largest)


@pytest.fixture(scope="session")
def write_board_artifact() -> MakeArtifact:
    """`write_board_artifact(folder, scale=3)` -> an artifact for TensorRT, of the same network."""

    def write(folder: Path, *, arrays: dict[str, FloatArray] | None = None, **changes: Any) -> Path:
        usual = replace(
            manifest(),
            artifact="toy-x2.onnx",
            format="onnx",
            target="tensorrt",
            options={},
            input=TensorInfo(name="input", shape=(1, 3, SIZE.height, SIZE.width)),
            output=TensorInfo(name="output", shape=(1, 3, 2 * SIZE.height, 2 * SIZE.width)),
            profiles=(profile((SIZE.height, SIZE.width)),),
        )
        return written(folder, usual, {"toy-x2.onnx": ONNX}, arrays, changes)

    return write


@pytest.fixture
def make_board_artifact(tmp_path: Path, write_board_artifact: MakeArtifact) -> MakeArtifact:
    """`make_board_artifact(scale=3)` -> an artifact for TensorRT whose manifest differs in that."""
    return partial(write_board_artifact, tmp_path / "board artifact")


@pytest.fixture
def board_artifact(make_board_artifact: MakeArtifact) -> Path:
    """The artifact for TensorRT as it usually is."""
    return make_board_artifact()


@pytest.fixture
def jetson_kit(board_artifact: Path, tmp_path: Path) -> Path:
    """A kit around it."""
    return write_jetson_kit(board_artifact, output=tmp_path / "kit").folder


@pytest.fixture
def recorded_arrays() -> dict[str, FloatArray]:
    """What the artifact recorded."""
    return recorded()


@pytest.fixture
def artifact(make_artifact: MakeArtifact) -> Path:
    """The artifact folder as `manifest()` says."""
    return make_artifact()


@pytest.fixture(scope="session")
def cpp_kit(tmp_path_factory: pytest.TempPathFactory, write_board_artifact: Callable[..., Path]) -> Path:
    """Shared: do not alter its files."""
    folder = tmp_path_factory.mktemp("cpp")
    return write_jetson_kit(write_board_artifact(folder / "artifact"), output=folder / "kit").folder


@pytest.fixture(scope="session")
def cmake_build(cpp_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """What CMake makes of the kit, in its usual, optimised build; None where it is not, or finds TensorRT."""
    folder = tmp_path_factory.mktemp("cmake")
    return folder if built_with_cmake(cpp_kit / "cpp", folder) else None


@pytest.fixture(scope="session")
def vectors_program(cpp_kit: Path, cmake_build: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison of the arithmetic with the vectors."""
    if cmake_build:
        return cmake_build / "vectors"
    return compiled([cpp_kit / "cpp" / "tests" / "vectors.cpp"], tmp_path_factory.mktemp("bin") / "vectors")


@pytest.fixture(scope="session")
def nearest(cpp_kit: Path, cmake_build: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner with its stand-in for the engine."""
    if cmake_build:
        return cmake_build / "upscale-nearest"
    return compiled(
        [cpp_kit / "cpp" / "main.cpp"], tmp_path_factory.mktemp("bin") / "nearest", '-DKIT_ENGINE="tests/nearest.hpp"'
    )


@pytest.fixture(scope="session")
def upscale(cpp_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner with engine.cpp, against our stand-ins for TensorRT and CUDA."""
    sources = [cpp_kit / "cpp" / name for name in ("main.cpp", "engine.cpp")]
    return compiled(sources, tmp_path_factory.mktemp("bin") / "upscale", f"-I{INCLUDE}", "-pthread")
