"""The harness finds what is planted: slower, two modes, drift, wrong pixels, death and silence."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.bench.child import CellError, CellTimeoutError, Child, Opening
from edgesr.bench.latency import Files, measure
from edgesr.bench.machine import Busy, busy, contention
from edgesr.bench.protocol import Protocol
from edgesr.bench.statistics import ratio_of_medians

Plant = Callable[[str], Opening]


def silent(_: str) -> None: ...


def test_ten_per_cent_are_found(plant: Plant, files: Files, short: Protocol) -> None:
    openings = {"reference": plant("steady"), "slower": plant("tenth_slower"), "same": plant("steady")}
    found = measure(openings, files, short, silent)
    _, low, high = ratio_of_medians(found.latency["slower"].rounds, found.latency["reference"].rounds)
    assert 1.05 < low < 1.1 < high + 0.02 < 1.17
    _, low, high = ratio_of_medians(found.latency["same"].rounds, found.latency["reference"].rounds)
    assert low - 0.02 < 1 < high + 0.02


def test_every_sample_is_kept_and_figures_are_separate(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("steady")}, files, short, silent)
    timing, facts = found.latency["a"], found.facts["a"]
    samples = [ns for each in timing.rounds for ns in each]
    assert timing.summary.samples == len(samples) >= 24
    assert timing.summary.min <= timing.summary.p50 <= timing.summary.p90 <= timing.summary.p99
    assert 20 <= timing.summary.p50 < 25
    assert len(timing.warm_up) >= 3
    assert timing.stopped_by == "runs, seconds and spread reached"
    assert facts["settings"] == {"planted": "yes"}
    assert facts["load_s"] < 5
    assert facts["first_ns"] > 15e6
    assert 20 <= found.end_to_end["a"].summary.p50 < 40


def test_a_device_with_a_clock_of_its_own_is_asked_in_the_same_runs(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("eventful"), "b": plant("steady")}, files, short, silent)
    assert found.on_device.keys() == {"a"}
    timing, whole = found.on_device["a"], found.latency["a"]
    assert timing.summary.p50 == timing.summary.min == 7.5
    assert [len(each) for each in timing.rounds] == [len(each) for each in whole.rounds]
    assert timing.clock.startswith("CUDA events")


def test_two_modes_and_drift_are_said(plant: Plant, files: Files, short: Protocol) -> None:
    longer = replace(short, runs=60, spread=0.5)
    found = measure({"modes": plant("two_modes"), "drift": plant("slowing_down")}, files, longer, silent)
    assert any(reason.startswith("two modes: 2") for reason in found.latency["modes"].unstable)
    assert any(reason.startswith("drift") for reason in found.latency["drift"].unstable)


def test_one_that_dies_is_a_failure_and_the_others_go_on(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("steady"), "b": plant("dying"), "c": plant("refusing")}, files, short, silent)
    assert found.latency.keys() == {"a"}
    assert "SIGABRT" in str(found.failures["b"])
    assert str(found.failures["c"]) == "RuntimeError: no such operator: Fold"


def test_one_that_hangs_is_ended(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("steady"), "b": plant("hanging")}, files, replace(short, cell_limit=2), silent)
    assert isinstance(found.failures["b"], CellTimeoutError)
    assert "a" in found.latency


def test_the_time_limit_ends_it_and_is_said(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("two_modes")}, files, replace(short, spread=1e-9, limit=1.0), silent)
    assert found.latency["a"].stopped_by == "time limit of 1 s for the group, before all its cells had runs, seconds and spread"


def test_parity_is_measured_on_the_same_picture(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"right": plant("steady"), "wrong": plant("wrong")}, files, short, silent)
    assert found.facts["right"]["parity"]["psnr_db"] == 300
    assert found.facts["wrong"]["parity"]["psnr_db"] < 20
    assert found.facts["wrong"]["difference_white"] > 0.1


def test_what_is_compared_is_what_is_timed(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"lazy": plant("lazy"), "later": plant("wrong_later")}, files, short, silent)
    assert found.facts["lazy"]["parity"]["psnr_db"] < 20
    assert found.facts["later"]["parity"]["psnr_db"] < 20


def test_torch_is_found_whenever_it_comes(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("with_torch_later")}, files, short, silent)
    assert "may not import PyTorch" in str(found.failures["a"])


def test_warm_up_lasts_until_runs_are_alike(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("warming_up")}, files, short, silent)
    warm_up = found.latency["a"].warm_up
    assert len(warm_up) > 10
    assert max(warm_up[-3:]) <= 1.1 * min(warm_up[-3:])


def test_libraries_are_told_the_number_of_threads(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": replace(plant("threads"), threads=3)}, files, short, silent)
    assert found.facts["a"]["settings"] == {"OMP_NUM_THREADS": "3"}


def test_turns_have_an_order_of_their_own_and_begin_with_an_untimed_run(
    plant: Plant, files: Files, short: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    ask = Child.ask

    def counted(child: Child, do: str, **request: Any) -> dict[str, Any]:
        if do == "time" and request["untimed"]:
            asked.append((child.pid, request["untimed"]))
        return ask(child, do, **request)

    monkeypatch.setattr(Child, "ask", counted)
    found = measure({name: plant("steady") for name in "abc"}, files, short, silent)
    rounds = [tuple(pid for pid, _ in asked[start : start + 3]) for start in range(0, len(asked), 3)]
    assert len(rounds) == len(found.latency["a"].rounds)
    assert all(len(set(each)) == 3 for each in rounds)
    assert len(set(rounds)) > 1
    assert {untimed for _, untimed in asked} == {1}


def test_untimed_runs_are_run(plant: Plant, files: Files) -> None:
    with Child(plant("dying")) as child:  # at its eighth run
        child.ask("open", seconds=20)
        child.ask("first", seconds=20, image=str(files.image))
        with pytest.raises(CellError, match="SIGABRT"):
            child.ask("time", seconds=20, runs=1, untimed=6)


def test_there_is_a_pause_before_each_turn(plant: Plant, files: Files, short: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("edgesr.bench.latency.time.sleep", pauses.append)
    found = measure({"a": plant("steady")}, files, replace(short, pause=0.123), silent)
    assert pauses == [0.123] * len(found.latency["a"].rounds)


def test_what_hangs_does_not_run_on_beside_the_others(plant: Plant, files: Files, short: Protocol) -> None:
    own: list[float] = []

    def counted(before: Busy, after: Busy, seconds: float) -> float:
        own.append(seconds)
        return contention(before, after, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgesr.bench.latency.contention", counted)
        found = measure({"spin": plant("spinning")}, files, replace(short, cell_limit=2, runs=1, rounds=2), silent)
    assert isinstance(found.failures["spin"], CellTimeoutError)
    assert not [line for line in _processes() if "planted:spinning" in line]
    assert not own or max(own) > 0.01, "its own time on the processors is not other work"


def _processes() -> list[str]:
    found = Path("/proc").glob("[0-9]*/cmdline")
    lines = []
    for path in found:
        with contextlib.suppress(OSError):
            lines.append(path.read_text(errors="replace"))
    return lines


def test_other_work_is_said(plant: Plant, files: Files, short: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    if busy() is None:
        pytest.skip("this system does not tell how its processors are used")
    for seconds, said in ((0.0, False), (10.0, True)):
        monkeypatch.setattr("edgesr.bench.latency.contention", lambda *_, seconds=seconds: seconds)
        found = measure({"a": plant("steady")}, files, short, silent)
        assert any(reason.startswith("contention") for reason in found.latency["a"].unstable) == said


def test_a_slow_cell_gets_its_rounds_whatever_the_limit(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("steady")}, files, replace(short, limit=0, rounds=4), silent)
    timing = found.latency["a"]
    assert len(timing.rounds) == 4
    assert timing.stopped_by.startswith("time limit")
    assert "few rounds: 4, of 5 that an interval needs" in timing.unstable


def test_a_worker_with_torch_is_refused_unless_it_is_pytorch(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("with_torch")}, files, short, silent)
    assert "may not import PyTorch" in str(found.failures["a"])


def test_a_worker_does_without_torch_what_can_do_without(plant: Plant, files: Files, short: Protocol) -> None:
    found = measure({"a": plant("with_torch_if_there_is")}, files, short, silent)
    assert found.facts["a"]["settings"] == {"torch": "no"}


def test_a_picture_is_compared_with_a_clamped_reference(plant: Plant, files: Files, short: Protocol) -> None:
    np.save(files.expected, np.load(files.expected) * 1.5)
    planted = plant("clamped")
    found = measure({"picture": replace(planted, picture=True), "tensor": planted}, files, short, silent)
    assert found.facts["picture"]["parity"]["psnr_db"] == 300
    assert found.facts["tensor"]["parity"]["psnr_db"] < 30


def test_what_a_library_prints_does_not_disturb_the_answers(plant: Plant, files: Files, short: Protocol) -> None:
    assert "a" in measure({"a": plant("talkative")}, files, short, silent).latency


def test_the_harness_takes_microseconds(plant: Plant, files: Files) -> None:
    with Child(plant("nothing")) as child:
        child.ask("open", seconds=20)
        child.ask("first", seconds=20, image=str(files.image))
        samples = sorted(child.ask("time", seconds=20, runs=101, untimed=5)["ns"])
    assert samples[50] < 20_000


def test_a_request_that_nobody_knows_is_an_error(plant: Plant) -> None:
    with Child(plant("nothing")) as child, pytest.raises(CellError, match="AttributeError"):
        child.ask("dance", seconds=20)
