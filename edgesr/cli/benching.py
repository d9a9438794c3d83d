"""`edgesr bench`."""

import shlex
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from edgesr.cli.options import Json
from edgesr.cli.render import Output, table
from edgesr.environment import environment
from edgesr.errors import UnknownNameError, UsageError
from edgesr.tensors import PRECISIONS, Precision

if TYPE_CHECKING:
    from edgesr.bench.protocol import Protocol
    from edgesr.bench.record import Cell, Record

_TIMES = ("p50 ms", "p90 ms", "spread", "ratio to PyTorch [95 %]")


def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL|DIR]...", help="Models or artifact folders; default: one of each family."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda; on a Mac also all, gpu or ane, for Core ML.")] = "cpu",
    runtimes: Annotated[str | None, typer.Option(metavar="NAME,NAME", help="Default: all that this machine has.")] = None,
    precision: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Of exported models: fp32, fp16; for coreml also w8, p8, p6, p4.")
    ] = "fp32",
    size: Annotated[list[str] | None, typer.Option(metavar="HxW", help="Input size; default: what gives 1280x720.")] = None,
    scale: Annotated[int | None, typer.Option(help="Upscaling factor; default 4.", show_default=False)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the processor; default: all.", show_default=False)] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few runs, to see whether all works.")] = False,
    sustained: Annotated[
        float | None, typer.Option(metavar="MIN", min=0.1, max=600, help="Measure each model for so many minutes.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of records.")] = Path("bench-results"),
    as_json: Json = False,
) -> None:
    """Measure latency and memory of models in every runtime, against PyTorch, with parity checked."""
    from edgesr.bench.cells import DEFAULT_MODELS, Request, groups
    from edgesr.bench.devices import check_device
    from edgesr.bench.sweep import Sweep, run

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file and not a folder", hint="Name another folder: -o DIR")
    check_device(device)
    request = Request(
        models=tuple(models or DEFAULT_MODELS),
        device=device,
        runtimes=tuple(_names(runtimes)),
        precisions=_precisions(precision),
        sizes=tuple(size or ()),
        scale=scale,
        threads=threads or environment().processors,
    )
    protocol = _protocol(request.threads, quick=quick, minutes=sustained)
    command = shlex.join(["edgesr", *sys.argv[1:]])
    planned = groups(request, output / "artifacts")
    sweep = Sweep(groups=planned, protocol=protocol, device=device, folder=output, command=command)
    show = Output(as_json=as_json)
    with show.progress() as progress:
        path, record = run(sweep, progress=progress, announce=lambda cell: show.note(_done(cell)))
    data = {"record": str(path), **record.to_json()}
    show.result(
        data, [*tables(record), f"Record: {path}", f"A page to show: edgesr report {shlex.quote(str(path))} -o report.html"]
    )


def _done(cell: "Cell") -> str:
    """The line for a cell that was just measured."""
    if not cell.latency:
        return f"{cell.subject.key}: {cell.status}: {cell.reason}"
    struck = "" if cell.ranked else f"; {cell.status}"
    return f"{cell.subject.key}: {cell.latency.summary.p50:.4g} ms{struck}"


def _protocol(threads: int, *, quick: bool, minutes: float | None) -> "Protocol":
    from edgesr.bench import protocol

    if quick and minutes:
        raise UsageError("--quick and --sustained contradict each other", hint="Give one of them.")
    if minutes:
        return protocol.sustained(threads, minutes)
    return protocol.quick(threads) if quick else protocol.Protocol(threads=threads)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _precisions(text: str) -> tuple[Precision, ...]:
    unknown = [name for name in _names(text) if name not in PRECISIONS]
    if unknown or not _names(text):
        raise UnknownNameError("precision", unknown[0] if unknown else text, PRECISIONS)
    return tuple(known for known in PRECISIONS if known in _names(text))


def tables(record: "Record") -> list[Table]:
    """A table for each group of the record: fastest first, then what failed."""
    made = []
    for name, members in groupby(record.cells, key=lambda cell: cell.subject.group):
        cells = sorted(members, key=lambda cell: (not cell.ranked, cell.latency.summary.p50 if cell.latency else 0.0))
        memory = "peak device MB" if cells[0].subject.device == "cuda" else "peak RSS MB"
        numbers = (*_TIMES, memory, "parity dB")
        columns = ("runtime", "precision", *numbers, "notes")
        made.append(table(name, columns, [_row(cell) for cell in cells], numbers=numbers))
    return made


def _row(cell: "Cell") -> Sequence[object]:
    from edgesr.bench.memory import PEAK

    style = "" if cell.ranked else "strike"
    latency, ratio = cell.latency, cell.ratio
    figures = [
        f"{latency.summary.p50:.4g}" if latency else "–",
        f"{latency.summary.p90:.4g}" if latency else "–",
        f"{latency.summary.cv:.0%}" if latency else "–",
        str(ratio) if ratio else "1" if latency else "–",
        _memory(cell, PEAK),
        f"{cell.parity.psnr_db:.1f}" if cell.parity else "–",
    ]
    on_device = f"on the device {cell.on_device.summary.p50:.4g} ms" if cell.on_device else ""
    notes = [cell.reason, on_device, *(latency.unstable if latency else ()), *cell.memory_notes]
    status = "" if cell.ranked else f"{cell.status}: "
    subject = cell.subject
    name = " ".join(filter(None, (subject.artifact, subject.runs_in)))
    return [name, subject.precision, *(Text(figure, style=style) for figure in figures), status + "; ".join(filter(None, notes))]


def _memory(cell: "Cell", process: str) -> str:
    """The peak of the process; on a device, that of the device's memory where somebody told it."""
    from edgesr.bench.memory import DEVICE

    of_device = [value for name, value in cell.memory.items() if name.startswith(DEVICE)]
    if cell.subject.device == "cuda":
        return f"{of_device[0]:.0f}" if of_device else "–"
    return f"{cell.memory[process]:.0f}" if process in cell.memory else "–"
