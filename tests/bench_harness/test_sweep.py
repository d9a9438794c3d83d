"""A sweep from cells to a record: failures are rows, parity strikes out, an interrupted sweep goes on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.bench import sweep as module
from edgesr.bench.cells import Group, Planned
from edgesr.bench.child import Opening
from edgesr.bench.latency import Files
from edgesr.bench.protocol import Protocol
from edgesr.bench.record import Cell, Record, Subject, read_record, write_record
from edgesr.bench.sweep import UNFINISHED, Sweep, run
from edgesr.errors import RecordError

Plant = Callable[[str], Opening]


@pytest.fixture
def sweep(plant: Plant, files: Files, short: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Two groups of planted runtimes; the reference's output is the one of `files`."""

    def prepared(function: str, *, seconds: float, folder: str, **_: Any) -> dict[str, Any]:
        for name in ("image", "expected"):
            np.save(Path(folder) / f"{name}.npy", np.load(getattr(files, name)))
        return {}

    monkeypatch.setattr(module, "step", prepared)
    names = {"one": ("steady", "tenth_slower", "wrong", "not_a_number", "dying", "refusing"), "two": ("steady", "eventful")}
    groups = tuple(
        Group(
            size="20x30",
            expected=plant("steady"),
            cells=tuple(Planned(subject=subject(model, runtime), opening=plant(runtime)) for runtime in runtimes),
        )
        for model, runtimes in names.items()
    )
    quicker = replace(short, runs=8, rounds=5, seconds=0.1)
    return Sweep(groups=groups, protocol=quicker, device="cpu", folder=tmp_path / "out", command="edgesr bench one two")


def subject(model: str, runtime: str) -> Subject:
    return Subject(model=model, scale=2, runtime=runtime, precision="fp32", size="20x30", device="cpu")


def test_every_cell_is_a_row_whatever_happens(sweep: Sweep) -> None:
    announced: list[Cell] = []
    path, record = run(sweep, announce=announced.append)
    status = {cell.subject.runtime: cell.status for cell in record.cells if cell.subject.model == "one"}
    assert status == {
        "steady": "ok",
        "tenth_slower": "ok",
        "wrong": "parity failed",
        "not_a_number": "parity failed",
        "dying": "failed",
        "refusing": "failed",
    }
    assert announced == list(record.cells)
    assert read_record(path) == record
    assert [bool(cell.on_device) for cell in record.cells[-2:]] == [False, True]
    assert not (sweep.folder / UNFINISHED).exists()


def test_figures_stand_beside_each_other_with_their_names(sweep: Sweep) -> None:
    _, record = run(sweep)
    reference, slower, wrong = record.cells[:3]
    assert reference.ratio is None
    assert slower.ratio
    assert slower.ratio.to == reference.subject.key
    assert slower.ratio.low
    assert slower.ratio.high
    assert 1.0 < slower.ratio.low < slower.ratio.value < slower.ratio.high
    assert {"peak RSS of the process", "RSS after the bare import"} <= slower.memory.keys()
    assert slower.end_to_end
    assert slower.output_png
    assert wrong.parity
    assert not wrong.parity.passed
    assert "not the reference's" in wrong.reason
    assert not wrong.ranked


def test_an_interrupted_sweep_goes_on(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = module._measured

    def interrupted(group: Group, *rest: Any) -> Any:
        if group.name.startswith("two"):
            raise KeyboardInterrupt
        return measured(group, *rest)

    monkeypatch.setattr(module, "_measured", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(sweep)
    half = read_record(sweep.folder / UNFINISHED)
    assert not half.complete
    assert len(half.cells) == 6
    again: list[str] = []

    def counted(group: Group, *rest: Any) -> Any:
        again.append(group.name)
        return measured(group, *rest)

    monkeypatch.setattr(module, "_measured", counted)
    _, record = run(sweep)
    assert again == ["two-x2 20x30 cpu"]
    assert record.complete
    assert record.cells[:6] == half.cells


def test_time_left_is_that_of_the_groups_to_come(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, int]] = []
    monkeypatch.setattr(module, "_measured", lambda group, sweep, say: say(group.name) or ())
    monkeypatch.setattr("time.monotonic", iter(range(0, 1000, 100)).__next__)
    run(sweep, progress=lambda stage, done=0, total=None: said.append((stage, done)))
    assert said == [("one-x2 20x30 cpu", 0), ("two-x2 20x30 cpu; about 2 min left", 1)]


def test_an_earlier_sweeps_artifacts_are_not_measured(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "out" / "artifacts" / "one"
    old.mkdir(parents=True)
    cell = sweep.groups[0].cells[0]
    planned = replace(cell, step="made anew", opening=replace(cell.opening, arguments={"folder": str(old)}))
    monkeypatch.setattr(module, "_measured", lambda *_: ())
    run(replace(sweep, groups=(replace(sweep.groups[0], cells=(planned,)),)))
    assert not old.exists()


def test_a_few_rounds_give_no_interval(sweep: Sweep) -> None:
    _, record = run(replace(sweep, protocol=replace(sweep.protocol, limit=0, rounds=2)))
    ratio = record.cells[1].ratio
    assert ratio
    assert (ratio.low, ratio.high) == (None, None)


def test_a_folder_that_has_changed_is_another_sweep(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_measured", interrupting)
    with pytest.raises(KeyboardInterrupt):
        run(sweep)
    write_record(sweep.folder / UNFINISHED, begun(sweep))
    first = sweep.groups[0]
    rebuilt = replace(first, cells=(first.cells[0], replace(first.cells[1], sha256="other")))
    for groups in ((rebuilt, sweep.groups[1]), sweep.groups[:1]):
        with pytest.raises(RecordError, match="another sweep that was interrupted"):
            run(replace(sweep, groups=groups))


def test_another_sweep_is_not_mixed_in(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_measured", interrupting)
    with pytest.raises(KeyboardInterrupt):
        run(sweep)
    record = Record(**{**begun(sweep).__dict__, "settings": {"threads": 64}})
    write_record(sweep.folder / UNFINISHED, record)
    with pytest.raises(RecordError, match="another sweep that was interrupted: edgesr bench one two"):
        run(sweep)


def interrupting(*_: Any) -> Any:
    raise KeyboardInterrupt


def begun(sweep: Sweep) -> Record:
    return module._begun(sweep, sweep.folder / UNFINISHED)
