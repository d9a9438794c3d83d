"""`edgesr compare`: two records, cell by cell."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from edgesr.cli.options import Json
from edgesr.cli.render import Output, table
from edgesr.errors import RegressionError, UsageError

if TYPE_CHECKING:
    from edgesr.bench.change import Change
    from edgesr.bench.compare import Comparison, Row
    from edgesr.bench.record import Record

_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")
_COLUMNS = ("cell", "A ms", "B ms", "time", "ratio to the reference", "95 %", "detects from", "verdict")
_NUMBERS = _COLUMNS[1:7]
_STYLES = {"faster": "green", "slower": "red"}


def compare(
    a: Annotated[Path, typer.Argument(metavar="A.json", help="The record to compare with, as of the version before.")],
    b: Annotated[Path, typer.Argument(metavar="B.json", help="The record to judge.")],
    fail_if_slower: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Exit with 5 when a cell is slower by more than so many percent (5%), fails or lacks in B; or all is noise.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say for each cell of two records whether it is faster or slower beyond noise, and what change it could have seen."""
    from edgesr.bench.compare import compare as run
    from edgesr.bench.record import read_record

    limit = None if fail_if_slower is None else _percent(fail_if_slower)
    show = Output(as_json=as_json)
    records = read_record(a), read_record(b)
    comparison = run(*records)
    for warning in comparison.warnings:
        show.warn(warning)
    failed = () if limit is None else _failed(comparison, limit)
    data: dict[str, Any] = {"a": str(a), "b": str(b), **comparison.to_json()}
    if limit is not None:
        data["gate"] = {"limit": limit, "passed": not failed, "failed": failed, "blind": comparison.blind(limit)}
    show.result(data, _lines(comparison, *records))
    if limit is None:
        return
    if blind := comparison.blind(limit):
        where = ", ".join(blind)
        show.warn(f"a slowdown of {100 * limit:g}% would not be seen, for noise or for too few rounds, in: {where}")
    if failed:
        listed = "\n".join(f"  {reason}" for reason in failed)
        raise RegressionError(f"the gate of {fail_if_slower} does not let B through:\n{listed}")


def _failed(comparison: "Comparison", limit: float) -> tuple[str, ...]:
    """Why the gate does not open. One that cannot see most of the cells must not."""
    judged, hidden = [row for row in comparison.rows if row.decided or row.unsure], comparison.blind(limit)
    reasons = comparison.regressions(limit)
    if 2 * len(hidden) > len(judged):
        unsure = f"{len(hidden)} of {len(judged)} cells were not measured surely enough to show a slowdown of {100 * limit:g}%"
        return (*reasons, unsure)
    return reasons


def _percent(words: str) -> float:
    """`5%` -> 0.05. A bare number is refused: 0.05 could be meant as a part or as percent."""
    match = _PERCENT.fullmatch(words.strip())
    if not match:
        raise UsageError(f"{words!r} is not a limit in percent", hint="Write it as in --fail-if-slower 5%")
    return float(match[1]) / 100


def _lines(comparison: "Comparison", a: "Record", b: "Record") -> Iterator[str | Table]:
    title = f"B against A: edgesr {b.edgesr} of {b.created} against {a.edgesr} of {a.created}"
    yield table(title, _COLUMNS, [_cells(row) for row in comparison.rows], numbers=_NUMBERS)
    changed = [(row.key, one.metric, one.a_mb, one.b_mb) for row in comparison.rows for one in row.memory]
    if changed:
        rows = [(key, metric, f"{a_mb:.1f}", f"{b_mb:.1f}", f"{b_mb - a_mb:+.1f}") for key, metric, a_mb, b_mb in changed]
        columns = ("cell", "metric", "A MB", "B MB", "change")
        yield table("Memory that changed by more than 1 MB and more than 3 %", columns, rows, numbers=columns[2:])
    else:
        yield "Memory: no figure changed by more than 1 MB and more than 3 %."
    for row in comparison.rows:
        for note in row.notes:
            yield f"{row.key}: {note}"
    yield "Verdicts rest on the ratio where there is one, else on the time; 'detects from' is the least change that would count."


def _cells(row: "Row") -> tuple[object, ...]:
    decided = row.decided
    return (
        row.key,
        f"{row.a_ms:.4g}" if row.a_ms is not None else "–",
        f"{row.b_ms:.4g}" if row.b_ms is not None else "–",
        _value(row.time),
        _value(row.ratio),
        f"{decided.low:+.1%} to {decided.high:+.1%}" if decided else "–",
        f"{decided.smallest:.1%}" if decided else "–",
        Text(row.verdict, style=_STYLES.get(row.verdict, "")),
    )


def _value(change: "Change | None") -> str:
    return f"{change.value:+.1%}" if change else "–"
