"""Two records of `edgesr bench`, cell by cell: what has become faster or slower beyond noise.

A verdict rests on the change of the cell's ratio to the reference that it took turns with, because the mood of the machine
cancels in it; on the change of its own time where a record has no such ratio. `edgesr.bench.change` says what noise is.

A ratio has two ends, and the reference's process has its luck, too. So a third cell must bear witness that the reference stayed
where it was: one whose own ratio to it has not changed, and would have shown such a change. Without a witness the noise is at
least `FLOOR_OF_TIMES`, and for a change against that of the reference's own time twice that one: a smaller one is more likely the
reference's. Nothing is called slower whose own time fell by more than `FLOOR_OF_TIMES`, nor faster whose time rose. The reference
itself counts as changed only when its own time did, more than that of every other cell, and away from all of them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from edgesr.bench.change import FLOOR_OF_TIMES, Change, Times, change
from edgesr.bench.record import Cell, Record
from edgesr.bench.statistics import Rounds
from edgesr.errors import RecordError

Verdict = Literal["faster", "slower", "same within noise", "only in A", "only in B", "not comparable"]

_MEMORY_MB = 1.0
_MEMORY_PART = 0.03
"""A memory figure has changed when it differs by more than the larger of the two."""
_ROUNDING = 1e-9
_NOT_COMPARED = "unknown"
"""The environment's reasons for what it does not hold."""


@dataclass(frozen=True, kw_only=True)
class MemoryChange:
    """A metric of which the two records differ by more than 1 MB and more than 3 %; MB of 2²⁰ bytes."""

    metric: str
    a_mb: float
    b_mb: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """A cell. a_ms, b_ms: its p50. time: the change of that; ratio: of its ratio to the reference. rests_on: which decided.

    broken: what it does no more in B although it did in A, "" for nothing. unsure: whether it ran in both, but for too
    few rounds to compare. notes: what else is to be known.
    """

    key: str
    verdict: Verdict
    a_ms: float | None = None
    b_ms: float | None = None
    time: Change | None = None
    ratio: Change | None = None
    rests_on: Literal["", "time", "ratio"] = ""
    broken: str = ""
    unsure: bool = False
    memory: tuple[MemoryChange, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def decided(self) -> Change | None:
        """The change that the verdict rests on."""
        return {"time": self.time, "ratio": self.ratio, "": None}[self.rests_on]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All cells of both records, in the order of A's. warnings: of the records as a whole."""

    rows: tuple[Row, ...]
    warnings: tuple[str, ...] = ()

    def regressions(self, limit: float) -> tuple[str, ...]:
        """What a gate of `limit` (relative: 0.05) stops: cells slower by more, beyond noise, and broken and missing ones."""
        found = [f"{row.key}: B does not hold it" for row in self.rows if row.verdict == "only in A"]
        for row in self.rows:
            decided = row.decided
            if row.broken:
                found.append(f"{row.key}: {row.broken}")
            elif row.verdict == "slower" and decided and decided.value > limit:
                found.append(f"{row.key}: {decided.value:+.1%}")
        return tuple(found)

    def blind(self, limit: float) -> tuple[str, ...]:
        """The cells whose noise hides a slowdown of `limit`, or is not known."""
        return tuple(row.key for row in self.rows if row.unsure or (row.decided and row.decided.smallest > limit + _ROUNDING))

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def compare(a: Record, b: Record) -> Comparison:
    """Compare B with A; raises RecordError when they were not measured alike, or have no cell in common."""
    found = list(differences(a, b))
    if found:
        listed = "\n".join(f"  {name}: {first} in A, {second} in B" for name, first, second in found)
        raise RecordError(
            f"the records were not measured alike, so that their times do not compare:\n{listed}",
            hint="Measure both on one machine, with the same versions and options of `edgesr bench`.",
        )
    old, new = ({cell.subject.key: cell for cell in record.cells} for record in (a, b))
    if not old.keys() & new.keys():
        raise RecordError("the records have no cell in common", hint="Measure the same models, runtimes and sizes in both.")
    rows = {key: _row(key, old.get(key), new.get(key), (old, new)) for key in dict.fromkeys([*old, *new])}
    around: dict[str, list[Row]] = {}
    for key, row in rows.items():
        if row.ratio and (ratio := old[key].ratio):
            around.setdefault(ratio.to, []).append(row)
    for reference, others in around.items():
        rows |= {row.key: _by_ratio(row, rows[reference], others) for row in others}
        rows[reference] = _reference(rows[reference], others)
    return Comparison(rows=tuple(rows.values()), warnings=tuple(_warnings(a, b)))


def differences(a: Record, b: Record) -> Iterator[tuple[str, str, str]]:
    """What must agree and does not: its name, and its values in A and B."""
    for part in ("environment", "settings"):
        first, second = (dict(_flat(part, getattr(record, part))) for record in (a, b))
        for name in dict.fromkeys([*first, *second]):
            if first.get(name) != second.get(name):
                yield name, str(first.get(name, "nothing")), str(second.get(name, "nothing"))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """`{"processor": {"model": "X"}}` -> ("environment.processor.model", "X")."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, inner in value.items():
        if key != _NOT_COMPARED:
            yield from _flat(f"{name}.{key}", inner)


def _warnings(a: Record, b: Record) -> Iterator[str]:
    for name, record in (("A", a), ("B", b)):
        if not record.complete:
            yield f"{name} is the record of a sweep that did not end: cells are missing"


def _row(key: str, a: Cell | None, b: Cell | None, cells: tuple[Mapping[str, Cell], Mapping[str, Cell]]) -> Row:
    """One cell's row, judged by its ratio where there is one."""
    if a is None or b is None:
        return Row(key=key, verdict="only in B" if a is None else "only in A")
    reasons = _not_comparable(a, b)
    a_ms, b_ms = (cell.latency.summary.p50 if cell.latency else None for cell in (a, b))
    if reasons:
        sound = a.ranked and not any("in A" in reason for reason in reasons)
        broken = next((reason for reason in reasons if "in B" in reason), "") if sound else ""
        unsure = a.ranked and b.ranked
        return Row(key=key, verdict="not comparable", broken=broken, unsure=unsure, notes=tuple(reasons), a_ms=a_ms, b_ms=b_ms)
    assert a.latency is not None
    assert b.latency is not None
    time = change(Times(a.latency.rounds), Times(b.latency.rounds))
    beside, note = _references(a, b, cells)
    ratio = None
    if beside:
        contended = any("contention" in why for cell in (a, b, *beside) for why in _unstable(cell))
        ours, theirs = (Times(_rounds(cell), _rounds(reference)) for cell, reference in zip((a, b), beside, strict=True))
        ratio = change(ours, theirs, contended=contended)
    notes = [
        *note,
        *_settings(a, b),
        *(f"unstable in {n}: {'; '.join(why)}" for n, c in (("A", a), ("B", b)) if (why := _unstable(c))),
    ]
    row = Row(key=key, verdict=_verdict(time), a_ms=a_ms, b_ms=b_ms, time=time, ratio=ratio, rests_on="time", notes=tuple(notes))
    return replace(row, memory=_memory(a, b))


def _verdict(decided: Change) -> Verdict:
    if not decided.counts:
        return "same within noise"
    return "slower" if decided.value > 0 else "faster"


def _by_ratio(row: Row, reference: Row, around: Sequence[Row]) -> Row:
    """The row judged by its ratio to the reference, with the other cells as witnesses."""
    assert row.ratio is not None
    moved = 0.0
    if reference.time and reference.time.value * row.ratio.value < 0:
        moved = math.expm1(abs(math.log1p(reference.time.value)))
    witnesses = [one.ratio.smallest for one in around if one.key != row.key and one.ratio and not one.ratio.counts]
    supported = min([*witnesses, max(FLOOR_OF_TIMES, 2 * moved)])
    decided = row.ratio.with_noise(max(supported, moved - FLOOR_OF_TIMES))
    return replace(row, ratio=decided, rests_on="ratio", verdict=_verdict(decided))


def _reference(row: Row, others: Sequence[Row]) -> Row:
    """The reference's own row, judged by its time, which other cells must not have shared."""
    moved = row.time
    if not moved or not moved.counts or all(_left_behind(other, moved) for other in others):
        return row
    note = f"its own time changed ({moved.value:+.1%}), and so did others': the mood of the machine"
    return replace(row, verdict="same within noise", notes=(*row.notes, note))


def _left_behind(row: Row, moved: Change) -> bool:
    """Whether the cell's time changed less than the reference's, which moved away from it beyond noise."""
    assert row.time is not None
    assert row.ratio is not None
    return abs(row.time.value) < abs(moved.value) and row.ratio.counts and row.ratio.value * moved.value < 0


def _not_comparable(a: Cell, b: Cell) -> list[str]:
    """Why the two cannot be compared; empty when they can."""
    bad = [f"{cell.status} in {name}: {cell.reason}" for name, cell in (("A", a), ("B", b)) if not cell.ranked]
    for name, cell in (("A", a), ("B", b)):
        if cell.ranked and (cell.latency is None or len(cell.latency.rounds) < 2 or not all(cell.latency.rounds)):
            bad.append(f"less than two rounds in {name}: its noise is unknown")
    return bad


def _references(a: Cell, b: Cell, cells: tuple[Mapping[str, Cell], Mapping[str, Cell]]) -> tuple[tuple[Cell, ...], list[str]]:
    """The reference in both records; empty where a ratio cannot be compared, with the reason if it is a surprise."""
    if not a.ratio or not b.ratio or a.ratio.to != b.ratio.to:
        return (), []
    first, second = (side.get(a.ratio.to) for side in cells)
    if not first or not second or _not_comparable(first, second):
        return (), []
    if first.settings != second.settings:
        return (), ["by its own time: the reference's settings differ"]
    return (first, second), []


def _rounds(cell: Cell) -> Rounds:
    return cell.latency.rounds if cell.latency else ()


def _settings(a: Cell, b: Cell) -> Iterator[str]:
    """What the runtime said of itself, where it differs."""
    for name in dict.fromkeys([*a.settings, *b.settings]):
        if a.settings.get(name) != b.settings.get(name):
            yield f"{name}: {a.settings.get(name, 'nothing')} in A, {b.settings.get(name, 'nothing')} in B"


def _unstable(cell: Cell) -> tuple[str, ...]:
    return cell.latency.unstable if cell.latency else ()


def _memory(a: Cell, b: Cell) -> tuple[MemoryChange, ...]:
    return tuple(
        MemoryChange(metric=metric, a_mb=before, b_mb=b.memory[metric])
        for metric, before in a.memory.items()
        if metric in b.memory and abs(b.memory[metric] - before) > max(_MEMORY_MB, _MEMORY_PART * before)
    )
