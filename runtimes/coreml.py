"""Core ML itself, on a Mac, through coremltools. Nobody could run it where edgesr is made: see docs/coreml.md."""

import importlib
from dataclasses import replace
from typing import Any

import numpy as np

from edgesr.artifact import Artifact, function_name
from edgesr.errors import ArtifactError
from edgesr.levels import floats_of, levels_of
from edgesr.runtime import Bound, Inspection, Options, Placement, Runtime
from edgesr.runtimes._mil.description import check_description
from edgesr.runtimes._mil.placement import inspection
from edgesr.runtimes._mil.program import Package
from edgesr.tensors import FloatArray, Size, SizeRule, size_of

UNITS = {"all": "ALL", "cpu": "CPU_ONLY", "gpu": "CPU_AND_GPU", "ane": "CPU_AND_NE"}
"""edgesr's device -> coremltools' name of the compute units."""


class CoremlSession:
    """A network in Core ML. Sizes are checked before anything runs."""

    def __init__(self, artifact: Artifact, units: str) -> None:
        manifest = artifact.manifest
        self.scale = manifest.scale
        self.sizes: SizeRule = manifest.sizes
        self._names = (manifest.input.name, manifest.output.name)
        self._picture = (manifest.input.is_picture, manifest.output.is_picture)
        self._artifact, self._units = artifact, units
        self._models: dict[str, Any] = {}
        self._first = self.sizes.choices[0] if self.sizes.choices else self.sizes.minimum
        self._model(self._first)  # now, so that loading counts as such, and not as a part of the first run

    @property
    def settings(self) -> dict[str, str]:
        """The units that Core ML may use, and those that its compute plan prefers, which takes a while to read."""
        return {"compute units": self._units, "compute plan": self.placement().summary}

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW); raises SizeError for a size outside `sizes`.

        A package that takes pictures gets the image in 256 steps and gives one.
        """
        self.sizes.check(size_of(image))
        return np.concatenate([self._output(self._predict(image[i : i + 1])) for i in range(len(image))])

    def bind(self, image: FloatArray) -> Bound:
        """A run of the image that was put into Core ML's form before; see `RuntimeSession.bind`."""
        self.sizes.check(size_of(image))
        if len(image) != 1:
            return Bound(lambda: self.run(image), lambda output: output)
        model, given = self._model(size_of(image)), {self._names[0]: self._input(image)}
        return Bound(lambda: model.predict(given), self._output)

    def placement(self) -> Placement:
        """The device that Core ML prefers for each operation of the first function, by its compute plan: macOS 14.4 or later."""
        try:
            return Placement(devices=self._plan())
        except Exception as error:  # noqa: BLE001  # older systems and coremltools say in their own ways that they have no plan
            return Placement(trouble=next(iter(str(error).strip().splitlines()), type(error).__name__))

    def _plan(self) -> dict[str, str]:
        plans = importlib.import_module("coremltools.models.compute_plan")
        path = self._model(self._first).get_compiled_model_path()
        plan = plans.MLComputePlan.load_from_path(path=path, compute_units=self._compute_unit())
        functions = plan.model_structure.program.functions
        function = functions.get(self._function(self._first) or "main") or next(iter(functions.values()))
        found = {}
        for operation in function.block.operations:
            usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
            if usage is not None and operation.outputs:
                device = type(usage.preferred_compute_device).__name__
                found[f"{operation.operator_name} {operation.outputs[0].name}"] = device.removeprefix("ML").removesuffix(
                    "ComputeDevice"
                )
        return found

    def _predict(self, image: FloatArray) -> Any:
        return self._model(size_of(image)).predict({self._names[0]: self._input(image)})

    def _input(self, image: FloatArray) -> Any:
        """One sample as the model takes it: a picture of Pillow's, or an array."""
        if not self._picture[0]:
            return np.ascontiguousarray(image)
        pillow = importlib.import_module("PIL.Image")
        return pillow.fromarray(levels_of(image)[0].transpose(1, 2, 0).astype(np.uint8))

    def _output(self, prediction: Any) -> FloatArray:
        result = prediction[self._names[1]]
        if not self._picture[1]:
            return np.asarray(result, dtype=np.float32)
        return floats_of(np.asarray(result.convert("RGB"), dtype=np.uint8).transpose(2, 0, 1)[None])

    def _function(self, size: Size) -> str | None:
        """The function of a package that has one for each size."""
        return (
            function_name(size) if self._artifact.manifest.options.get("shapes") == "functions" and self.sizes.choices else None
        )

    def _compute_unit(self) -> Any:
        return getattr(importlib.import_module("coremltools").ComputeUnit, UNITS[self._units])

    def _model(self, size: Size) -> Any:
        """The loaded function for the size."""
        name = self._function(size)
        if (name or "") not in self._models:
            ct = importlib.import_module("coremltools")
            try:
                model = ct.models.MLModel(str(self._artifact.path), compute_units=self._compute_unit(), function_name=name)
                model.get_compiled_model_path()  # raises where Core ML has refused the model, of which the line above only warns
            except Exception as error:  # coremltools passes on whatever Core ML says
                raise ArtifactError(
                    f"Core ML cannot load {self._artifact.path.name}: {error}", hint="Export the model again."
                ) from error
            self._models[name or ""] = model
        return self._models[name or ""]


def _open(artifact: Artifact, options: Options) -> CoremlSession:
    check_description(Package(artifact.path), artifact.manifest)
    return CoremlSession(artifact, options.device or next(iter(UNITS)))


def _inspect(artifact: Artifact) -> Inspection:
    try:
        placement = CoremlSession(artifact, next(iter(UNITS))).placement()
    except ArtifactError as error:
        placement = Placement(trouble=error.message)
    return replace(inspection(artifact), placement=placement)


RUNTIME = Runtime(
    title="Core ML (macOS)",
    formats=frozenset({"mlpackage"}),
    package="coremltools",
    extra="coreml",
    open=_open,
    inspect=_inspect,
    whole_numbers=True,
    platforms=frozenset({"darwin"}),
    target="coreml",
    of_one_size=True,
    devices=tuple(UNITS),
)
