"""Core ML's part of coremltools, planted into the real one; a bench's worker imports this file by name.

It knows what is asked of it, and proves nothing about Core ML. test_session.py compares its names with those of the real classes.
"""

import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from edgesr.artifact import Artifact, files_in, read_artifact, write_manifest
from edgesr.levels import floats_of
from edgesr.manifest import Manifest, TensorInfo
from edgesr.model import Reach
from edgesr.parity import Budget, Difference, Edge
from edgesr.runtime import Bound
from edgesr.runtimes.coreml import CoremlSession
from edgesr.tensors import FloatArray, Size, SizeRule, parse_sizes


class MLNeuralEngineComputeDevice:
    pass


class MLCPUComputeDevice:
    pass


_PLAN = {"conv": MLNeuralEngineComputeDevice, "pixel_shuffle": MLNeuralEngineComputeDevice, "gather": MLCPUComputeDevice}


class MLModel:
    """A ×2 network: repeated pixels with more contrast, so that clamping shows."""

    loads = True
    opened: Sequence[tuple[str, str | None]] = ()

    def __init__(self, model: str, compute_units: Any, function_name: str | None = None) -> None:
        assert Path(model).is_dir()
        MLModel.opened = (*MLModel.opened, (compute_units.name, function_name))

    def get_compiled_model_path(self) -> str:
        if not self.loads:
            raise RuntimeError("This model was not loaded or compiled with the Core ML Framework.")
        return "compiled.mlmodelc"

    def predict(self, data: dict[str, Any]) -> dict[str, Any]:
        (given,) = data.values()
        time.sleep(0.01)
        if not isinstance(given, Image.Image):
            return {"output": network(given)}
        levels = network(floats_of(np.asarray(given).transpose(2, 0, 1)[None])).clip(0, 1) * 255
        return {"output": Image.fromarray(np.round(levels[0]).astype(np.uint8).transpose(1, 2, 0)).convert("RGBA")}


class MLComputePlan:
    has_plans = True

    def __init__(self) -> None:
        made = [SimpleNamespace(operator_name=name, outputs=[SimpleNamespace(name=f"{name}_0")]) for name in _PLAN]
        constant = SimpleNamespace(operator_name="const", outputs=[SimpleNamespace(name="weight")])
        block = SimpleNamespace(operations=[constant, *made])
        self.model_structure = SimpleNamespace(program=SimpleNamespace(functions={"main": SimpleNamespace(block=block)}))

    @classmethod
    def load_from_path(cls, path: str, compute_units: Any) -> "MLComputePlan":
        assert path == "compiled.mlmodelc"
        if not cls.has_plans:
            raise ValueError("MLComputePlan is not supported.")
        return cls()

    def get_compute_device_usage_for_mlprogram_operation(self, operation: Any) -> Any:
        device = _PLAN.get(operation.operator_name)
        return device and SimpleNamespace(preferred_compute_device=device())


def network(image: FloatArray) -> FloatArray:
    return image.repeat(2, axis=2).repeat(2, axis=3) * np.float32(1.4) - np.float32(0.2)


def plant(models: ModuleType, plans: ModuleType) -> None:
    """Put both classes into `coremltools.models` and `coremltools.models.compute_plan`."""
    models.__dict__["MLModel"], plans.__dict__["MLComputePlan"] = MLModel, MLComputePlan


def write_artifact(folder: Path, *, sizes: str = "20x30", picture: bool = True, **changes: Any) -> Artifact:
    """Around a package without a model in it."""
    package = folder / "toy.mlpackage" / "Data"
    package.mkdir(parents=True)
    (package / "weight.bin").write_bytes(b"weights")
    (folder / "toy.mlpackage" / "Manifest.json").write_text("{}")
    kind: dict[str, Any] = {"dtype": "uint8", "range": (0.0, 255.0)} if picture else {}
    edge = Edge(name="artifact", differences=(Difference(input="picture", max_abs=0, relative_l2=0, psnr_db=200),))
    fields: dict[str, Any] = {
        "artifact": "toy.mlpackage",
        "format": "mlpackage",
        "model": "toy",
        "scale": 2,
        "target": "coreml",
        "precision": "fp16",
        "options": {},
        "islands": (),
        "budget": Budget(relative_l2=2e-2, psnr_db=50),
        "weights": "untrained",
        "sizes": parse_sizes(sizes),
        "reach": Reach(kind="local", radius=1),
        "input": TensorInfo(name="input", shape=(1, 3, "H", "W"), **kind),
        "output": TensorInfo(name="output", shape=(1, 3, "2*H", "2*W"), **kind),
        "rewrites": (),
        "parity": (edge,),
        "files": files_in(folder),
        "tools": {},
    }
    write_manifest(folder, Manifest(**{**fields, **changes}))
    return read_artifact(folder)


def artifact(*, folder: str, device: str) -> CoremlSession:
    """How a worker opens one."""
    plant(import_module("coremltools.models"), import_module("coremltools.models.compute_plan"))
    return CoremlSession(read_artifact(Path(folder)), device)


class Reference:
    """The network without rounding or clamping."""

    scale = 2
    sizes = SizeRule(minimum=Size(height=1, width=1))
    settings = {"planted": "yes"}  # noqa: RUF012  # as plain as a fake should be

    def run(self, image: FloatArray) -> FloatArray:
        time.sleep(0.01)
        return network(image)

    def bind(self, image: FloatArray) -> Bound:
        return Bound(lambda: self.run(image), lambda output: output)
