"""The runtime `coreml` around a planted Core ML: what is asked of it, and what is made of its answers."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.errors import ArtifactError, SizeError
from edgesr.export.verification import budget_of
from edgesr.runtime import Finding, Inspection, Placement
from edgesr.runtimes.coreml import UNITS, CoremlSession
from tests.runtimes.coreml import planted_coreml
from tests.runtimes.coreml.planted_coreml import MLComputePlan, MLModel, network, write_artifact

Command = Callable[..., Any]
IMAGE = np.random.default_rng(0).integers(0, 256, (2, 3, 20, 30)).astype(np.float32) / np.float32(255)


def test_pictures_go_in_and_come_out_in_whole_numbers(tmp_path: Path) -> None:
    session = CoremlSession(write_artifact(tmp_path / "toy"), "ane")
    output = session.run(IMAGE)
    assert np.abs(output - network(IMAGE).clip(0, 1)).max() <= 0.51 / 255
    bound = session.bind(IMAGE[:1])
    bound()
    np.testing.assert_array_equal(bound.output(), output[:1])
    assert MLModel.opened == (("CPU_AND_NE", None),), "loaded once, when it was opened"


def test_arrays_are_not_clamped(tmp_path: Path) -> None:
    session = CoremlSession(write_artifact(tmp_path / "toy", picture=False), "all")
    np.testing.assert_allclose(session.run(IMAGE), network(IMAGE), atol=1e-6)


def test_each_size_has_its_function(tmp_path: Path) -> None:
    artifact = write_artifact(tmp_path / "toy", sizes="20x30,8x8", options={"shapes": "functions"})
    session = CoremlSession(artifact, "cpu")
    for image in (IMAGE, IMAGE[:, :, :8, :8], IMAGE):
        session.run(image)
    assert MLModel.opened == (("CPU_ONLY", "size_20x30"), ("CPU_ONLY", "size_8x8"))
    with pytest.raises(SizeError):
        session.run(IMAGE[:, :, :9, :9])


def test_a_model_that_core_ml_refuses_is_said_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MLModel, "loads", False)
    with pytest.raises(ArtifactError, match=r"Core ML cannot load toy\.mlpackage: This model was not loaded"):
        CoremlSession(write_artifact(tmp_path / "toy"), "all")


def test_the_compute_plan_names_a_device_for_each_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = CoremlSession(write_artifact(tmp_path / "toy"), "all")
    found = session.placement()
    assert found.devices == {
        "conv conv_0": "NeuralEngine",
        "pixel_shuffle pixel_shuffle_0": "NeuralEngine",
        "gather gather_0": "CPU",
    }
    assert session.settings == {"compute units": "all", "compute plan": "2 NeuralEngine, 1 CPU"}
    monkeypatch.setattr(MLComputePlan, "has_plans", False)
    assert session.placement() == Placement(trouble="MLComputePlan is not supported.")
    assert session.settings["compute plan"] == "unknown: MLComputePlan is not supported."


def test_inspect_shows_the_plan_beside_what_was_predicted(
    edgesr: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = write_artifact(tmp_path / "toy")
    finding = Finding(rule="gather", predicted="it runs on the CPU", source="https://", places=("gather_0",))
    held = Inspection(operators={"conv": 1, "gather": 1}, findings=(finding,))
    monkeypatch.setattr("edgesr.runtimes.coreml.inspection", lambda _: held)
    monkeypatch.setattr("edgesr.cli.inspecting.runs_here", lambda _: True)
    out = edgesr("inspect", artifact.folder).out
    assert "Predicted, not measured" in out
    plan = out.partition("Core ML's compute plan on this machine")[2]
    assert plan.index("NeuralEngine") < plan.index("conv (1), pixel_shuffle (1)") < plan.index("CPU") < plan.index("gather (1)")
    told = edgesr("inspect", artifact.folder, "--json").json
    assert told["inspection"]["placement"]["devices"]["gather gather_0"] == "CPU"
    monkeypatch.setattr(MLModel, "loads", False)
    done = edgesr("inspect", artifact.folder)
    assert (done.code, "told no compute plan: Core ML cannot load toy.mlpackage" in done.out) == (0, True), done


def test_whole_numbers_are_allowed_for_in_this_runtime_only(tmp_path: Path) -> None:
    picture = write_artifact(tmp_path / "picture").manifest
    array = write_artifact(tmp_path / "array", picture=False).manifest
    assert budget_of(picture, "coreml") == picture.budget.of_levels
    assert budget_of(picture, "mil-reference") == picture.budget
    assert budget_of(array, "coreml") == array.budget


def test_what_is_asked_of_coremltools_is_in_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and arguments as its Python sources have them; what Core ML does with them only a Mac can tell."""
    monkeypatch.undo()
    ct, compute_plan = import_module("coremltools"), import_module("coremltools.models.compute_plan")
    compute_device = import_module("coremltools.models.compute_device")
    assert set(UNITS.values()) == {unit.name for unit in ct.ComputeUnit}
    assert {"model", "compute_units", "function_name"} <= inspect.signature(ct.models.MLModel).parameters.keys()
    for name, arguments in (("predict", {"data"}), ("get_compiled_model_path", {"self"})):
        assert arguments <= inspect.signature(getattr(ct.models.MLModel, name)).parameters.keys()
    real = compute_plan.MLComputePlan
    assert {"path", "compute_units"} == inspect.signature(real.load_from_path).parameters.keys()
    assert "operation" in inspect.signature(real.get_compute_device_usage_for_mlprogram_operation).parameters
    assert isinstance(real.model_structure, property)
    for kind, wanted in {
        compute_plan.MLModelStructure: {"program"},
        compute_plan.MLModelStructureProgram: {"functions"},
        compute_plan.MLModelStructureProgramFunction: {"block"},
        compute_plan.MLModelStructureProgramBlock: {"operations"},
        compute_plan.MLModelStructureProgramOperation: {"operator_name", "outputs"},
        compute_plan.MLModelStructureProgramNamedValueType: {"name"},
        compute_plan.MLComputePlanDeviceUsage: {"preferred_compute_device"},
    }.items():
        assert wanted <= {each.name for each in fields(kind)}
    for planted in (planted_coreml.MLNeuralEngineComputeDevice, planted_coreml.MLCPUComputeDevice):
        assert issubclass(getattr(compute_device, planted.__name__), compute_device.MLComputeDevice)
