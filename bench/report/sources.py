"""What a report is made of: records with a label each, and their cells in groups, the best first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesr.bench.record import Cell, Record, Status, Subject, read_record
from edgesr.bench.report import wording
from edgesr.errors import UsageError

_ORDER: tuple[Status, ...] = ("ok", "parity failed", "failed", "timed out")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A record and how the report calls it: by its file's name, with as many folders as tell it from the others."""

    label: str
    record: Record


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cells that were measured in turns, best first; names: one for each, as short as tells it apart."""

    source: Source
    cells: tuple[Cell, ...]
    names: tuple[str, ...]
    reference: str

    @property
    def subject(self) -> Subject:
        """What all cells share is right in any of them."""
        return self.cells[0].subject

    @property
    def title(self) -> str:
        """What all cells share, in words."""
        return wording.group_title(self.subject)

    @property
    def named(self) -> tuple[tuple[str, Cell], ...]:
        """The cells with their names."""
        return tuple(zip(self.names, self.cells, strict=True))

    def is_reference(self, cell: Cell) -> bool:
        """Whether the ratios are to this cell."""
        return cell.subject.key == self.reference


def read_sources(paths: Sequence[Path]) -> tuple[Source, ...]:
    """Read the records; raises UsageError for a file named twice, RecordError for one that is no sound record."""
    resolved = [path.resolve() for path in paths]
    twice = next((path for path, full in zip(paths, resolved, strict=True) if resolved.count(full) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} was named twice", hint="Name each record once.")
    return tuple(Source(label=label, record=read_record(path)) for label, path in zip(labels(resolved), paths, strict=True))


def labels(paths: Sequence[Path]) -> list[str]:
    """The files' names, each with as many folders as tell it from the others."""
    made = []
    for path in paths:
        others = [other for other in paths if other != path]
        tails = [Path(*path.parts[-count:]) for count in range(1, len(path.parts) + 1)]
        apart = [tail for count, tail in enumerate(tails, 1) if all(tail != Path(*other.parts[-count:]) for other in others)]
        made.append(apart[0].as_posix())
    return made


def groups(sources: Sequence[Source]) -> list[list[Group]]:
    """The cells of the same group stand together; those of different records stay apart, as they were not measured in turns."""
    keys = dict.fromkeys(cell.subject.group for source in sources for cell in source.record.cells)
    return [[group for source in sources if (group := _group(source, key))] for key in keys]


def _group(source: Source, key: str) -> Group | None:
    cells = sorted((cell for cell in source.record.cells if cell.subject.group == key), key=_rank)
    if not cells:
        return None
    named = [cell.ratio.to for cell in cells if cell.ratio]
    eager = [cell.subject for cell in cells if (cell.subject.runtime, cell.subject.precision) == ("pytorch", "fp32")]
    plain = [subject.key for subject in eager if not subject.artifact]
    return Group(source=source, cells=tuple(cells), names=tuple(wording.names(cells)), reference=[*named, *plain, ""][0])


def _rank(cell: Cell) -> tuple[int, float]:
    return _ORDER.index(cell.status), cell.latency.summary.p50 if cell.latency else float("inf")
