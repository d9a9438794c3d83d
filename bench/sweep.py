"""A sweep: every group prepared, measured and written down, one after the other, whatever happens to a cell."""

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from edgesr import __version__
from edgesr.artifact import read_artifact
from edgesr.bench.cells import Group, Planned
from edgesr.bench.child import CellError, CellTimeoutError, Child, step
from edgesr.bench.latency import Files, Measured, measure
from edgesr.bench.machine import environment_record, machine_state, throttling
from edgesr.bench.memory import weigh
from edgesr.bench.power import meters
from edgesr.bench.protocol import Protocol
from edgesr.bench.record import Cell, Parity, Ratio, Record, Status, Subject, read_record, write_record
from edgesr.bench.statistics import FEWEST_ROUNDS, ratio_of_medians
from edgesr.errors import ArtifactError, ParityError, RecordError
from edgesr.export.verification import BUDGETS, budget_of
from edgesr.manifest import Manifest
from edgesr.parity import PICTURE, Difference, Edge
from edgesr.progress import Progress, silent
from edgesr.runtimes import runtimes
from edgesr.tensors import Precision

UNFINISHED = "unfinished.json"
_POWER_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What to measure and how. folder: where records and artifacts go. command: as it was typed.

    energy: whether a meter that the machine has is read, in a process of its own for each cell.
    """

    groups: tuple[Group, ...]
    protocol: Protocol
    device: str
    folder: Path
    command: str
    export_limit: float = 300.0
    energy: bool = True


def run(sweep: Sweep, *, progress: Progress = silent, announce: Callable[[Cell], None] = lambda _: None) -> tuple[Path, Record]:
    """Measure all groups, go on where an interrupted sweep stopped, and write the record; its path and itself.

    announce: called with every cell that is done. Raises RecordError when the folder holds an unfinished sweep of something else.
    """
    sweep.folder.mkdir(parents=True, exist_ok=True)
    unfinished = sweep.folder / UNFINISHED
    record = _begun(sweep, unfinished)
    done = {cell.subject.key for cell in record.cells}
    if not done:
        _forget_artifacts(sweep.groups)
    left = [group for group in sweep.groups if not {cell.subject.key for cell in group.cells} <= done]
    start, earlier = time.monotonic(), len(sweep.groups) - len(left)
    for number, group in enumerate(left):
        say = partial(_say, progress, start=start, done=number, earlier=earlier, total=len(sweep.groups))
        cells = _measured(group, sweep, say)
        record = replace(record, cells=(*record.cells, *cells), after=machine_state(sweep.device))
        write_record(unfinished, record)
        for cell in cells:
            announce(cell)
    path = sweep.folder / f"bench-{record.created.replace(':', '').replace('-', '')}.json"
    record = replace(record, complete=True)
    write_record(path, record)
    unfinished.unlink(missing_ok=True)
    return path, record


def _forget_artifacts(groups: Sequence[Group]) -> None:
    """Delete what an earlier sweep exported into the folder: it may be of another version, and is made anew."""
    for group in groups:
        for planned in group.cells:
            if planned.step:
                shutil.rmtree(str(planned.opening.arguments["folder"]), ignore_errors=True)


def _say(progress: Progress, stage: str, *, start: float, done: int, earlier: int, total: int) -> None:
    """Tell the stage with the time that is left, as the groups tell that were done since `start`, not `earlier`."""
    if done:
        left = (time.monotonic() - start) / done * (total - earlier - done)
        stage += f"; about {left / 60:.0f} min left" if left >= 60 else f"; about {left:.0f} s left"
    progress(stage, earlier + done, total)


def _begun(sweep: Sweep, unfinished: Path) -> Record:
    """The unfinished record, or a new one."""
    fresh = Record(
        command=sweep.command,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        edgesr=__version__,
        settings=sweep.protocol.to_json(),
        environment=environment_record(sweep.device),
        planned={cell.subject.key: cell.sha256 for group in sweep.groups for cell in group.cells},
        before=machine_state(sweep.device),
        after={},
        cells=(),
        complete=False,
    )
    if not unfinished.exists():
        return fresh
    found = read_record(unfinished)
    if any(getattr(found, name) != getattr(fresh, name) for name in ("settings", "environment", "planned", "edgesr")):
        raise RecordError(
            f"{unfinished} is another sweep that was interrupted: {found.command}",
            hint="Run that command again to finish it, delete the file, or take another folder with -o.",
        )
    return found


def _measured(group: Group, sweep: Sweep, say: Callable[[str], None]) -> tuple[Cell, ...]:
    """Prepare and measure the cells of a group."""
    failures: dict[str, CellError] = {}
    with tempfile.TemporaryDirectory() as name:
        files = Files(image=Path(name) / "image.npy", expected=Path(name) / "expected.npy")
        say(f"{group.name}: the reference's output")
        try:
            step(
                "edgesr.bench.preparing:expected_output",
                seconds=sweep.export_limit,
                opener=group.expected.opener,
                arguments=group.expected.arguments,
                size=group.size,
                folder=name,
            )
        except CellError as error:
            reason = CellError(f"there is no reference output: {error}")
            return tuple(_failed(planned.subject, reason) for planned in group.cells)
        ready = {}
        for planned in group.cells:
            try:
                ready[planned.subject.key] = _prepared(planned, sweep, lambda stage: say(f"{group.name}: {stage}"))
            except CellError as error:
                failures[planned.subject.key] = error
        openings = {key: planned.opening for key, planned in ready.items()}
        before = machine_state(sweep.device)
        measured = measure(openings, files, sweep.protocol, say)
        slowed = throttling(before, machine_state(sweep.device))
        failures |= measured.failures
        cells = []
        for planned in group.cells:
            key = planned.subject.key
            if key in failures:
                cells.append(_failed(planned.subject, failures[key]))
                continue
            say(f"memory of {key}")
            cell = _cell(planned, measured, slowed)
            cells.append(_with_memory(cell, ready[key], files, sweep.protocol, energy=sweep.energy))
    return _with_ratios(tuple(cells))


def _prepared(planned: Planned, sweep: Sweep, say: Callable[[str], None]) -> Planned:
    """Make the folder that the cell opens, unless another cell of the sweep has made it; a failure is tried again."""
    if planned.step:
        folder = Path(str(planned.opening.arguments["folder"]))
        try:
            read_artifact(folder).check_files()
        except ArtifactError:
            say(f"making {folder.name}")
            step(planned.step, seconds=sweep.export_limit, folder=str(folder), **planned.arguments)
    manifest = _manifest(planned)
    picture = manifest is not None and manifest.output.is_picture
    return replace(planned, opening=replace(planned.opening, picture=picture))


def _manifest(planned: Planned) -> Manifest | None:
    """Of the artifact that the cell opens; None for PyTorch, and for what a runtime's own converter has made."""
    if not planned.opening.opener.endswith(":artifact") or not runtimes()[planned.subject.runtime].formats:
        return None
    return read_artifact(Path(str(planned.opening.arguments["folder"]))).manifest


def _cell(planned: Planned, measured: Measured, slowed: tuple[str, ...]) -> Cell:
    """The cell without its memory. slowed: why the machine held itself back meanwhile."""
    key = planned.subject.key
    facts, latency = measured.facts[key], measured.latency[key]
    parity = _parity(planned, facts["parity"])
    status: Status = "ok" if parity and parity.passed else "parity failed"
    reason = f"its output is not the reference's: {parity.psnr_db:.1f} dB, {parity.budget}" if parity else "its output holds NaN"
    artifact: dict[str, Any] = {}
    if manifest := _manifest(planned):
        rewrites = tuple(each.name for each in manifest.rewrites)
        artifact = {"file_bytes": manifest.model_bytes, "file_sha256": manifest.model_sha256, "rewrites": rewrites}
    return Cell(
        subject=planned.subject,
        status=status,
        reason="" if status == "ok" else reason,
        settings=facts["settings"],
        parity=parity,
        load_s=round(facts["load_s"], 4),
        first_ms=round(facts["first_ns"] / 1e6, 3),
        latency=replace(latency, unstable=(*latency.unstable, *slowed)),
        end_to_end=measured.end_to_end.get(key),
        on_device=measured.on_device.get(key),
        output_png=facts["output_png"],
        difference_png=facts["difference_png"],
        difference_white=facts["difference_white"],
        **artifact,
    )


def _parity(planned: Planned, found: dict[str, float]) -> Parity | None:
    """The comparison with its verdict, by the artifact's own budget where there is one; None for an output with NaN or Inf."""
    if not all(math.isfinite(value) for value in found.values()):
        return None
    precision: Precision = "fp16" if planned.subject.precision == "fp16" else "fp32"
    manifest = _manifest(planned)
    budget = budget_of(manifest, planned.subject.runtime) if manifest else BUDGETS[precision]
    try:
        budget.check(Edge(name="", differences=(Difference(input=PICTURE, **found),)))
        passed = True
    except ParityError:
        passed = False
    wanted = f"at least {budget.psnr_db:.0f} dB and at most {budget.relative_l2:.0e} relative asked for"
    return Parity(**found, passed=passed, budget=wanted)


def _with_memory(cell: Cell, planned: Planned, files: Files, protocol: Protocol, *, energy: bool) -> Cell:
    """The cell with what a process of its own needs, and with its energy where that is wanted and the machine has a meter."""
    try:
        weighed = weigh(planned.opening, files, protocol)
        cell = replace(cell, memory=weighed.metrics, memory_notes=weighed.notes)
        again = _parity(planned, weighed.parity)
        if cell.ranked and not (again and again.passed):
            cell = replace(cell, status="parity failed", parity=again, reason="its output was wrong in a second process")
        if energy and meters(planned.subject.device):
            with Child(planned.opening) as child:
                child.ask("open", seconds=protocol.cell_limit)
                child.ask("first", seconds=protocol.cell_limit, image=str(files.image))
                answer = child.ask(
                    "energy", seconds=protocol.cell_limit, for_seconds=_POWER_SECONDS, device=planned.subject.device
                )
                cell = replace(cell, energy=answer["energy"])
    except CellError as error:
        cell = replace(cell, memory_notes=(*cell.memory_notes, f"could not be measured: {error}"))
    return cell


def _failed(subject: Subject, error: CellError) -> Cell:
    status: Status = "timed out" if isinstance(error, CellTimeoutError) else "failed"
    return Cell(subject=subject, status=status, reason=str(error))


def _with_ratios(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """The cells with their latency over that of the group's reference, which was measured in turns with them."""
    reference = cells[0]
    if not reference.latency or not reference.ranked:
        return cells
    with_ratio = [reference]
    for cell in cells[1:]:
        if cell.latency:
            rounds = cell.latency.rounds, reference.latency.rounds
            value, low, high = (round(number, 4) for number in ratio_of_medians(*rounds))
            ratio = Ratio(to=reference.subject.key, value=value, low=low, high=high)
            if min(map(len, rounds)) < FEWEST_ROUNDS:
                ratio = replace(ratio, low=None, high=None)
            cell = replace(cell, ratio=ratio)
        with_ratio.append(cell)
    return tuple(with_ratio)
