"""The five families on an NVIDIA GPU: PyTorch eager and compiled, ONNX Runtime, TensorRT; a table in docs/benchmarks.md.

A GPU may be lent for minutes, so that this works in pieces: one model at one size. Each is measured whole by `edgesr bench`'s own
harness, its record goes to docs/records/cuda at once, and pieces whose record is there are not measured again. No piece is
begun that will probably not end within --minutes; the same command, typed again, goes on.

    scripts/bench-cuda --prepare artifacts        # anywhere, before: exports, which need no GPU but take minutes
    scripts/bench-cuda --artifacts artifacts      # on the GPU; again until it says that nothing is left
    scripts/bench-cuda esc --sizes hd --runtimes pytorch-compile      # runtimes of one piece apart, where together takes too long
    scripts/bench-cuda --render                   # anywhere, after: the table from the records

A machine that keeps nothing: --records DIR writes into a folder that comes back; copy what is in it to docs/records/cuda, from
where the next call knows what is done, and --render.

PYTHON=python3 scripts/bench-cuda takes that Python as it is: PyTorch with CUDA, numpy, onnx, pillow, rich, safetensors and
packaging are enough to measure; a runtime that is not there, or has no GPU, becomes a row that says so.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench_cuda.page import RECORDS, write_page
from edgesr.artifact import read_artifact
from edgesr.bench.cells import DEFAULT_MODELS, REFERENCE, Group, Planned, Request, groups
from edgesr.bench.child import CellError, step
from edgesr.bench.devices import check_device
from edgesr.bench.protocol import Protocol
from edgesr.bench.record import Cell, Record, read_record, write_record
from edgesr.bench.sweep import Sweep, run
from edgesr.environment import environment
from edgesr.errors import ArtifactError, EdgesrError, UsageError
from edgesr.runtimes import runs_here, runtimes

SIZES = {"hd": "180x320", "4k": "540x960"}
"""Input sizes, ×4: the papers' 1280×720, and 3840×2160."""
_FIRST_GUESS_MINUTES = 5.0
_EXPORT_LIMIT = 1800.0


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A model at a size, with the runtimes beside the reference; none named means all that this machine has."""

    model: str
    size: str
    runtimes: tuple[str, ...]

    @property
    def file(self) -> str:
        """What its record is called."""
        return f"{'-'.join((self.model, 'x4', self.size, *self.runtimes))}.json"

    def group(self, artifacts: Path) -> Group:
        """Its cells, with what was exported before in `artifacts`."""
        threads = environment().processors
        request = Request(
            models=(self.model,),
            device="cuda",
            runtimes=self.runtimes,
            precisions=("fp32", "fp16"),
            sizes=(self.size,),
            threads=threads,
        )
        (group,) = groups(request, artifacts)
        return replace(group, cells=tuple(_given(cell) for cell in group.cells))


def _given(cell: Planned) -> Planned:
    """The cell with the artifact that is there already, which no sweep makes anew."""
    if not cell.step:
        return cell
    try:
        artifact = read_artifact(Path(str(cell.opening.arguments["folder"])))
        artifact.check_files()
    except ArtifactError:
        return cell
    return replace(cell, step="", arguments={}, sha256=artifact.manifest.model_sha256)


def prepare(pieces: Sequence[Piece], folder: Path) -> int:
    """Export what the pieces open and is not there; how many could not be."""
    failures = 0
    cells = [cell for piece in pieces for cell in piece.group(folder).cells if cell.step]
    for name, cell in {str(cell.opening.arguments["folder"]): cell for cell in cells}.items():
        try:
            step(cell.step, seconds=_EXPORT_LIMIT, folder=name, **cell.arguments)
            say(f"wrote {name}")
        except CellError as error:
            say(f"{name} could not be made: {error}")
            failures += 1
    return failures


def measure(piece: Piece, artifacts: Path, asked: argparse.Namespace) -> Record:
    """Measure the piece and keep its record, without pictures."""
    say(f"{piece.model} at {piece.size}")
    protocol = Protocol(threads=environment().processors, seconds=asked.seconds, limit=asked.limit)
    with tempfile.TemporaryDirectory() as name:
        sweep = Sweep(
            groups=(piece.group(artifacts),),
            protocol=protocol,
            device="cuda",
            folder=Path(name),
            command=" ".join(["scripts/bench-cuda", piece.model, "--sizes", piece.size, *_runtimes_asked(piece)]),
            energy=asked.energy,
        )
        _, record = run(sweep, announce=lambda cell: say(f"  {_line(cell)}"))
    cells = tuple(replace(cell, output_png="", difference_png="") for cell in record.cells)
    record = replace(record, cells=cells)
    asked.records.mkdir(parents=True, exist_ok=True)
    write_record(asked.records / piece.file, record)
    return record


def _runtimes_asked(piece: Piece) -> list[str]:
    return ["--runtimes", ",".join(piece.runtimes)] if piece.runtimes else []


def _line(cell: Cell) -> str:
    name = f"{cell.subject.runtime} {cell.subject.precision}"
    return (
        f"{name}: {cell.latency.summary.p50:.4g} ms, {cell.status}" if cell.latency else f"{name}: {cell.status}: {cell.reason}"
    )


def left_out() -> Iterator[str]:
    """The runtimes for a GPU that are not measured by default here, with the reason."""
    from edgesr.backends import available

    for name, runtime in runtimes().items():
        if "cuda" in runtime.devices and runtime.measures:
            if not runs_here(runtime):
                yield f"{name}: it runs on {', '.join(runtime.platforms)} only"
            elif not available(runtime.package):
                yield f"{name}: it needs the package {runtime.package}, which is not installed"


def done(piece: Piece, *folders: Path) -> bool:
    """Whether a record of it is in one of the folders, with more than the reference."""
    found = [read_record(folder / piece.file) for folder in folders if (folder / piece.file).exists()]
    return any(cell.subject.runtime != REFERENCE for record in found for cell in record.cells)


def measure_all(pieces: Sequence[Piece], asked: argparse.Namespace) -> int:
    """Measure as many pieces as the time allows; 1 when a piece was not measured though there was time."""
    start, longest, failures = time.monotonic(), _FIRST_GUESS_MINUTES, 0
    for reason in left_out():
        say(f"left out, {reason}")
    for number, piece in enumerate(pieces):
        spent = (time.monotonic() - start) / 60
        if number and spent + longest > asked.minutes:
            say(
                f"{len(pieces) - number} pieces are left, which may not end within {asked.minutes:g} minutes: type the same again"
            )
            return failures
        try:
            measure(piece, asked.artifacts, asked)
        except EdgesrError as error:
            say(f"{piece.model} at {piece.size} was not measured: {error}")
            failures = 1
        longest = max(longest if number else 0.0, (time.monotonic() - start) / 60 - spent)
    say("nothing is left")
    return failures


def say(line: str) -> None:
    """To standard error, at once."""
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench-cuda", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {' '.join(DEFAULT_MODELS)}")
    parser.add_argument("--sizes", default="hd,4k", help="of the input: hd (180x320), 4k (540x960), or HxW; default: hd,4k")
    parser.add_argument("--runtimes", metavar="NAME,NAME", help="beside PyTorch eager; default: all that this machine has")
    parser.add_argument("--minutes", type=float, default=9.0, help="that this call may take; default: 9")
    parser.add_argument("--seconds", type=float, default=2.0, help="of runs for each cell at least; default: 2")
    parser.add_argument("--limit", type=float, default=15.0, help="seconds for each cell's turns at most; default: 15")
    parser.add_argument("--energy", action="store_true", help="read the GPU's meter too, a process more for each cell")
    parser.add_argument("--artifacts", type=Path, help="folder of what --prepare exported; default: exported anew")
    parser.add_argument("--prepare", type=Path, metavar="DIR", help="export into DIR and measure nothing; needs no GPU")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of the records; default: docs/records/cuda")
    parser.add_argument("--anew", action="store_true", help="measure pieces again whose record is there")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the table from the records")
    return parser.parse_args()


def main() -> int:
    """Prepare, measure or render; the exit code is that of `edgesr`."""
    asked = _arguments()
    named = tuple(name for name in (asked.runtimes or "").split(",") if name)
    sizes = [SIZES.get(size, size) for size in asked.sizes.split(",")]
    pieces = [Piece(model=model, size=size, runtimes=named) for model in asked.models or DEFAULT_MODELS for size in sizes]
    try:
        if asked.prepare:
            return 1 if prepare(pieces, asked.prepare) else 0
        if asked.render:
            write_page()
            return 0
        check_device("cuda")
        if asked.artifacts and not asked.artifacts.is_dir():
            raise UsageError(f"{asked.artifacts} is no folder", hint=f"Make it: scripts/bench-cuda --prepare {asked.artifacts}")
        with tempfile.TemporaryDirectory() as name:
            asked.artifacts = asked.artifacts or Path(name)
            failures = measure_all([piece for piece in pieces if asked.anew or not done(piece, asked.records, RECORDS)], asked)
    except EdgesrError as error:
        say(str(error))
        return error.exit_code
    if asked.records == RECORDS:
        write_page()
    return failures


if __name__ == "__main__":
    sys.exit(main())
