"""Latency and memory of exported models against naive exports in other runtimes, in one run, into docs/performance.md.

Every candidate has a process of its own; they take turns, round by round, so that the machine's moods hit all of them. The output
of each is compared with PyTorch's. Run it on a machine that does nothing else.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from bench_peers.candidates import Candidate, Preparation
from bench_peers.goals import GOALS, MEMORY_SIZES, latency_size
from bench_peers.measuring import latency, memory, product_ns, traffic
from bench_peers.records import load, read_all, record, write
from bench_peers.rendering import render
from edgesr.bench.child import CellError
from edgesr.bench.protocol import Protocol
from edgesr.errors import EdgesrError, UsageError
from edgesr.tensors import Size, parse_size

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgesr" / "bench-peers"


class Display:
    """What is being done, with the time since the start, on standard error."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._prefix = ""

    def model(self, name: str) -> None:
        """Whose turn it is."""
        self._prefix = f"{name}: "

    def __call__(self, what: str) -> None:
        seconds = int(time.monotonic() - self._start)
        text = f"[{seconds // 60:3d}:{seconds % 60:02d}] {self._prefix}{what}"
        if sys.stderr.isatty() and what.startswith("round"):
            print(f"\r\x1b[K{text}", end="\r", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


def measure(
    model: str, asked: argparse.Namespace, preparation: Preparation, matmul: tuple[Candidate, Path], display: Display
) -> Path:
    """Prepare, time and weigh one model; the record's path."""
    display.model(model)
    size: Size = asked.size or latency_size(model)
    prepared = preparation.prepare(model, asked.scale, size)
    sizes = {} if asked.no_memory else {str(each): each for each in asked.memory_size or MEMORY_SIZES}
    others = {name: prepared if each == size else preparation.prepare(model, asked.scale, each) for name, each in sizes.items()}
    before = load()
    if before[0] > 0.5:
        display(f"the machine is busy (load {before[0]}): only the ratios will mean something")
    protocol = Protocol(
        threads=asked.threads, runs=asked.runs, limit=asked.seconds / len(prepared.candidates), memory_runs=1, end_to_end=False
    )
    product = product_ns(*matmul, protocol)
    timed = latency(prepared, protocol, display)
    product = min(product, product_ns(*matmul, protocol))
    loads = {"before": before, "after": load()}
    weighed = {name: memory(each, protocol, display) for name, each in others.items()}
    for name, each in others.items():
        weighed[name] = (weighed[name][0], {**each.failed, **weighed[name][1]})
    command = "scripts/bench-peers " + " ".join(_command_line(asked))
    content = record(
        model=model,
        scale=asked.scale,
        command=command,
        threads=asked.threads,
        prepared=prepared,
        timed=timed,
        moved=traffic(prepared, protocol, display),
        product=product,
        memory=weighed,
        loads=loads,
    )
    return write(asked.out / "records", content)


def _command_line(asked: argparse.Namespace) -> list[str]:
    """The arguments that decide what is measured; folders are left out."""
    words = [*asked.models, "--runs", str(asked.runs), "--seconds", f"{asked.seconds:g}", "--threads", str(asked.threads)]
    words += ["--scale", str(asked.scale)] if asked.scale != 4 else []
    words += ["--size", str(asked.size)] if asked.size else []
    words += [word for each in asked.memory_size or [] for word in ("--memory-size", str(each))]
    return words + ["--static"] * asked.static + ["--no-memory"] * asked.no_memory + ["--no-standard"] * asked.no_standard


def _size(text: str) -> Size:
    try:
        return parse_size(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench-peers", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {' '.join(GOALS)}")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--size", type=_size, help="HxW of the latency; default 128x128, for rgt-s 64x64")
    parser.add_argument("--memory-size", type=_size, action="append", help="HxW, repeatable; default 128x128 and 180x320")
    parser.add_argument("--runs", type=int, default=15, help="of each candidate at least; more until the median is known to 2 %%")
    parser.add_argument("--seconds", type=float, default=300, help="no new round after so many seconds, for each model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--static", action="store_true", help="edgesr's file for the one size instead of for any")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--no-standard", action="store_true", help="without edgesr's graph of standard operators in OpenVINO")
    parser.add_argument("--limit", type=float, default=900, help="seconds that an export may take")
    parser.add_argument("--ncnn-limit", type=float, default=250, help="seconds that ncnn's conversion may take")
    parser.add_argument("--cache", type=Path, default=_CACHE, help="folder of the naive exports, which a second run takes again")
    parser.add_argument("-o", "--out", type=Path, default=Path("docs"), help="folder of records/ and performance.md")
    parser.add_argument("--render", action="store_true", help="measure nothing, write performance.md from the records")
    asked = parser.parse_args()
    asked.models = asked.models or list(GOALS)
    return asked


def main() -> int:
    """Measure what was asked for, then render; 1 when a model could not be measured."""
    asked = _arguments()
    failures = 0
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)  # for the workers, which open peers by functions of this package
    if not asked.render:
        if hasattr(os, "sched_setaffinity"):  # whoever takes as many threads as there are processors takes the same number
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])
        display = Display()
        preparation = Preparation(
            asked.cache,
            limit=asked.limit,
            ncnn_limit=asked.ncnn_limit,
            static=asked.static,
            standard=not asked.no_standard,
            say=display,
        )
        matmul = preparation.matmul()
        for model in asked.models:
            try:
                display(f"wrote {measure(model, asked, preparation, matmul, display)}")
            except (CellError, EdgesrError) as error:
                display(f"not measured: {error}")
                failures += 1
    page = asked.out / "performance.md"
    notes = asked.out / "performance-notes.md"
    page.write_text(render(read_all(asked.out / "records"), notes.read_text("utf-8") if notes.exists() else ""), "utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
