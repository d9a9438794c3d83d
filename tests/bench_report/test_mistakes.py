"""The command: what it writes and prints, and what it says to input that is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesr.bench.record import Record, write_record
from edgesr.bench.report.sources import labels

Command = Callable[..., Any]


@pytest.fixture
def written(every_status: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A record, in the working folder."""
    monkeypatch.chdir(tmp_path)
    write_record(tmp_path / "a.json", every_status)
    return tmp_path / "a.json"


def test_it_writes_a_page_and_says_where(written: Path, edgesr: Command) -> None:
    assert edgesr("report", "a.json", "-o", "page.html").out.startswith("1 record, 10 cells -> page.html (")
    assert Path("page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    answer = edgesr("report", "a.json", "-o", "page.html", "--json").json
    assert answer == {"path": "page.html", "bytes": Path("page.html").stat().st_size, "records": 1, "cells": 10}
    assert sorted(path.name for path in written.parent.iterdir()) == ["a.json", "page.html"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere.json"], 1, "nowhere.json cannot be read"),
        (["folder"], 1, "folder cannot be read"),
        (["text.json"], 1, "text.json cannot be read"),
        (["other.json"], 1, "not a record of `edgesr bench`"),
        (["a.json", "./a.json"], 2, "a.json was named twice"),
        (["a.json", "-o", "folder"], 2, "folder is a folder"),
        (["a.json", "-o", "missing/page.html"], 2, "missing is not a folder"),
        (["a.json", "-o", "a.json"], 2, "a.json is one of the records"),
        ([], 2, "Missing argument"),
    ],
)
def test_mistakes(written: Path, edgesr: Command, words: list[str], code: int, message: str) -> None:
    Path("folder").mkdir()
    Path("text.json").write_bytes(b"\xff\xfe")
    Path("other.json").write_text('{"kind": "something else"}')
    before = written.read_bytes()
    done = edgesr("report", *words)
    assert (done.code, done.out, message in done.err) == (code, "", True), done.err
    assert written.read_bytes() == before
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["a.json", "folder", "other.json", "text.json"]


def _set(*keys: Any, to: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("cells", 0, "latency", "summary", "p50", to="fast"), "cells[0].latency.summary.p50 is 'fast', not a number"),
        (_set("cells", 0, "latency", "summary", "p50", to=float("nan")), "cells[0].latency.summary.p50 is nan, not a number"),
        (_set("cells", 0, "latency", "rounds", 0, 0, to=float("inf")), "cells[0].latency.rounds[0][0] is inf"),
        (_set("cells", 0, "latency", "rounds", 0, 0, to=10**400), "cells[0].latency.rounds[0][0] is 1000"),
        (_set("cells", 0, "latency", "rounds", to=[5]), "malformed"),
        (_set("cells", 0, "status", to="<b>"), "cells[0].status is '<b>', not one of"),
        (_set("cells", 0, "subject", "runtime", to=3), "cells[0].subject.runtime is 3, not a str"),
        (_set("cells", 0, "memory", to=[3]), "cells[0].memory is not an object"),
        (_set("cells", 0, "memory", "peak", to=True), "cells[0].memory[peak] is True, not a number"),
        (_set("cells", 0, "parity", to=7), "malformed"),
        (_set("environment", to="EPYC"), "environment is not an object"),
        (_set("complete", to="yes"), "complete is 'yes', not a bool"),
        (_set("schema", to=99), "schema 99"),
    ],
)
def test_a_malformed_record_is_refused_by_its_field(
    written: Path, edgesr: Command, change: Callable[[Any], None], message: str
) -> None:
    data = json.loads(written.read_text(encoding="utf-8"))
    change(data)
    written.write_text(json.dumps(data), encoding="utf-8")
    done = edgesr("report", "a.json", "-o", "page.html")
    assert (done.code, message in done.err) == (1, True), done.err
    assert not Path("page.html").exists()


def test_labels_are_as_short_as_tells_them_apart() -> None:
    paths = [Path("/x/one/a.json"), Path("/x/two/a.json"), Path("/x/two/b.json"), Path("/y/two/a.json")]
    assert labels(paths) == ["one/a.json", "x/two/a.json", "b.json", "y/two/a.json"]


def test_a_full_disk_leaves_the_old_page(written: Path, monkeypatch: pytest.MonkeyPatch, edgesr: Command) -> None:
    Path("page.html").write_text("old")

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgesr.bench.report.page.write_whole", full)
    done = edgesr("report", "a.json", "-o", "page.html")
    assert done.code == 1
    assert "cannot write page.html: No space left on device" in done.err
    assert Path("page.html").read_text() == "old"
