"""The part of docs/benchmarks.md that says what was measured on a GPU, from the records in docs/records/cuda."""

from collections.abc import Sequence
from pathlib import Path

from edgesr.bench.cells import DEFAULT_MODELS, REFERENCE
from edgesr.bench.memory import DEVICE
from edgesr.bench.record import Cell, Record, read_record
from edgesr.bench.statistics import FEWEST_ROUNDS, ratio_of_medians

DOCS = Path(__file__).parent.parent.parent / "docs"
RECORDS = DOCS / "records" / "cuda"
PAGE = DOCS / "benchmarks.md"
BEGIN, END = "<!-- cuda: begin -->", "<!-- cuda: end -->"
HEADER = ("model", "runtime", "precision", "p50 ms", "p90 ms", "of eager float32", "of eager, same precision", "device MB", "dB")
GOALS = ("model", "fastest exported, float16", "eager float32", "eager float16", "compiled float16", "device memory")
NOT_RUN = (
    "**Not run yet**: no GPU was at hand. `scripts/bench-cuda` measures the five families there, at the papers' 1280×720 and at\n"
    "3840×2160, and puts its tables here; its `--help` says how it goes in pieces of a few minutes.\n"
)
_PYTORCH = (REFERENCE, "pytorch-compile")
_HD = "180x320"


def read_all() -> list[Record]:
    """The records that are kept, in the order of the models and sizes."""
    order = {name: place for place, name in enumerate(DEFAULT_MODELS)}
    found = [read_record(path) for path in sorted(RECORDS.glob("*.json"))]
    return sorted(found, key=lambda record: (record.cells[0].subject.size, order.get(record.cells[0].subject.model, len(order))))


def write_page() -> None:
    """Put the tables between the page's marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{rendered(read_all())}{END}{rest.partition(END)[2]}", encoding="utf-8")


def rendered(records: Sequence[Record]) -> str:
    """The machines, a table for each size, and what the goals say; that nothing was run, where there is no record."""
    if not records:
        return NOT_RUN
    parts = ["\n".join(dict.fromkeys(_machine(record) for record in records))]
    for size in dict.fromkeys(record.cells[0].subject.size for record in records):
        lines = [_line(HEADER), f"|{'---|' * len(HEADER)}"]
        for record in records:
            lines += [_line(_row(cell, record.cells)) for cell in record.cells if cell.subject.size == size]
        parts.append(f"Input {size} (HxW), ×4:\n\n" + "\n".join(lines))
    goals = [_line(row) for record in records if (row := _goal(record.cells))]
    if goals:
        asked = (
            "How often the fastest exported file runs while PyTorch runs once, at 1280×720, and its device memory as a part of\n"
            "eager float16's. Asked for were 2 or more against eager, more than 1 against compiled, and half the memory or less:"
        )
        parts.append("\n".join([asked, "", _line(GOALS), f"|{'---|' * len(GOALS)}", *goals]))
    return "\n\n".join(parts) + "\n"


def _machine(record: Record) -> str:
    gpu = record.environment.get("gpu", {})
    packages = record.environment.get("packages", {})
    named = ("torch", "onnxruntime-gpu", "onnxruntime", "tensorrt")
    versions = ", ".join(f"{name} {packages[name]}" for name in named if name in packages)
    return (
        f"{record.created[:10]}, {gpu.get('name', 'a GPU of no name')}, driver {gpu.get('driver', 'unknown')}, {versions}; "
        f"`{record.command}`. Seeded weights."
    )


def _row(cell: Cell, cells: Sequence[Cell]) -> tuple[str, ...]:
    """A cell's figures; struck out when they do not count."""
    subject, strike = cell.subject, "" if cell.ranked else "~~"
    begin = (subject.model, subject.runtime, subject.precision)
    if not cell.latency:
        return (*begin, f"{cell.status}: {cell.reason}", *["–"] * (len(HEADER) - 4))
    times = [f"{strike}{value:.4g}{strike}" for value in (cell.latency.summary.p50, cell.latency.summary.p90)]
    device = _device_mb(cell)
    return (
        *begin,
        times[0] + " *" * bool(cell.latency.unstable),
        times[1],
        f"{strike}{cell.ratio}{strike}" if cell.ratio else "1",
        _of_eager(cell, cells),
        f"{device:.0f}" if device else "–",
        f"{cell.parity.psnr_db:.0f}" if cell.parity else "–",
    )


def _of_eager(cell: Cell, cells: Sequence[Cell]) -> str:
    """The latency over that of PyTorch eager in the same precision, measured in turns with it."""
    eager = _find(cells, REFERENCE, cell.subject.precision)
    if cell is eager:
        return "1"
    if not (eager and eager.latency and eager.ranked and cell.latency and cell.ranked):
        return "–"
    value, low, high = ratio_of_medians(cell.latency.rounds, eager.latency.rounds)
    sure = min(len(cell.latency.rounds), len(eager.latency.rounds)) >= FEWEST_ROUNDS
    return f"{value:.2f} [{low:.2f}, {high:.2f}]" if sure else f"{value:.2f}"


def _goal(cells: Sequence[Cell]) -> tuple[str, ...] | None:
    """How the fastest exported file in half precision compares with PyTorch at the papers' setting; None where there is none."""
    subject = cells[0].subject
    exported = [
        cell for cell in cells if cell.ranked and cell.subject.precision == "fp16" and cell.subject.runtime not in _PYTORCH
    ]
    if subject.size != _HD or not exported:
        return None
    fastest = min(exported, key=lambda cell: cell.latency.summary.p50 if cell.latency else float("inf"))
    others = (_find(cells, REFERENCE, "fp32"), _find(cells, REFERENCE, "fp16"), _find(cells, "pytorch-compile", "fp16"))
    here, eager = _device_mb(fastest), _device_mb(others[1]) if others[1] else None
    memory = f"{here / eager:.2f}" if here and eager else "–"
    return (subject.model, fastest.subject.runtime, *(_times_as_fast(fastest, other) for other in others), memory)


def _times_as_fast(cell: Cell, other: Cell | None) -> str:
    if not (other and other.ranked and other.latency and cell.latency):
        return "–"
    return f"{other.latency.summary.p50 / cell.latency.summary.p50:.2f}×"


def _device_mb(cell: Cell) -> float | None:
    return next((value for name, value in cell.memory.items() if name.startswith(DEVICE)), None)


def _find(cells: Sequence[Cell], runtime: str, precision: str) -> Cell | None:
    return next((cell for cell in cells if (cell.subject.runtime, cell.subject.precision) == (runtime, precision)), None)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
