"""The table of docs/benchmarks.md: `edgesr bench` of the five families on this machine's processor, twice, and what differs.

The records, without their pictures, are kept in docs/records/bench/.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from edgesr.bench.cells import DEFAULT_MODELS
from edgesr.bench.memory import PEAK
from edgesr.bench.record import Cell, Record, read_record, write_record

DOCS = Path(__file__).parent.parent / "docs"
RECORDS = DOCS / "records" / "bench"
PAGE = DOCS / "benchmarks.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
SIZE = "128x128"
RUNTIMES = "pytorch-compile,ort,openvino"
HEADER = ("model", "runtime", "p50 ms", "p90 ms", "end to end ms", "ratio to PyTorch", "memory MB", "parity dB", "load s")


def edgesr(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command; what it says on standard error is seen."""
    command = [sys.executable, "-c", "from edgesr.cli.app import main; main()", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)


def sweep(folder: Path, models: list[str]) -> Record:
    """One sweep into `folder`; its record."""
    done = edgesr("bench", *models, "--size", SIZE, "--runtimes", RUNTIMES, "-o", str(folder), "--json")
    if done.returncode:
        sys.exit(done.returncode)
    return read_record(Path(json.loads(done.stdout)["record"]))


def without_pictures(record: Record) -> Record:
    """The record as it is kept: pictures would be most of the file."""
    cells = (replace(cell, output_png="", difference_png="") for cell in record.cells)
    models = list(dict.fromkeys(cell.subject.model for cell in record.cells))
    named = "" if tuple(models) == DEFAULT_MODELS else f"{' '.join(models)} "
    return replace(record, cells=tuple(cells), command=f"edgesr bench {named}--size {SIZE} --runtimes {RUNTIMES}")


def rendered(record: Record) -> str:
    """The table, with the machine and the command."""
    lines = [f"| {' | '.join(HEADER)} |", f"|{'---|' * len(HEADER)}"]
    for _, cells in groupby(record.cells, key=lambda cell: cell.subject.group):
        lines += [f"| {' | '.join(row(cell))} |" for cell in cells]
    machine = record.environment.get("processor", {})
    name = machine.get("model", "a processor of no name") if isinstance(machine, dict) else machine
    threads = record.settings["threads"]
    packages = record.environment.get("packages", {})
    versions = ", ".join(
        f"{package} {packages[package]}" for package in ("torch", "onnxruntime", "openvino") if package in packages
    )
    said = f"{record.created[:10]}, {name}, {threads} threads, {versions}; `{record.command}`. Seeded weights."
    timed = [cell.latency for cell in record.cells if cell.latency]
    limited = sum(timing.stopped_by.startswith("time limit") for timing in timed)
    rounds = [len(timing.rounds) for timing in timed]
    reached = (
        f"Of {len(timed)} cells {limited} ended at their group's time limit, before all its cells had runs, seconds and spread,\n"
        f"after {min(rounds)} to {max(rounds)} rounds; {sum(bool(timing.unstable) for timing in timed)} are unstable (*; the "
        "record says why)."
    )
    return f"{said}\n\n" + "\n".join(lines) + f"\n\n{reached}\n"


def row(cell: Cell) -> list[str]:
    """A cell's figures; struck out when they do not count."""
    subject, strike = cell.subject, "" if cell.ranked else "~~"
    if not cell.latency:
        return [subject.model, subject.runtime, f"{cell.status}: {cell.reason}", *["–"] * (len(HEADER) - 3)]
    ratio = f"{strike}{cell.ratio}{strike}" if cell.ratio else "1"
    whole = f"{strike}{cell.end_to_end.summary.p50:.4g}{strike}" if cell.end_to_end else "–"
    unstable = " *" if cell.latency.unstable else ""
    p50, p90 = (f"{strike}{value:.4g}{strike}" for value in (cell.latency.summary.p50, cell.latency.summary.p90))
    memory = f"{cell.memory[PEAK]:.0f}" if PEAK in cell.memory else "–"
    parity = f"{cell.parity.psnr_db:.0f}" if cell.parity else "–"
    return [subject.model, subject.runtime, p50 + unstable, p90, whole, ratio, memory, parity, f"{cell.load_s:.2f}"]


def write_page(record: Record, compared: str) -> None:
    """Put the table and the comparison between the page's marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{rendered(record)}\n{compared}{END}{after}", encoding="utf-8")


def comparison() -> str:
    """What `edgesr compare` says of the two sweeps."""
    rows = json.loads(edgesr("compare", *(str(RECORDS / f"{name}.json") for name in ("first", "second")), "--json").stdout)[
        "rows"
    ]
    header = ("cell", "first, ms", "second, ms", "time", "ratio", "detects from", "verdict")
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    for row in rows:
        decided = row[row["rests_on"]] if row["rests_on"] else None
        changes = (f"{row[name]['value']:+.1%}" if row[name] else "–" for name in ("time", "ratio"))
        ms = (f"{row[name]:.4g}" if row[name] else "–" for name in ("a_ms", "b_ms"))
        cells = (row["key"], *ms, *changes, f"{decided['smallest']:.0%}" if decided else "–", row["verdict"])
        lines.append(f"| {' | '.join(cells)} |")
    both = [row for row in rows if row["time"] and row["ratio"]]
    times, ratios = (sum(abs(row[name]["value"]) for row in both) / len(both) for name in ("time", "ratio"))
    return (
        "The same sweep once more, compared by `edgesr compare`, which prints more; *detects from* is the least change that\n"
        "would have counted.\n\n" + "\n".join(lines) + "\n\n"
        f"From the one sweep to the other the times of the {len(both)} cells with a ratio moved by {times:.1%} on average,\n"
        f"their ratios by {ratios:.1%}.\n"
    )


def main() -> None:
    """Measure twice, or render what is kept."""
    parser = argparse.ArgumentParser(prog="scripts/benchmarks", description=__doc__)
    parser.add_argument("models", nargs="*", default=list(DEFAULT_MODELS), help=f"default: {' '.join(DEFAULT_MODELS)}")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the table from the records")
    asked = parser.parse_args()
    if not asked.render:
        RECORDS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as name:
            for which in ("first", "second"):
                record = sweep(Path(name) / which, asked.models)
                write_record(RECORDS / f"{which}.json", without_pictures(record))
    write_page(read_record(RECORDS / "first.json"), comparison())


if __name__ == "__main__":
    main()
