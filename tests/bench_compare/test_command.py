"""`edgesr compare` as a user types it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgesr.bench.compare import differences

Compared = Callable[..., Any]


@pytest.fixture
def sweeps(planted: Any) -> tuple[Any, Any]:
    """A record, and one with a cell that is a tenth slower."""
    machine = planted.Machine()
    return machine.record(seed=1), machine.record({**planted.MS, "ort": 44.0}, seed=2, edgesr="0.3.0")


def test_the_table(compared: Compared, sweeps: tuple[Any, Any]) -> None:
    done = compared(*sweeps)
    assert (done.code, done.err) == (0, "")
    lines = {line.split()[1]: line for line in done.out.splitlines() if line.strip().startswith("vapsr-x4")}
    assert "slower" in lines["ort"]
    assert "same within noise" in lines["openvino"]
    assert lines["openvino"].count("%") >= 5, "time, ratio, interval and the smallest change"
    assert "edgesr 0.3.0" in done.out
    assert "no figure changed" in done.out


@pytest.mark.parametrize(("limit", "code"), [("5%", 5), ("5 %", 5), ("0%", 5), ("7.5%", 5), ("50%", 0)])
def test_the_gate(compared: Compared, sweeps: tuple[Any, Any], limit: str, code: int) -> None:
    done = compared(*sweeps, "--fail-if-slower", limit)
    assert done.code == code
    assert "same within noise" in done.out, "the table is printed all the same"
    assert ("vapsr-x4 ort fp32 64x64 cpu: +" in done.err) == (code == 5)


@pytest.mark.parametrize("limit", ["5", "0.05", "-5%", "five%", "%", ""])
def test_a_limit_that_is_no_percentage(compared: Compared, sweeps: tuple[Any, Any], limit: str) -> None:
    done = compared(*sweeps, f"--fail-if-slower={limit}")
    assert (done.code, done.out) == (2, "")
    assert "--fail-if-slower 5%" in done.err


def test_the_gate_stops_what_broke(compared: Compared, planted: Any) -> None:
    record = planted.Machine().record()
    broken = planted.altered(record, "ort", status="failed", reason="it died", latency=None, ratio=None)
    done = compared(record, broken, "--fail-if-slower", "5%")
    assert done.code == 5
    assert "ort fp32 64x64 cpu: failed in B: it died" in done.err
    assert compared(record, broken).code == 0


def test_a_gate_that_sees_nothing_stays_shut(compared: Compared, planted: Any) -> None:
    noisy = planted.Machine(rounds=5, runs=1, own_sd=0.1)
    done = compared(noisy.record(seed=1), noisy.record(seed=2), "--fail-if-slower", "5%")
    assert done.code == 5
    assert "3 of 3 cells were not measured surely enough to show a slowdown of 5%" in done.err
    warning = next(line for line in done.err.splitlines() if "a slowdown of 5% would not be seen" in line)
    assert all(planted.key(runtime) in warning for runtime in planted.MS)


def test_the_gate_says_where_it_is_blind(compared: Compared, sweeps: tuple[Any, Any], planted: Any) -> None:
    done = compared(sweeps[0], sweeps[0], "--fail-if-slower", "6%")
    assert done.code == 0
    (warning,) = done.err.splitlines()
    assert planted.key("pytorch") in warning, "its own time moves with the machine's mood"
    assert planted.key("ort") not in warning


def test_too_few_rounds_in_b_do_not_pass_the_gate(compared: Compared, sweeps: tuple[Any, Any], planted: Any) -> None:
    short = planted.Machine(rounds=1).record().cells[1]
    done = compared(sweeps[0], planted.altered(sweeps[0], "ort", latency=short.latency), "--fail-if-slower", "20%")
    assert done.code == 5
    assert f"{planted.key('ort')}: less than two rounds in B" in done.err
    few = sweeps[0]
    for runtime, code in (("ort", 0), ("openvino", 5)):  # one cell of three, then two
        few = planted.altered(few, runtime, latency=short.latency)
        done = compared(few, few, "--fail-if-slower", "20%")
        assert done.code == code
        assert planted.key(runtime) in done.err


def test_the_gate_says_what_is_missing(compared: Compared, planted: Any) -> None:
    record = planted.Machine().record()
    done = compared(record, replace(record, cells=record.cells[:2]), "--fail-if-slower", "10%")
    assert done.code == 5
    assert f"{planted.key('openvino')}: B does not hold it" in done.err
    assert planted.key("ort") not in done.err


def test_json(compared: Compared, sweeps: tuple[Any, Any], planted: Any) -> None:
    done = compared(*sweeps, "--json", "--fail-if-slower", "5%")
    assert done.code == 5
    rows = {row["key"].split()[1]: row for row in done.json["rows"]}
    assert (rows["ort"]["verdict"], rows["ort"]["rests_on"]) == ("slower", "ratio")
    assert rows["ort"]["ratio"]["value"] == pytest.approx(0.1, abs=0.03)
    assert done.json["gate"]["passed"] is False
    assert done.json["gate"]["failed"][0].startswith(planted.key("ort"))


def test_memory_and_notes_are_shown(compared: Compared, planted: Any) -> None:
    record = planted.Machine().record()
    b = planted.altered(record, "ort", memory={"peak RSS": 140.0}, settings={"threads": "1"})
    done = compared(record, b)
    assert "+40.0" in done.out
    assert "threads: nothing in A, 1 in B" in done.out


def test_records_of_other_machines_are_refused(compared: Compared, planted: Any) -> None:
    record = planted.Machine().record()
    environment = {"processor": {"model": "Model Y", "flags": ["avx2", "amx"]}, "packages": {}, "unknown": {}}
    other = replace(record, environment=environment, settings={**planted.SETTINGS, "runs": 3}, edgesr="9", before={"load": [7]})
    done = compared(record, other)
    assert (done.code, done.out) == (1, "")
    for line in (
        "environment.processor.model: Model X in A, Model Y in B",
        "environment.processor.flags: ['avx2'] in A, ['avx2', 'amx'] in B",
        "environment.packages.torch: 2.13.0 in A, nothing in B",
        "settings.runs: 15 in A, 3 in B",
    ):
        assert line in done.err
    assert len(list(differences(record, other))) == 4


def test_other_versions_of_edgesr_and_another_load_may_differ(planted: Any) -> None:
    record = planted.Machine().record()
    assert not list(differences(record, replace(record, edgesr="9", before={"load": [7]}, created="later", command="x")))


def test_records_without_a_common_cell(compared: Compared, planted: Any) -> None:
    done = compared(planted.Machine().record({"ort": 40}), planted.Machine().record({"openvino": 50}))
    assert (done.code, done.out) == (1, "")
    assert "no cell in common" in done.err


def test_an_incomplete_record_is_compared_with_a_warning(compared: Compared, planted: Any) -> None:
    record = planted.Machine().record()
    done = compared(record, replace(record, complete=False, cells=record.cells[:2]))
    assert done.code == 0
    assert "Warning: B is the record of a sweep that did not end" in done.err
    assert "only in A" in done.out


@pytest.mark.parametrize(
    "text", [None, "", "[1", "[]", "{}", '{"kind": "edgesr.bench", "schema": 99}', '{"kind": "edgesr.bench", "schema": 1}']
)
def test_files_that_are_no_records(edgesr: Callable[..., Any], tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    done = edgesr("compare", path, path)
    assert done.code == 1
    assert "a.json" in done.err
    assert "unforeseen" not in done.err
