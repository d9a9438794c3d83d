"""Verdicts on planted changes, moods and failures."""

from dataclasses import replace
from typing import Any

import pytest

from edgesr.bench.compare import Comparison, Row, compare

SLOWER = {"pytorch": 100.0, "ort": 44.0, "openvino": 50.0}
"""A tenth slower in one cell."""


def rows(comparison: Comparison) -> dict[str, Row]:
    """By runtime."""
    return {row.key.split()[1]: row for row in comparison.rows}


def verdicts(comparison: Comparison) -> dict[str, str]:
    return {runtime: row.verdict for runtime, row in rows(comparison).items()}


SAME = dict.fromkeys(("pytorch", "ort", "openvino"), "same within noise")


def test_the_same_record_twice(planted: Any) -> None:
    record = planted.Machine().record()
    comparison = compare(record, record)
    assert verdicts(comparison) == SAME
    assert all(row.time and row.time.value == 0 for row in comparison.rows)
    assert all(not row.memory and not row.notes for row in comparison.rows)
    assert comparison.regressions(0.0) == ()


def test_a_tenth_slower_is_found(planted: Any) -> None:
    machine = planted.Machine()
    comparison = compare(machine.record(seed=1), machine.record(SLOWER, seed=2))
    assert verdicts(comparison) == {**SAME, "ort": "slower"}
    row = rows(comparison)["ort"]
    assert row.decided is row.ratio
    assert row.ratio is not None
    assert row.ratio.value == pytest.approx(0.1, abs=0.03)
    assert row.ratio.low < 0.1 < row.ratio.high
    assert 0.03 <= row.ratio.smallest < 0.08
    assert len(comparison.regressions(0.05)) == 1
    assert comparison.regressions(0.2) == ()


def test_a_tenth_faster_is_found_and_passes_the_gate(planted: Any) -> None:
    machine = planted.Machine()
    comparison = compare(machine.record(SLOWER, seed=1), machine.record(seed=2))
    assert verdicts(comparison) == {**SAME, "ort": "faster"}
    assert comparison.regressions(0.0) == ()


@pytest.mark.parametrize("mood", [0.7, 1.3])
def test_a_machine_in_another_mood_is_no_change(planted: Any, mood: float) -> None:
    a, b = planted.Machine().record(seed=1), planted.Machine(mood=mood).record(seed=2)
    comparison = compare(a, b)
    assert verdicts(comparison) == SAME
    assert rows(comparison)["ort"].time.counts, "shown all the same"  # type: ignore[union-attr]  # asserted by its use
    assert "mood" in rows(comparison)["pytorch"].notes[0]


def test_a_tenth_slower_is_found_through_another_mood(planted: Any) -> None:
    a, b = planted.Machine().record(seed=1), planted.Machine(mood=1.3).record(SLOWER, seed=2)
    assert verdicts(compare(a, b)) == {**SAME, "ort": "slower"}


@pytest.mark.parametrize(("ms", "verdict"), [(106.0, "same within noise"), (125.0, "slower"), (75.0, "faster")])
def test_a_reference_that_alone_changed_does_not_change_the_others(planted: Any, ms: float, verdict: str) -> None:
    machine = planted.Machine(rounds_sd=0.005)
    comparison = compare(machine.record(seed=1), machine.record({**planted.MS, "pytorch": ms}, seed=2))
    assert verdicts(comparison) == {**SAME, "pytorch": verdict}


def test_all_cells_but_the_reference_a_fifth_slower(planted: Any) -> None:
    machine = planted.Machine()
    slower = {runtime: ms * (1 if runtime == "pytorch" else 1.2) for runtime, ms in planted.MS.items()}
    comparison = compare(machine.record(seed=1), machine.record(slower, seed=2))
    assert verdicts(comparison) == {"pytorch": "same within noise", "ort": "slower", "openvino": "slower"}


def test_without_a_witness_a_ratio_is_trusted_less(planted: Any) -> None:
    machine, pair = planted.Machine(rounds_sd=0.005), {"pytorch": 100.0, "ort": 40.0}
    first = machine.record(pair, seed=1)
    found = {factor: rows(compare(first, machine.record({**pair, "ort": 40 * factor}, seed=2)))["ort"] for factor in (1.05, 1.12)}
    assert [row.verdict for row in found.values()] == ["same within noise", "slower"]
    against = rows(compare(first, machine.record({**pair, "pytorch": 120.0}, seed=2)))["ort"]
    assert against.verdict == "same within noise", "it is the reference that changed"
    assert against.ratio is not None
    assert against.ratio.smallest > 0.3


def test_nothing_is_called_slower_whose_time_fell(planted: Any) -> None:
    a, b = planted.Machine().record(seed=1), planted.Machine(mood=0.6).record(SLOWER, seed=2)
    assert verdicts(compare(a, b)) == SAME
    row = rows(compare(a, b))["ort"]
    assert row.ratio is not None
    assert row.ratio.smallest > 0.5


def test_contention_makes_ratios_less_trusted(planted: Any) -> None:
    """Other work slows runtimes unequally: where the system saw it, a ratio must change by more than the reference did."""
    a, b = planted.Machine().record(seed=1), planted.Machine(mood=1.3).record(SLOWER, seed=2)
    latency = replace(b.cells[0].latency, unstable=("contention: other work took 40% of the processors meanwhile",))
    assert verdicts(compare(a, planted.altered(b, "pytorch", latency=latency))) == SAME


def test_a_mood_that_comes_in_the_middle_of_a_sweep(planted: Any) -> None:
    """Half of B's rounds in another mood: its own times cannot tell, its ratios can."""
    calm, busy = planted.Machine(rounds=6), planted.Machine(rounds=6, mood=1.4)
    first, second = calm.record(seed=2), busy.record(seed=3)
    cells: list[Any] = []
    for before, after in zip(first.cells, second.cells, strict=True):
        rounds = before.latency.rounds + after.latency.rounds
        cells.append(planted.cell(before.subject.runtime, rounds, cells[0] if cells else None))
    comparison = compare(planted.Machine().record(seed=1), replace(first, cells=tuple(cells)))
    assert verdicts(comparison) == SAME
    row = rows(comparison)["ort"]
    assert row.time is not None
    assert row.ratio is not None
    assert row.time.smallest > 0.3
    assert row.ratio.smallest < 0.15


@pytest.mark.parametrize("seed", range(5))
def test_two_modes_of_about_equal_weight_are_no_change(planted: Any, seed: int) -> None:
    a = planted.Machine(bimodal=0.45).record({"ort": 40}, seed=seed)
    b = planted.Machine(bimodal=0.55).record({"ort": 40}, seed=100 + seed)
    comparison = compare(a, b)
    assert verdicts(comparison) == {"ort": "same within noise"}
    assert comparison.rows[0].time is not None
    assert comparison.rows[0].time.smallest > 0.15


def test_without_a_reference_the_time_decides(planted: Any) -> None:
    machine = planted.Machine(rounds_sd=0.005)
    comparison = compare(machine.record({"ort": 40}, seed=1), machine.record({"ort": 46}, seed=2))
    assert verdicts(comparison) == {"ort": "slower"}
    assert comparison.rows[0].rests_on == "time"


@pytest.mark.parametrize("status", ["failed", "parity failed", "timed out"])
def test_what_fails_in_b_only_is_a_regression(planted: Any, status: str) -> None:
    record = planted.Machine().record()
    comparison = compare(record, planted.altered(record, "ort", status=status, reason="the planted reason"))
    row = rows(comparison)["ort"]
    assert row.verdict == "not comparable"
    assert row.broken == f"{status} in B: the planted reason"
    assert comparison.regressions(10.0) == (f"{row.key}: {row.broken}",)


def test_what_failed_in_a_is_none(planted: Any) -> None:
    record = planted.Machine().record()
    failed = planted.altered(record, "ort", status="failed", reason="out of memory", latency=None, ratio=None)
    for b in (record, failed):
        comparison = compare(failed, b)
        assert rows(comparison)["ort"].verdict == "not comparable"
        assert "failed in A: out of memory" in rows(comparison)["ort"].notes
        assert comparison.regressions(0.0) == ()


def test_a_reference_that_failed_leaves_the_others_their_times(planted: Any) -> None:
    record = planted.Machine().record()
    cells = tuple(replace(cell, ratio=None) for cell in planted.altered(record, "pytorch", status="failed", latency=None).cells)
    comparison = compare(record, replace(record, cells=cells))
    assert rows(comparison)["ort"].rests_on == "time"


def test_cells_of_one_record_only(planted: Any) -> None:
    machine = planted.Machine()
    a, b = machine.record({"pytorch": 100, "ort": 40}), machine.record({"pytorch": 100, "openvino": 50})
    assert verdicts(compare(a, b)) == {"pytorch": "same within noise", "ort": "only in A", "openvino": "only in B"}


def test_one_round_is_too_little(planted: Any) -> None:
    record = planted.Machine(rounds=1).record()
    comparison = compare(record, record)
    assert set(verdicts(comparison).values()) == {"not comparable"}
    assert comparison.regressions(0.0) == ()


def test_memory_that_changed_is_said(planted: Any) -> None:
    old = {"peak RSS": 100.0, "small": 10.0, "only here": 5.0}
    new = {"peak RSS": 104.0, "small": 10.9, "only there": 5.0}
    record = planted.altered(planted.Machine().record(), "ort", memory=old)
    changed = rows(compare(record, planted.altered(record, "ort", memory=new)))["ort"].memory
    assert [(one.metric, one.a_mb, one.b_mb) for one in changed] == [("peak RSS", 100.0, 104.0)]
    close = planted.altered(record, "ort", memory={"peak RSS": 102.9})
    assert not rows(compare(record, close))["ort"].memory


def test_what_the_runtimes_say_differently_and_why_a_cell_is_unstable(planted: Any) -> None:
    record = planted.Machine().record()
    latency = replace(record.cells[1].latency, unstable=("two modes",))
    b = planted.altered(record, "ort", settings={"threads": "2"}, latency=latency)
    notes = rows(compare(record, b))["ort"].notes
    assert notes == ("threads: nothing in A, 2 in B", "unstable in B: two modes")
    c = planted.altered(record, "pytorch", settings={"tf32": "on"})
    row = rows(compare(record, c))["ort"]
    assert (row.rests_on, row.notes[0]) == ("time", "by its own time: the reference's settings differ")
