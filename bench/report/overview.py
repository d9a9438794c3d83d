"""The report's beginning: what was measured where, whether all of it, and what came first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesr.bench.record import Cell, Status
from edgesr.bench.report import bars, wording
from edgesr.bench.report.machine import place
from edgesr.bench.report.markup import Html, join, table, tag
from edgesr.bench.report.sources import Group, Source
from edgesr.bench.report.wording import count, figure, listing

_STATUSES: tuple[Status, ...] = ("ok", "parity failed", "failed", "timed out")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the page is made from. series: of each runtime, the same in all charts. groups: those of one subject together."""

    sources: tuple[Source, ...]
    groups: tuple[tuple[Group, ...], ...]
    series: Mapping[str, int]

    @property
    def cells(self) -> list[Cell]:
        """Those of all records."""
        return [cell for source in self.sources for cell in source.record.cells]

    def label(self, group: Group) -> str:
        """A group's title, with its record's label where there are several records."""
        return group.title if len(self.sources) == 1 else f"{group.title} — {group.source.label}"

    def section_anchor(self, those: tuple[Group, ...]) -> str:
        """The id of the part of the page that is of one subject."""
        return f"group-{self.groups.index(those) + 1}"

    def anchor(self, group: Group) -> str:
        """The id of a group's part of the page."""
        section = self.section_anchor(next(those for those in self.groups if group in those))
        return section if len(self.sources) == 1 else f"{section}-{self.sources.index(group.source) + 1}"


def rows(report: Report, group: Group) -> list[bars.Row]:
    """The lines of a group's cells in charts, in the order of the table."""
    return [
        bars.Row(
            name=name,
            series=report.series[cell.subject.runtime],
            ranked=cell.ranked,
            summary=cell.latency.summary if cell.latency else None,
            ratio=cell.ratio,
            note="struck out" if cell.status == "parity failed" else "unstable" if wording.unstable(cell) else "",
        )
        for name, cell in group.named
    ]


def title(report: Report) -> str:
    """What was measured where, for the page's one great heading."""
    if not report.cells:
        return "A sweep without a cell"
    models = list(dict.fromkeys(cell.subject.model for cell in report.cells))
    what = models[0] if len(models) == 1 else count(len(models), "model")
    measured = [cell for cell in report.cells if cell.latency] or report.cells
    runtimes = count(len({cell.subject.runtime for cell in measured}), "runtime")
    places = list(dict.fromkeys(place(source.record) for source in report.sources))
    where = places[0] if len(places) == 1 else count(len(places), "machine")
    return f"{what} in {runtimes} on {where}"


def header(report: Report) -> Html:
    """The heading, the facts, and a warning for each sweep that is not complete."""
    facts = {
        "Records": listing([source.label for source in report.sources]),
        "Measured": listing(list(dict.fromkeys(wording.moment(source.record.created) for source in report.sources))),
        "Input": listing(list(dict.fromkeys(wording.size(cell.subject.size) for cell in report.cells))) or "none",
        "Device": listing(list(dict.fromkeys(cell.subject.device for cell in report.cells))) or "none",
        "Cells": _tally(report.cells),
        "Sweep": "complete" if all(source.record.complete for source in report.sources) else "not complete",
    }
    warnings = [
        tag(
            "p",
            tag("strong", "Not complete. "),
            f"The sweep of {source.label} was interrupted; cells are missing.",
            class_="warning",
        )
        for source in report.sources
        if not source.record.complete
    ]
    return tag(
        "header",
        tag("p", "edgesr benchmark report", class_="eyebrow"),
        tag("h1", title(report)),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()), class_="facts"),
        *warnings,
    )


def _tally(cells: Sequence[Cell]) -> str:
    found = Counter(cell.status for cell in cells)
    parts = [f"{found[status]} {status}" for status in _STATUSES if found[status]]
    return f"{len(cells)}: {', '.join(parts)}" if cells else "none"


def glance(report: Report) -> Html:
    """The fastest of each group, and every ratio."""
    if not report.cells:
        empty = tag("p", "No record holds a cell: there is nothing to show. Measure with ", tag("code", "edgesr bench"), ".")
        return tag("section", tag("h2", "At a glance", id="glance"), empty)
    every = [group for those in report.groups for group in those]
    words = ("Measured", "Fastest", "p50", "Ratio to the reference", "Cells")
    head = [tag("th", word, scope="col") for word in words]
    lines = [_fastest(report, group) for group in every]
    caption = "The fastest ranked cell of each group. Ratio: below 1 is faster; in brackets its 95 % interval."
    parts = [(report.label(group), [row for row in rows(report, group) if row.ratio]) for group in every]
    charted = [part for part in parts if part[1]]
    return tag(
        "section",
        tag("h2", "At a glance", id="glance"),
        table("the fastest cell of each group", caption, head, lines, "plain"),
        _ratios(charted) if charted else "",
    )


def _fastest(report: Report, group: Group) -> Html:
    link = tag("a", report.label(group), href=f"#{report.anchor(group)}")
    best = next(((name, cell) for name, cell in group.named if cell.ranked and cell.latency), None)
    tally = _tally(group.cells)
    if best is None or best[1].latency is None:
        return tag("tr", tag("th", link, scope="row"), tag("td", "nothing could be ranked", colspan=3), tag("td", tally))
    name, cell = best
    if cell.ratio:
        against: str = join([wording.ratio(cell.ratio), tag("small", " ", wording.verdict(cell.ratio))])
    else:
        against = "is the reference" if group.is_reference(cell) else "not measured"
    p50 = f"{figure(best[1].latency.summary.p50)} ms"
    return tag("tr", tag("th", link, scope="row"), *(tag("td", each) for each in (name, p50, against, tally)))


def _ratios(parts: Sequence[tuple[str, Sequence[bars.Row]]]) -> Html:
    words = (
        "p50 latency over that of the reference, measured in turns with it; whiskers are 95 % bootstrap intervals. "
        "Logarithmic: half and double lie equally far from 1. Crosses are struck out: they failed parity."
    )
    drawn = bars.ratios("Latency against the reference", parts)
    heading = tag("h3", "Latency against the reference")
    return tag("figure", heading, drawn, tag("figcaption", words), class_="chart wide")
