"""What running on an NVIDIA GPU needs, part by part: what is there, whether it works, and what to type where it does not.

Nothing is tried where there is no driver: then no part can work, and what is installed is all that can be said.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesr import ort_packages
from edgesr.backends import available, how_to_install, packages_of
from edgesr.bench.board import board_record
from edgesr.bench.nvml import gpu_record
from edgesr.errors import EdgesrError
from edgesr.runtimes._ort_providers import TENSORRT, Provider, cuda, open_on_gpu
from edgesr.runtimes._trt.versions import tensorrt_version

_NO_DRIVER = "Install NVIDIA's driver for the GPU; a Jetson has it with JetPack"
_TORCH = "Install PyTorch's build for CUDA: https://pytorch.org/get-started/locally"

State = Literal["ok", "missing", "does not work", "conflict", "not tried"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part. found: what is there, in words, and what it says of itself. remedy: what to type when it is not ok."""

    name: str
    found: str
    state: State
    remedy: str = ""


def cuda_parts(root: Path = Path("/")) -> tuple[Part, ...]:
    """The driver, PyTorch, ONNX Runtime and its two providers, TensorRT, pycuda."""
    driver = _driver(root)
    here = driver.state == "ok"
    ours = how_to_install("tensorrt", "tensorrt")
    return (
        driver,
        _tried("PyTorch on CUDA", "torch", _torch, _TORCH, here=here),
        _onnx_runtime(),
        _provider("ONNX Runtime on CUDA", cuda, here=here),
        *([_provider("ONNX Runtime on TensorRT", _tensorrt_provider, here=here)] if available("tensorrt") else []),
        _tried("TensorRT", "tensorrt", _usable_tensorrt, ours, here=here),
        _tried("pycuda", "pycuda", _imported("pycuda.driver"), ours, here=here),
    )


def _driver(root: Path) -> Part:
    """The driver and its first GPU; a Jetson's driver may have no NVML."""
    name = "driver and GPU"
    known, unknown = gpu_record()
    if known:
        capability = f"compute capability {known.get('compute_capability', 'unknown')}"
        found = (
            f"{known.get('name', 'a GPU')}, driver {known.get('driver', 'unknown')} for CUDA {known.get('cuda_of_driver', '?')}"
        )
        return Part(name=name, found=f"{found}, {capability}", state="ok")
    jetson = board_record(root).get("jetson_linux")
    if jetson:
        return Part(name=name, found=f"Jetson Linux {jetson}", state="ok")
    return Part(name=name, found=unknown.get("all", "the driver knows no GPU"), state="missing", remedy=_NO_DRIVER)


def _onnx_runtime() -> Part:
    """The builds that are installed, and the providers that the module has."""
    packages = ort_packages.installed()
    wrong = ort_packages.complaint(packages)
    remedy = "; ".join(ort_packages.commands(packages, gpu=True))
    if wrong:
        return Part(name="ONNX Runtime", found=wrong, state="conflict" if packages else "missing", remedy=remedy)
    try:
        module = importlib.import_module(ort_packages.MODULE)
        providers = ", ".join(module.get_available_providers())
    except Exception as error:  # noqa: BLE001  # whatever a broken installation raises is what is wrong with it
        return Part(name="ONNX Runtime", found=_said(error), state="does not work", remedy=remedy)
    toolkit = getattr(module, "cuda_version", "")
    built = f"{ort_packages.described(packages)}{f' for CUDA {toolkit}' if toolkit else ''}"
    return Part(name="ONNX Runtime", found=f"{built}: {providers}", state="ok")


def _provider(name: str, make: Callable[[], Provider], *, here: bool) -> Part:
    """Whether a session with one addition comes up on the provider."""
    packages = ort_packages.installed()
    if not here or not packages:
        return Part(name=name, found=ort_packages.described(packages), state="not tried" if packages else "missing")
    import onnxruntime

    try:
        _, placed = open_on_gpu(_addition(), [make()], onnxruntime.SessionOptions())
    except EdgesrError as error:
        return Part(name=name, found=error.message, state="does not work", remedy=error.hint)
    return Part(name=name, found=placed, state="ok")


def _tensorrt_provider() -> Provider:
    """With no cache: an addition is built in no time."""
    importlib.import_module("tensorrt")
    return Provider(name=TENSORRT, options={"device_id": "0"})


def _addition() -> bytes:
    """The smallest model that computes something."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "addition", [x], [y])
    data: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    return data


def _tried(name: str, package: str, attempt: Callable[[], str], remedy: str, *, here: bool) -> Part:
    """What the attempt says, or why it fails."""
    if not available(package):
        return Part(name=name, found="not installed", state="missing", remedy=remedy)
    if not here:
        return Part(name=name, found=_version(package), state="not tried")
    try:
        return Part(name=name, found=f"{_version(package)}{attempt()}", state="ok")
    except Exception as error:  # noqa: BLE001  # whatever a broken installation raises is what is wrong with it
        return Part(name=name, found=f"{_version(package)}: {_said(error)}", state="does not work", remedy=remedy)


def _torch() -> str:
    import torch

    if torch.version.cuda is None:
        raise RuntimeError("built without CUDA")
    if not torch.cuda.is_available():
        raise RuntimeError(f"built for CUDA {torch.version.cuda}, finds no GPU that it can use")
    return f" for CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}"


def _usable_tensorrt() -> str:
    """Of a version that `edgesr build` takes, too."""
    tensorrt_version()
    return ""


def _imported(module: str) -> Callable[[], str]:
    def attempt() -> str:
        importlib.import_module(module)
        return ""

    return attempt


def _version(package: str) -> str:
    """Of the package that brings the module, whatever it is called."""
    return ort_packages.described(packages_of(package)) if packages_of(package) else f"{package} of no package"


def _said(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
