"""`edgesr bench` on a Core ML package, in workers with a planted Core ML in the real coremltools, which would import PyTorch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.bench import sweep as module
from edgesr.bench.cells import Group, Planned
from edgesr.bench.child import Opening
from edgesr.bench.memory import ABOVE
from edgesr.bench.protocol import quick
from edgesr.bench.record import Subject, read_record
from edgesr.bench.sweep import Sweep, run
from edgesr.parity import Budget
from tests.runtimes.coreml.planted_coreml import network, write_artifact

W8 = Budget(relative_l2=0.2, psnr_db=40)


def test_a_package_is_measured_with_its_own_budget_and_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 20, 30)).astype(np.float32) / np.float32(255)

    def prepared(function: str, *, seconds: float, folder: str, **_: Any) -> dict[str, Any]:
        np.save(Path(folder) / "image.npy", image)
        np.save(Path(folder) / "expected.npy", network(image) + np.float32(0.006))  # 44 dB away: too far for float32
        return {}

    monkeypatch.setattr(module, "step", prepared)
    artifact = write_artifact(tmp_path / "toy", precision="w8", budget=W8)
    reference = Opening(opener="tests.runtimes.coreml.planted_coreml:Reference", arguments={}, package="")
    cells = [
        Planned(subject=subject("pytorch", "fp32", "cpu"), opening=reference),
        Planned(
            subject=subject("coreml", "w8", "ane"),
            opening=Opening(
                opener="tests.runtimes.coreml.planted_coreml:artifact",
                arguments={"folder": str(artifact.folder), "device": "ane"},
                package="coremltools",
            ),
            sha256=artifact.manifest.model_sha256,
        ),
    ]
    group = Group(size="20x30", expected=reference, cells=tuple(cells))
    protocol = replace(quick(1), runs=3, seconds=0.05, end_to_end=False)
    sweep = Sweep(groups=(group,), protocol=protocol, device="ane", folder=tmp_path / "out", command="edgesr bench toy")
    path, record = run(sweep)
    eager, cell = record.cells
    assert eager.status == "parity failed", "the planted difference is found where there is no budget for it"
    assert cell.status == "ok", cell.reason
    assert cell.parity
    assert 40 < cell.parity.psnr_db < 46
    assert cell.parity.budget.startswith("at least 40 dB")
    assert (cell.file_bytes, cell.file_sha256) == (artifact.manifest.model_bytes, artifact.manifest.model_sha256)
    assert cell.settings == {"compute units": "ane", "compute plan": "2 NeuralEngine, 1 CPU"}
    assert cell.memory[ABOVE] > 0
    assert {each.subject.group for each in record.cells} == {"toy-x2 20x30 cpu"}
    assert read_record(path) == record


def subject(runtime: str, precision: str, device: str) -> Subject:
    return Subject(model="toy", scale=2, runtime=runtime, precision=precision, size="20x30", device=device)
