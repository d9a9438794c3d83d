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
    return replace(record, cells=tuple(cells), command=f"edgesr bench --size {SIZE} --runtimes {RUNTIMES}")


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
    said = (
        f"{record.created[:10]}, {name}, {threads} threads, {versions}; `{record.command}`. Untrained weights where we have none."
    )
    return f"{said}\n\n" + "\n".join(lines) + "\n"


def row(cell: Cell) -> list[str]:
    """A cell's figures; struck out when they do not count."""
    subject, strike = cell.subject, "" if cell.ranked else "~~"
    if not cell.latency:
        return [subject.model, subject.runtime, f"{cell.status}: {cell.reason}", *["–"] * (len(HEADER) - 3)]
    interval = f" [{cell.ratio.low:.2f}, {cell.ratio.high:.2f}]" if cell.ratio and cell.ratio.low and cell.ratio.high else ""
    ratio = f"{strike}{cell.ratio.value:.2f}{interval}{strike}" if cell.ratio else "1"
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
    note = "An asterisk marks what the harness calls unstable; the record says why.\n"
    PAGE.write_text(f"{before}{BEGIN}\n{rendered(record)}\n{note}\n{compared}{END}{after}", encoding="utf-8")


def comparison() -> str:
    """What `edgesr compare` says of the two sweeps."""
    done = edgesr("compare", *(str(RECORDS / f"{name}.json") for name in ("first", "second")))
    return f"The same sweep once more, compared by `edgesr compare`:\n\n```\n{done.stdout.strip()}\n```\n"


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
