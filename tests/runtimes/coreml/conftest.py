"""coremltools with Core ML's part planted; workers import what is planted from the repository."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))  # for tests.runtimes.coreml.…, where pytest was not started by `python -m`

from tests.runtimes.coreml import planted_coreml


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real module with two classes exchanged; skipped where it is not installed."""
    models = pytest.importorskip("coremltools.models")
    plans = pytest.importorskip("coremltools.models.compute_plan")
    monkeypatch.setattr(models, "MLModel", planted_coreml.MLModel)
    monkeypatch.setattr(plans, "MLComputePlan", planted_coreml.MLComputePlan)
    monkeypatch.setattr(planted_coreml.MLModel, "opened", ())
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
