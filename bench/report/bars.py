"""Latencies as bars with whiskers, and ratios as points with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgesr.bench.record import Ratio, Summary
from edgesr.bench.report import svg
from edgesr.bench.report.axes import Axis, axis, log_axis
from edgesr.bench.report.markup import Html, join, tag
from edgesr.bench.report.wording import figure, ratio, ratio_figures, short

_ROW = 38.0
_LEFT, _RIGHT = 4.0, 396.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """A cell's line in a chart. note: beside the figure, as "unstable"."""

    name: str
    series: int
    ranked: bool
    summary: Summary | None = None
    ratio: Ratio | None = None
    note: str = ""


def latencies(title: str, rows: Sequence[Row]) -> Html:
    """p50 as a bar from zero, from the fastest sample to the 90th percentile as a whisker."""
    timed = [(row, row.summary) for row in rows if row.summary]
    scale = axis([max(found.p90, found.p50) for _, found in timed], _LEFT, _RIGHT, from_zero=True)
    bottom = len(timed) * _ROW + 4
    words = "; ".join(_latency_words(row, found) for row, found in timed)
    return svg.drawing(
        title,
        f"{words}.",
        bottom + 34,
        svg.across(scale, 0, bottom),
        join(_bar(row, found, scale, index * _ROW) for index, (row, found) in enumerate(timed)),
        svg.text(_RIGHT, bottom + 30, "p50 latency, ms", "end strong"),
    )


def _latency_words(row: Row, found: Summary) -> str:
    struck = "" if row.ranked else ", struck out"
    return f"{row.name}{struck}: p50 {figure(found.p50)} ms, {figure(found.min)} to {figure(found.p90)} ms"


def _bar(row: Row, found: Summary, scale: Axis, top: float) -> Html:
    style = f"bar s{row.series % svg.SERIES}{'' if row.ranked else ' hollow'}"
    sign = (svg.mark if row.ranked else svg.cross)(row.series, 9, top + 11)
    value = f"{figure(found.p50)} ms{f', {row.note}' if row.note else ''}"
    return tag(
        "g",
        tag("title", f"{row.name}: {value}"),
        tag("rect", x=_LEFT, y=top + 19, width=max(scale.at(found.p50) - _LEFT, 0.5), height=14, class_=style),
        svg.whisker(scale, found.min, found.p90, top + 26),
        sign,
        svg.text(20, top + 15, short(row.name, 34), "label" if row.ranked else "label struck"),
        svg.text(_RIGHT, top + 15, value, "label end"),
    )


_NAMES, _PLOT, _VALUES = 138.0, 280.0, 398.0
_LINE, _HEAD = 20.0, 24.0


def ratios(title: str, parts: Sequence[tuple[str, Sequence[Row]]]) -> Html:
    """Each part's latencies over its reference's, with their intervals, on one logarithmic axis."""
    found = [row.ratio for _, rows in parts for row in rows if row.ratio]
    ends = [value for each in found for value in (each.low, each.value, each.high) if value is not None]
    scale = log_axis([1.0, *ends], _NAMES, _PLOT)
    drawn: list[Html] = []
    top = 16.0
    for heading, rows in parts:
        drawn.append(svg.text(0, top + 16, short(heading, 60), "strong"))
        top += _HEAD
        for row in rows:
            drawn.append(_ratio(row, scale, top + 10))
            top += _LINE
        top += 4
    words = ". ".join(f"{heading}: {'; '.join(_ratio_words(row) for row in rows)}" for heading, rows in parts)
    one = scale.at(1)
    return svg.drawing(
        title,
        f"{words}.",
        top + 22,
        svg.across(scale, 14, top, most=5),
        svg.line(one, 14, one, top, "reference"),
        svg.text(one - 6, 10, "← faster", "end faint"),
        svg.text(one + 6, 10, "slower →", "faint"),
        *drawn,
    )


def _ratio(row: Row, scale: Axis, y: float) -> Html:
    if row.ratio is None:
        return Html()
    sign = (
        svg.mark(row.series, scale.at(row.ratio.value), y) if row.ranked else svg.cross(row.series, scale.at(row.ratio.value), y)
    )
    middle, low, high = ratio_figures(row.ratio)
    struck = "" if row.ranked else "struck"
    return tag(
        "g",
        tag("title", _ratio_words(row)),
        svg.text(8, y + 4, short(row.name, 20), struck),
        *([svg.whisker(scale, row.ratio.low, row.ratio.high, y, 3)] if row.ratio.low and row.ratio.high else []),
        sign,
        svg.text(_VALUES, y + 4, f"{middle} ({low}–{high})" if low else middle, f"end {struck}".strip()),
    )


def _ratio_words(row: Row) -> str:
    if row.ratio is None:
        return row.name
    struck = "" if row.ranked else ", struck out"
    return f"{row.name}{struck} {ratio(row.ratio)}"
