"""A group's figures as a table, and what else is known of its cells as lists."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgesr.bench.memory import ABOVE, DEVICE, IMPORT, MORE
from edgesr.bench.record import Cell
from edgesr.bench.report import wording
from edgesr.bench.report.machine import details
from edgesr.bench.report.markup import Html, badge, escape, hidden, join, table, tag
from edgesr.bench.report.sources import Group
from edgesr.bench.report.wording import figure

_LONG_NAME = 20


@dataclass(frozen=True, kw_only=True)
class Column:
    """A figure of a cell: its name, its unit, the text of a cell ("" where it has none). struck: whether parity decides on it."""

    name: str
    unit: str
    of: Callable[[Cell], str | Html]
    struck: bool = True

    @property
    def style(self) -> str:
        """Long names need room to be broken into few lines."""
        return "n long" if len(self.name) > _LONG_NAME else "n"


def columns(cells: Sequence[Cell]) -> list[Column]:
    """The figures that these cells have; each metric of memory and energy is a column with its full name."""
    found = [
        Column(name="p50", unit="ms", of=lambda cell: figure(cell.latency.summary.p50) if cell.latency else ""),
        Column(name="p90", unit="ms", of=lambda cell: figure(cell.latency.summary.p90) if cell.latency else ""),
        Column(name="Spread", unit="cv", of=lambda cell: wording.percent(cell.latency.summary.cv) if cell.latency else ""),
        Column(name="Ratio", unit="to the reference, 95\N{NO-BREAK SPACE}% interval", of=_ratio),
        Column(name="End to\N{NO-BREAK SPACE}end", unit="p50, ms", of=_end_to_end),
        *(Column(name=name, unit="MB", of=_memory(name)) for name in _metrics(cells)),
        *(Column(name=name, unit="J", of=_energy(name)) for name in _all(cell.energy for cell in cells)),
        Column(name="Parity", unit="dB", of=lambda cell: wording.decibels(cell.parity) if cell.parity else "", struck=False),
        Column(name="Load", unit="s", of=lambda cell: "" if cell.load_s is None else figure(cell.load_s, 3)),
        Column(name="First", unit="ms", of=lambda cell: "" if cell.first_ms is None else figure(cell.first_ms, 3)),
    ]
    return [column for column in found if any(column.of(cell) for cell in cells)]


def _metrics(cells: Sequence[Cell]) -> list[str]:
    """The metrics of memory that are columns; what leads to them is among the further figures."""
    return [name for name in _all(cell.memory for cell in cells) if name not in (IMPORT, MORE)]


def leading_metrics(cells: Sequence[Cell]) -> list[str]:
    """Those that a chart shows: of the device where there is one, else above the runtime's own baseline, else the first."""
    found = _metrics(cells)
    of_device = [name for name in found if name.startswith(DEVICE)]
    return of_device or [name for name in found if name == ABOVE] or found[:1]


def figures_table(group: Group, label: str) -> Html:
    """All cells of the group, the best first, those that have no figures last."""
    shown = columns(group.cells)
    head = [
        tag("th", "Runtime", scope="col"),
        tag("th", "Precision", scope="col"),
        tag("th", "Rank", scope="col", class_="n"),
        *(tag("th", column.name, " ", tag("small", column.unit), scope="col", class_=column.style) for column in shown),
        tag("th", "Status", scope="col"),
    ]
    rows = [row for place, cell in enumerate(group.cells, 1) for row in _rows(group, cell, shown, place)]
    caption = f"{label}. Ranked by p50 latency; what failed parity is struck out and not ranked."
    return table(label, caption, head, rows)


def _rows(group: Group, cell: Cell, shown: Sequence[Column], place: int) -> list[Html]:
    """A cell's figures, and a second row for what is to be said of them; a cell without figures has the reason only.

    place: in the order of the table, which those that are ranked begin.
    """
    wrong, notes = cell.status == "parity failed", wording.notes(cell)
    name = [_struck(cell.subject.runs_in, wrong), hidden(", struck out") if wrong else ""]
    if cell.subject.artifact:
        name.append(tag("small", " ", cell.subject.artifact))
    if group.is_reference(cell):
        name.append(tag("small", " ", badge("reference")))
    if not any(column.of(cell) for column in shown):
        head = tag("th", *name, tag("small", " ", cell.subject.precision), scope="row")
        words = tag("span", f"{cell.status}: {notes}" if notes else cell.status)
        return [tag("tr", head, tag("td", words, colspan=len(shown) + 3, class_="reason"))]
    head = tag("th", *name, scope="row", rowspan=2 if notes else None)
    rank = str(place) if cell.ranked and cell.latency else _nothing("not ranked")
    figures = [tag("td", _struck(column.of(cell) or _nothing(), wrong and column.struck), class_="n") for column in shown]
    status = tag("td", wording.status(cell), class_="status")
    rows = [tag("tr", head, tag("td", cell.subject.precision), tag("td", rank, class_="n"), *figures, status)]
    if notes:
        rows.append(tag("tr", tag("td", tag("span", notes), colspan=len(shown) + 3), class_="note"))
    return rows


def _struck(content: str, wrong: bool) -> Html:
    return tag("s", content) if wrong else escape(content)


def _nothing(said: str = "not measured") -> Html:
    return join([tag("span", wording.DASH, aria_hidden="true"), hidden(said)])


def _ratio(cell: Cell) -> str | Html:
    if cell.ratio is None:
        return ""
    middle, low, high = wording.ratio_figures(cell.ratio)
    interval = f" {low}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{high}" if low else f" {wording.NO_INTERVAL}"
    return join([middle, tag("small", interval), tag("small", " ", wording.verdict(cell.ratio))])


def _end_to_end(cell: Cell) -> str:
    return figure(cell.end_to_end.summary.p50) if cell.end_to_end else ""


def _memory(name: str) -> Callable[[Cell], str]:
    return lambda cell: figure(cell.memory[name], 3) if name in cell.memory else ""


def _energy(name: str) -> Callable[[Cell], str]:
    return lambda cell: figure(cell.energy[name], 3) if name in cell.energy else ""


def _all(mappings: Iterable[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def further(group: Group) -> Html:
    """What the table has no room for, cell by cell."""
    known = [(name, _more(cell)) for name, cell in group.named]
    parts = [join([tag("dt", name), tag("dd", details(more))]) for name, more in known if more]
    if not parts:
        return Html()
    return tag("details", tag("summary", "Settings and further figures of each cell"), tag("dl", *parts, class_="cells"))


def _more(cell: Cell) -> dict[str, object]:
    """A cell's further figures by name."""
    found: dict[str, object] = {"settings": cell.settings, "rewrites": cell.rewrites}
    if cell.file_bytes is not None:
        found["model file"] = f"{cell.file_bytes:,} bytes"
    for name, timing in (
        ("inference alone", cell.latency),
        ("the same by the device's clock", cell.on_device),
        ("end to end", cell.end_to_end),
    ):
        if timing is None:
            continue
        found[name] = {
            "samples": wording.samples_in_words(timing),
            "fastest, mean, p99": ", ".join(
                f"{figure(v)} ms" for v in (timing.summary.min, timing.summary.mean, timing.summary.p99)
            ),
            "warm-up": f"{wording.count(len(timing.warm_up), 'run')}, not among the samples",
            "ended by": timing.stopped_by,
            "clock": timing.clock,
        }
    if cell.parity:
        found["parity"] = {
            "PSNR": f"{wording.decibels(cell.parity)} dB",
            "relative L2 error": figure(cell.parity.relative_l2, 3),
            "largest absolute error": figure(cell.parity.max_abs, 3),
            "budget": cell.parity.budget,
        }
    found["memory"] = {name: f"{figure(value)} MB" for name, value in cell.memory.items()}
    return {name: value for name, value in found.items() if value}
