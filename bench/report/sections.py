"""A group's part of the page: figures, charts, samples and pictures."""

from collections.abc import Sequence

from edgesr.bench.record import Cell, Timing
from edgesr.bench.report import bars, overview, pictures, strips, tables, wording
from edgesr.bench.report.markup import Html, badge, join, tag
from edgesr.bench.report.overview import Report
from edgesr.bench.report.scatter import Plane, Point, scatter
from edgesr.bench.report.sources import Group
from edgesr.parity import IDENTICAL_DB

_SIGNS = "Full signs: the Pareto front, joined by a line. Hollow: behind it. Crosses: parity failed, not ranked."


def section(report: Report, those: tuple[Group, ...]) -> Html:
    """All records' cells of one subject; each record is ranked by itself."""
    if len(report.sources) == 1:
        return tag("section", tag("h2", those[0].title, id=report.anchor(those[0])), _group(report, those[0], 3))
    parts = [
        join([tag("h3", f"Record {group.source.label}", id=report.anchor(group)), _group(report, group, 4)]) for group in those
    ]
    apart = "Figures of different records were not measured in turns: each record is ranked by itself."
    note = tag("p", apart, class_="faint") if len(those) > 1 else ""
    return tag("section", tag("h2", those[0].title, id=report.section_anchor(those)), note, *parts)


def _group(report: Report, group: Group, level: int) -> Html:
    label = report.label(group)
    shown = pictures.section(group)
    return join(
        [
            tables.figures_table(group, label),
            tables.further(group),
            _charts(report, group, level),
            _samples(report, group, level),
            join([tag(f"h{level}", "Pictures"), shown]) if shown else "",
        ]
    )


def _charts(report: Report, group: Group, level: int) -> Html:
    """Bars, then latency against each metric of memory that two cells share, and against parity."""
    rows, label = overview.rows(report, group), report.label(group)
    if not any(row.summary for row in rows):
        return Html()
    heading = f"h{level}"
    words = "The shorter, the faster. Whiskers reach from the fastest sample to the 90th percentile."
    drawn = [_figure(heading, "Latency", bars.latencies(f"Latency: {label}", rows), words, wide=True)]
    for metric in tables.leading_metrics(group.cells):
        against = [cell.memory.get(metric) for cell in group.cells]
        plane = Plane(title=f"Latency against {metric}: {label}", y_unit="MB")
        drawn += _against(heading, f"Latency against {metric}", plane, points(rows, against), "MB are 2²⁰ bytes.", fewest=2)
    parity = [cell.parity.psnr_db if cell.parity and not group.is_reference(cell) else None for cell in group.cells]
    plane = _parity_plane(report, group)
    note = f"Parity: PSNR of the output against the reference's; {IDENTICAL_DB:.0f} dB stand for identical outputs."
    drawn += _against(heading, "Latency against parity", plane, points(rows, parity), note, fewest=1)
    return tag("div", *drawn, class_="charts")


def _parity_plane(report: Report, group: Group) -> Plane:
    """Parity is better the higher it is; the reference, which defines it, is a line."""
    times = [cell.latency.summary.p50 for cell in group.cells if cell.latency and group.is_reference(cell)]
    return Plane(
        title=f"Latency against parity: {report.label(group)}",
        y_unit="dB",
        more=True,
        line=(times[0], "reference") if times else None,
    )


def points(rows: Sequence[bars.Row], values: Sequence[float | None]) -> list[Point]:
    """The cells that have both figures."""
    return [
        Point(name=row.name, x=row.summary.p50, y=value, series=row.series, ranked=row.ranked)
        for row, value in zip(rows, values, strict=True)
        if row.summary and value is not None
    ]


def _against(heading: str, words: str, plane: Plane, shown: Sequence[Point], note: str, *, fewest: int) -> list[Html]:
    return [_figure(heading, words, scatter(shown, plane), f"{note} {_SIGNS}")] if len(shown) >= fewest else []


def _samples(report: Report, group: Group, level: int) -> Html:
    """The strips of inference alone, and, folded, those end to end."""
    alone = [(name, cell, cell.latency) for name, cell in group.named if cell.latency]
    whole = [(name, cell, cell.end_to_end) for name, cell in group.named if cell.end_to_end]
    parts = [_strips(report, group, "Samples", alone)] if alone else []
    if whole:
        folded = _strips(report, group, "End-to-end samples", whole)
        parts.append(tag("details", tag("summary", "Samples end to end, from 8-bit picture to 8-bit picture"), folded))
    if not parts:
        return Html()
    words = (
        "Every sample in the order it was taken, so that drift shows; bands are rounds, between which the other cells had their "
        "turns. On the right all of them as a histogram. Full line: p50; broken line: p90."
    )
    return join([tag(f"h{level}", "Samples"), tag("p", words, class_="faint"), *parts])


def _strips(report: Report, group: Group, kind: str, timed: Sequence[tuple[str, Cell, Timing]]) -> Html:
    made = []
    for name, cell, timing in timed:
        if not any(timing.rounds):
            continue
        wrong = [" ", badge("parity failed", "wrong")] if cell.status == "parity failed" else []
        words = [tag("strong", name), *wrong, f": {wording.samples_in_words(timing)}"]
        words.append(strips.thinning_in_words(timing))
        if timing.unstable:
            words.append(tag("span", f" Unstable: {'; '.join(timing.unstable)}.", class_="doubtful"))
        drawn = strips.strip(f"{kind} of {name}: {report.label(group)}", timing, report.series[cell.subject.runtime])
        made.append(tag("figure", tag("figcaption", *words), drawn, class_="chart"))
    return tag("div", *made, class_="charts")


def _figure(heading: str, words: str, drawn: Html, caption: str, *, wide: bool = False) -> Html:
    style = "chart wide" if wide else "chart"
    return tag("figure", tag(heading, words), drawn, tag("figcaption", caption), class_=style)
