"""A TensorRT artifact without a model in it, and sessions on a device of plain memory."""

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))  # for tests.runtimes.trt.…, where pytest was not started by `python -m`

from edgesr.artifact import Artifact, read_artifact, write_manifest
from edgesr.files import sha256_of
from edgesr.manifest import FileInfo, Manifest, Profile, TensorInfo
from edgesr.model import Reach
from edgesr.parity import Budget, Difference, Edge
from edgesr.recorded import RECORDED, write_recorded
from edgesr.runtimes import tensorrt as runtime
from edgesr.runtimes._trt import driver
from edgesr.runtimes._trt.engines import Here
from edgesr.runtimes._trt.messages import listener
from edgesr.tensors import SizeRule, parse_sizes
from tests.runtimes.trt.planted_cuda import PlantedCuda
from tests.runtimes.trt.planted_tensorrt import Behaviour, module

MakeArtifact = Callable[..., Artifact]


def profile(text: str) -> Profile:
    """`HxW`, or a range as `HxW..HxW`, whose end is also the optimum -> the profile for pictures one by one."""
    rule = parse_sizes(text)
    assert rule.maximum is not None
    low, high = ((1, size.height, size.width) for size in (rule.minimum, rule.maximum))
    return Profile(minimum=low, optimum=high, maximum=high)


@pytest.fixture(autouse=True)
def heeds_interrupts() -> Iterator[None]:
    """What runs in the background may have been started deaf to SIGINT, and so would its children."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


def manifest(sizes: str = "8x8..64x64", *, open_shape: bool = True, **changes: Any) -> Manifest:
    """Of a ×2 network that sees 4 pixels far."""
    rule: SizeRule = parse_sizes(sizes)
    sides: tuple[int | str, ...] = ("height", "width") if open_shape else (rule.minimum.height, rule.minimum.width)
    edge = Edge(name="artifact", differences=(Difference(input="picture", max_abs=0, relative_l2=0, psnr_db=200),))
    fields: dict[str, Any] = {
        "artifact": "toy-x2.onnx",
        "format": "onnx",
        "model": "toy",
        "scale": 2,
        "target": "tensorrt",
        "precision": "fp32",
        "options": {},
        "islands": (),
        "budget": Budget(relative_l2=1e-4, psnr_db=50),
        "weights": {"kind": "demo", "name": "toy.safetensors", "sha256": "0" * 64},
        "sizes": rule,
        "reach": Reach(kind="local", radius=4),
        "input": TensorInfo(name="input", shape=(1, 3, *sides)),
        "output": TensorInfo(name="output", shape=(1, 3, *sides)),
        "rewrites": (),
        "parity": (edge,),
        "files": (),
        "tools": {},
        "profiles": tuple(profile(each) for each in sizes.split(",")),
    }
    return Manifest(**{**fields, **changes})


@pytest.fixture
def make_artifact(tmp_path: Path) -> MakeArtifact:
    """Writes an artifact whose reference repeats pixels."""

    def make(sizes: str = "8x8..64x64", **changes: Any) -> Artifact:
        folder = tmp_path / "toy x2"
        folder.mkdir()
        (folder / "toy-x2.onnx").write_bytes(b"a graph")
        image = np.random.default_rng(0).random((1, 3, 16, 24), dtype=np.float32)
        write_recorded(folder / RECORDED, {"picture": image}, {"picture": image.repeat(2, axis=2).repeat(2, axis=3)})
        files = tuple(
            FileInfo(name=path.name, sha256=sha256_of(path), bytes=path.stat().st_size) for path in sorted(folder.iterdir())
        )
        write_manifest(folder, manifest(sizes, **{"files": files, **changes}))
        return read_artifact(folder)

    return make


@pytest.fixture
def orin() -> Here:
    return Here(tensorrt="10.13.3.9", gpu="NVIDIA Jetson AGX Orin", compute_capability="8.7", driver="13.0")


@dataclass(frozen=True, kw_only=True)
class Board:
    """A machine with a planted TensorRT and a planted CUDA driver."""

    trt: Behaviour
    cuda: PlantedCuda


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """What is planted stands where the real ones would be imported and loaded."""
    made = Board(trt=Behaviour(), cuda=PlantedCuda())
    monkeypatch.setitem(sys.modules, "tensorrt", module(made.trt, profile("16x24")))
    pycuda = ModuleType("pycuda")
    pycuda.__spec__ = ModuleSpec("pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda", pycuda)
    monkeypatch.setattr(driver, "_load", lambda: made.cuda)
    monkeypatch.setattr(runtime, "CudaDevice", lambda: made.trt.device)
    listener.cache_clear()
    yield made
    listener.cache_clear()
