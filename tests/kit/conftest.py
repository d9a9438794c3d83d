"""A Core ML artifact without a model in it: the kit copies the package and reads the manifest, and runs neither."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.artifact import FileInfo, Manifest, TensorInfo, write_manifest
from edgesr.files import sha256_of
from edgesr.model import Reach
from edgesr.parity import Budget
from edgesr.recorded import RECORDED
from edgesr.tensors import FloatArray, Size, SizeRule

SIZE = Size(height=24, width=32)
MODEL_FILES = {
    "toy-x2.mlpackage/Manifest.json": b"{}",
    "toy-x2.mlpackage/Data/com.apple.CoreML/model.mlmodel": b"\x08\x09model",
    "toy-x2.mlpackage/Data/com.apple.CoreML/weights/weight.bin": bytes(range(256)) * 3,
}

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
        for name, data in MODEL_FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        pairs = recorded() if arrays is None else arrays
        np.savez_compressed(folder / RECORDED, **pairs)  # type: ignore[arg-type]  # numpy's stub gives its own options the names of arrays
        files = tuple(
            FileInfo(name=name, sha256=sha256_of(folder / name), bytes=(folder / name).stat().st_size)
            for name in (*MODEL_FILES, RECORDED)
        )
        write_manifest(folder, replace(usual, **{"files": files, **changes}))
        return folder

    return make


@pytest.fixture
def recorded_arrays() -> dict[str, FloatArray]:
    """What the artifact recorded."""
    return recorded()


@pytest.fixture
def artifact(make_artifact: MakeArtifact) -> Path:
    """The artifact folder as `manifest()` says."""
    return make_artifact()
