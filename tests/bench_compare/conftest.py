"""Records of sweeps that never ran: times are drawn with the moods and the noise that a test asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgesr.bench.record import Cell, Ratio, Record, Subject, Timing, write_record
from edgesr.bench.statistics import summarise

ENVIRONMENT = {
    "processor": {"model": "Model X", "flags": ["avx2"]},
    "packages": {"torch": "2.13.0"},
    "unknown": {"energy": "no RAPL"},
}
SETTINGS = {"threads": 2, "runs": 15}
MS = {"pytorch": 100.0, "ort": 40.0, "openvino": 50.0}
"""The true times of a sweep's cells; the first is the reference."""


def subject(runtime: str) -> Subject:
    return Subject(model="vapsr", scale=4, runtime=runtime, precision="fp32", size="64x64", device="cpu")


def key(runtime: str) -> str:
    return subject(runtime).key


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How a sweep goes. mood: factor on all its times. rounds_sd: of a round's mood, common to all; run_sd: of a run; relative.

    own_sd: of a cell's own mood in a round. runs: in a round. bimodal: the part of all runs that take a quarter longer.
    """

    mood: float = 1.0
    rounds: int = 12
    runs: int = 5
    rounds_sd: float = 0.02
    own_sd: float = 0.005
    run_sd: float = 0.02
    bimodal: float = 0.0

    def record(self, ms: Mapping[str, float] = MS, *, seed: int = 0, **changes: Any) -> Record:
        """A record of a sweep over these cells."""
        generator = np.random.default_rng(seed)
        moods = self.mood * np.exp(generator.normal(0, self.rounds_sd, self.rounds))
        cells: list[Cell] = []
        for runtime, true in ms.items():
            own = moods * np.exp(generator.normal(0, self.own_sd, self.rounds))
            samples = true * 1e6 * own[:, None] * np.exp(generator.normal(0, self.run_sd, (self.rounds, self.runs)))
            samples *= np.where(generator.random(samples.shape) < self.bimodal, 1.25, 1)
            cells.append(cell(runtime, tuple(tuple(int(ns) for ns in each) for each in samples), cells[0] if cells else None))
        record = Record(
            command="edgesr bench",
            created="2026-01-01T00:00:00Z",
            edgesr="0.2.0",
            settings=SETTINGS,
            environment=ENVIRONMENT,
            before={"load": [0.1 + seed]},
            after={},
            cells=tuple(cells),
        )
        return replace(record, **changes)


def cell(runtime: str, rounds: tuple[tuple[int, ...], ...], reference: Cell | None = None, **changes: Any) -> Cell:
    ratio = None
    if reference and reference.latency:
        value = summarise(rounds).p50 / reference.latency.summary.p50
        ratio = Ratio(to=reference.subject.key, value=value, low=value, high=value)  # nobody reads the interval here
    timing = Timing(clock="planted", warm_up=(1,), rounds=rounds, summary=summarise(rounds), stopped_by="planted")
    made = Cell(subject=subject(runtime), status="ok", latency=timing, ratio=ratio, memory={"peak RSS": 100.0})
    return replace(made, **changes)


def altered(record: Record, runtime: str, **changes: Any) -> Record:
    """The record with this cell's fields changed."""
    cells = (replace(each, **changes) if each.subject.runtime == runtime else each for each in record.cells)
    return replace(record, cells=tuple(cells))


@pytest.fixture
def planted() -> SimpleNamespace:
    """What tests plant with."""
    return SimpleNamespace(
        Machine=Machine, MS=MS, ENVIRONMENT=ENVIRONMENT, SETTINGS=SETTINGS, key=key, altered=altered, cell=cell
    )


@pytest.fixture
def compared(edgesr: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """`compared(a, b, "--json")` -> what `edgesr compare` says of two records."""

    def run(a: Record, b: Record, *options: str) -> Any:
        paths = [tmp_path / "a.json", tmp_path / "b.json"]
        for path, record in zip(paths, (a, b), strict=True):
            write_record(path, record)
        return edgesr("compare", *paths, *options)

    return run
