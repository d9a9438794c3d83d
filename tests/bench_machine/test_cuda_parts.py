"""What `edgesr doctor` says of an NVIDIA GPU, on planted machines and with planted packages."""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import onnxruntime
import pytest

from edgesr import ort_packages
from edgesr.bench import cuda_parts as module
from edgesr.bench.cuda_parts import Part, cuda_parts
from edgesr.errors import BackendMissingError

Plant = Callable[..., Path]
GPU = {"name": "NVIDIA Planted", "driver": "580.65", "cuda_of_driver": "13.0", "compute_capability": "9.0"}


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpu_record", lambda: (GPU, {}))


@pytest.fixture
def one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort_packages, "installed", lambda: {"onnxruntime-gpu": "1.31.1"})


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpu_record", lambda: ({}, {"all": "no NVIDIA driver: planted"}))


def planted(name: str, *, version: str = "10.13.3.9") -> ModuleType:
    module = ModuleType(name)
    module.__version__ = version  # type: ignore[attr-defined]  # as packages have it
    module.__spec__ = ModuleSpec(name, None)
    return module


@pytest.mark.parametrize("version", ["10.3.0.30", "12.0.0.1"])
def test_a_tensorrt_that_cannot_be_used_is_not_ok(
    with_gpu: None, one_build: None, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(module, "open_on_gpu", lambda *_: (None, ""))
    monkeypatch.setitem(sys.modules, "tensorrt", planted("tensorrt", version=version))
    row = named(cuda_parts())["TensorRT"]
    assert row.state == "does not work"
    assert f"this is TensorRT {version}; edgesr takes 10.13 and later, up to 11" in row.found
    assert "edgesr[tensorrt]" in row.remedy


def named(parts: tuple[Part, ...]) -> dict[str, Part]:
    return {part.name: part for part in parts}


def test_without_a_driver_nothing_is_tried(without_gpu: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "open_on_gpu", lambda *_: pytest.fail("there is nothing to try"))
    parts = named(cuda_parts(tmp_path))
    driver = parts["driver and GPU"]
    assert (driver.found, driver.state) == ("no NVIDIA driver: planted", "missing")
    assert "JetPack" in driver.remedy
    assert parts["PyTorch on CUDA"].state == "not tried"
    assert parts["PyTorch on CUDA"].found.startswith("torch 2.")
    assert parts["ONNX Runtime on CUDA"].state == "not tried"
    assert "CPUExecutionProvider" in parts["ONNX Runtime"].found


def test_a_jetson_whose_driver_has_no_nvml(without_gpu: None, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_on_gpu", lambda *_: (None, "1 operators on CUDA"))
    root = plant({"etc/nv_tegra_release": "# R36 (release), REVISION: 4.0, GCID: 1, BOARD: generic"})
    driver = named(cuda_parts(root))["driver and GPU"]
    assert (driver.found, driver.state) == ("Jetson Linux R36 (release), REVISION: 4.0", "ok")


def test_all_is_well(with_gpu: None, one_build: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available", lambda package: True)
    monkeypatch.setattr(module, "packages_of", lambda package: {package: "1.0"})
    monkeypatch.setattr(module, "open_on_gpu", lambda *_: (None, "1 operators on CUDA"))
    monkeypatch.setattr(module, "_torch", lambda: " for CUDA 13.0, NVIDIA Planted")
    for name in ("tensorrt", "pycuda", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, name, planted(name))
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0")
    parts = named(cuda_parts())
    assert {part.state for part in parts.values()} == {"ok"}, parts
    assert parts["driver and GPU"].found == "NVIDIA Planted, driver 580.65 for CUDA 13.0, compute capability 9.0"
    assert parts["PyTorch on CUDA"].found == "torch 1.0 for CUDA 13.0, NVIDIA Planted"
    assert parts["ONNX Runtime"].found.startswith("onnxruntime-gpu 1.31.1 for CUDA 13.0: ")
    assert parts["ONNX Runtime on TensorRT"].found == "1 operators on CUDA"
    assert not any(part.remedy for part in parts.values())


def test_two_builds_are_a_conflict_with_the_two_commands_that_mend_it(with_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}
    monkeypatch.setattr(ort_packages, "installed", lambda: both)
    monkeypatch.setattr(module, "open_on_gpu", lambda *_: (None, ""))
    found = named(cuda_parts())["ONNX Runtime"]
    assert found.state == "conflict"
    assert "uninstalling one breaks the other" in found.found
    assert found.remedy == 'pip uninstall -y onnxruntime onnxruntime-gpu; pip install "onnxruntime-gpu[cuda,cudnn]"'


def test_a_module_that_cannot_be_imported(with_gpu: None, one_build: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after one of two builds was uninstalled."""
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    monkeypatch.setattr(module, "_provider", lambda name, make, here: Part(name=name, found="", state="ok"))
    found = named(cuda_parts())["ONNX Runtime"]
    assert found.state == "does not work"
    assert "get_available_providers" in found.found
    assert "pip uninstall -y onnxruntime-gpu; " in found.remedy


def test_a_provider_that_fails_says_what_to_type(with_gpu: None, one_build: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise BackendMissingError("CUDAExecutionProvider did not come up: no libcudnn", hint="type this")

    monkeypatch.setattr(module, "open_on_gpu", refuse)
    found = named(cuda_parts())["ONNX Runtime on CUDA"]
    assert (found.found, found.state, found.remedy) == (
        "CUDAExecutionProvider did not come up: no libcudnn",
        "does not work",
        "type this",
    )


def test_pytorch_for_processors(with_gpu: None, one_build: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(module, "open_on_gpu", lambda *_: (None, ""))
    monkeypatch.setattr(torch.version, "cuda", None)
    found = named(cuda_parts())["PyTorch on CUDA"]
    assert (found.state, found.found.endswith(": built without CUDA")) == ("does not work", True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "finds no GPU" in named(cuda_parts())["PyTorch on CUDA"].found


def test_the_addition_runs() -> None:
    """What the provider is tried with is a model, on the processor too."""
    import numpy as np

    session = onnxruntime.InferenceSession(module._addition(), providers=["CPUExecutionProvider"])
    x = np.ones((1, 3, 8, 8), np.float32)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], 2 * x)
