"""scripts/bench-cuda: pieces that go on, what is there is not made anew, and the page says what was and was not run."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_cuda import __main__ as module
from bench_cuda import page
from bench_cuda.__main__ import Piece, main, measure_all, prepare
from bench_cuda.page import rendered

from edgesr.artifact import Artifact
from edgesr.bench.cells import Request, groups
from edgesr.bench.memory import DEVICE
from edgesr.bench.record import Cell, Parity, Ratio, Record, Subject, Timing, read_record, write_record
from edgesr.bench.statistics import summarise
from edgesr.bench.sweep import Sweep
from edgesr.errors import BackendMissingError


def cell(runtime: str, precision: str, ms: float, *, device_mb: float = 1000, model: str = "vapsr") -> Cell:
    rounds = tuple(tuple(int(ms * 1e6 * factor) for factor in (0.99, 1.0, 1.01)) for _ in range(6))
    return Cell(
        subject=Subject(model=model, scale=4, runtime=runtime, precision=precision, size="180x320", device="cuda"),
        status="ok",
        parity=Parity(psnr_db=70, relative_l2=1e-4, max_abs=1e-3, passed=True, budget=""),
        latency=Timing(clock="", warm_up=(), rounds=rounds, summary=summarise(rounds), stopped_by="enough"),
        memory={f"{DEVICE}process (NVML)": device_mb},
        ratio=None if (runtime, precision) == ("pytorch", "fp32") else Ratio(to="", value=ms / 40, low=ms / 41, high=ms / 39),
    )


def recorded(*cells: Cell) -> Record:
    environment: dict[str, Any] = {"gpu": {"name": "NVIDIA Planted", "driver": "580"}, "packages": {"torch": "2.11.0"}}
    settings: dict[str, Any] = {"threads": 2}
    return Record(
        command="scripts/bench-cuda vapsr",
        created="2026-11-21T12:00:00Z",
        edgesr="0.1.0",
        settings=settings,
        environment=environment,
        before={},
        after={},
        cells=cells,
    )


FAILED = Cell(
    subject=Subject(model="vapsr", scale=4, runtime="ort-tensorrt", precision="fp16", size="180x320", device="cuda"),
    status="failed",
    reason="no TensorRT",
)
CELLS = (
    cell("pytorch", "fp32", 40, device_mb=2000),
    cell("pytorch", "fp16", 20, device_mb=1600),
    cell("pytorch-compile", "fp16", 15),
    cell("ort", "fp32", 30),
    cell("ort", "fp16", 10, device_mb=640),
    FAILED,
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records and the page are the test's own."""
    copy = tmp_path / "benchmarks.md"
    copy.write_text(page.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    for name, value in (("RECORDS", tmp_path / "records"), ("PAGE", copy)):
        monkeypatch.setattr(page, name, value)
    return tmp_path


def test_the_page_holds_what_the_records_say() -> None:
    docs = Path(page.__file__).parents[2] / "docs"
    text = (docs / "benchmarks.md").read_text(encoding="utf-8")
    records = sorted((docs / "records" / "cuda").glob("*.json"))
    part = text.partition(page.BEGIN)[2].partition(page.END)[0].strip()
    if not records:
        assert part == page.NOT_RUN.strip(), "scripts/bench-cuda --render"
    assert records or "**Not run yet**" in part


def test_tables_and_goals() -> None:
    text = rendered([recorded(*CELLS)])
    assert "2026-11-21, NVIDIA Planted, driver 580, torch 2.11.0; `scripts/bench-cuda vapsr`. Seeded weights." in text
    lines = text.splitlines()
    half = next(line for line in lines if line.startswith("| vapsr | ort | fp16 |"))
    assert [part.strip() for part in half.split("|")[4:-1]] == [
        "10",
        "10.1",
        "0.25 [0.24, 0.26]",
        "0.50 [0.50, 0.50]",
        "640",
        "70",
    ]
    assert "| vapsr | pytorch | fp32 | 40 | 40.4 | 1 | 1 | 2000 | 70 |" in lines
    assert "| vapsr | ort-tensorrt | fp16 | failed: no TensorRT | – | – | – | – | – |" in lines
    assert "| vapsr | ort | 4.00× | 2.00× | 1.50× | 0.40 |" in lines


def test_what_is_not_the_reference_does_not_count() -> None:
    wrong = replace(CELLS[4], status="parity failed")
    text = rendered([recorded(*CELLS[:4], wrong)])
    assert "~~10~~" in text
    assert "fastest exported" not in text


def asked(**changes: Any) -> argparse.Namespace:
    return argparse.Namespace(
        **{"minutes": 9.0, "seconds": 1.0, "limit": 1.0, "energy": False, "artifacts": Path("none"), **changes}
    )


def test_pieces_end_with_the_time_and_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter(range(0, 10_000, 200))  # each piece takes 200 s and looks at the clock twice
    done: list[str] = []
    monkeypatch.setattr("bench_cuda.__main__.time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(module, "measure", lambda piece, artifacts, asked: done.append(piece.model))
    pieces = [Piece(model=model, size="180x320", runtimes=()) for model in ("esc", "vapsr", "rgt-s")]
    assert measure_all(pieces, asked(minutes=9.0)) == 0
    assert done == ["esc"]
    assert "2 pieces are left" in capsys.readouterr().err


def test_a_piece_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: Any) -> None:
        raise BackendMissingError("planted")

    monkeypatch.setattr(module, "measure", refuse)
    pieces = [Piece(model=model, size="180x320", runtimes=()) for model in ("esc", "vapsr")]
    assert measure_all(pieces, asked()) == 1
    assert capsys.readouterr().err.count("was not measured: planted") == 2


def test_a_piece_is_measured_by_the_harness_and_kept(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, vapsr_s: Artifact) -> None:
    swept: list[Sweep] = []

    def run(sweep: Sweep, announce: Any) -> tuple[Path, Record]:
        swept.append(sweep)
        return Path("x"), recorded(*(replace(each, output_png="a picture") for each in CELLS))

    monkeypatch.setattr(module, "run", run)
    piece = Piece(model="vapsr", size="180x320", runtimes=("ort",))
    records = elsewhere / "records"
    assert not module.done(piece, records)
    module.measure(piece, elsewhere, asked(seconds=3.0, records=records))
    (sweep,) = swept
    assert (sweep.device, sweep.energy, sweep.protocol.seconds) == ("cuda", False, 3.0)
    assert {each.subject.runtime for each in sweep.groups[0].cells} == {"pytorch", "ort"}
    kept = records / "vapsr-x4-180x320-ort.json"
    assert [each.output_png for each in read_record(kept).cells] == [""] * len(CELLS)
    assert module.done(piece, elsewhere / "nowhere", records)
    write_record(kept, recorded(CELLS[0]))
    assert not module.done(piece, records), "the reference alone is not a measurement"


def test_what_was_exported_before_is_opened_as_it_is(elsewhere: Path, vapsr_s: Artifact) -> None:
    piece = Piece(model="vapsr-s", size="180x320", runtimes=("ort",))
    made = next(each for each in piece.group(elsewhere).cells if each.step)
    folder = Path(str(made.opening.arguments["folder"]))
    folder.symlink_to(vapsr_s.folder)
    here = {each.subject.key: each for each in piece.group(elsewhere).cells}[made.subject.key]
    assert (here.step, here.sha256) == ("", vapsr_s.manifest.model_sha256)
    assert here.opening == made.opening


def test_preparing_exports_each_file_once(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, str]] = []

    def step(function: str, *, seconds: float, folder: str, **arguments: Any) -> dict[str, Any]:
        steps.append((Path(folder).name, arguments["precision"]))
        Path(folder).mkdir()
        return {}

    monkeypatch.setattr(module, "step", step)
    pieces = [Piece(model="vapsr", size=size, runtimes=("ort",)) for size in ("180x320", "540x960")]
    assert prepare(pieces, elsewhere) == 0
    assert len(steps) == len(set(steps))
    assert {precision for _, precision in steps} == {"fp32", "fp16"}


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench-cuda"])
    monkeypatch.setattr("edgesr.bench.devices.pytorch_has_cuda", lambda: False)
    monkeypatch.setattr("edgesr.bench.devices._has_gpu", lambda: False)
    assert main() == 4
    assert "no CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize(("cuda", "device"), [(False, "cpu"), (True, "cuda")])
def test_the_reference_runs_on_the_processor_where_pytorch_has_no_cuda(
    cuda: bool, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Jetson, whose GPU TensorRT and ONNX Runtime use without it."""
    monkeypatch.setattr("edgesr.bench.cells.pytorch_has_cuda", lambda: cuda)
    request = Request(models=("vapsr-s",), device="cuda", runtimes=("ort",), sizes=("24x24",))
    (group,) = groups(request, tmp_path)
    reference, converted = (cell.opening.arguments["device"] for cell in group.cells)
    assert (reference, converted) == (device, "cuda")
