"""One figure against another, with the Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgesr.bench.report import pareto, svg
from edgesr.bench.report.axes import axis
from edgesr.bench.report.labels import place
from edgesr.bench.report.markup import Html, join, tag
from edgesr.bench.report.wording import figure, listing, short

_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 390.0, 42.0, 272.0
_HEIGHT = 314.0
_LONGEST_LABEL = 26


@dataclass(frozen=True, kw_only=True)
class Point:
    """name: of the cell. series: of its runtime. ranked: whether it may stand on the front; else it is struck out."""

    name: str
    x: float
    y: float
    series: int
    ranked: bool


@dataclass(frozen=True, kw_only=True)
class Plane:
    """title: what is against what. y_unit: of y. more: whether more of y is better. line: a value of x to mark, and its name.

    x is latency in ms, of which less is better.
    """

    title: str
    y_unit: str
    more: bool = False
    line: tuple[float, str] | None = None


def on_front(points: Sequence[Point], plane: Plane) -> list[Point]:
    """The ranked points that no ranked one beats in both figures, by x."""
    ranked = [point for point in points if point.ranked]
    sign = -1 if plane.more else 1
    return [ranked[index] for index in pareto.front([(point.x, sign * point.y) for point in ranked])]


def scatter(points: Sequence[Point], plane: Plane) -> Html:
    """The chart; on the front signs are full and joined by a line, behind it hollow, struck out crosses."""
    marked = [plane.line[0]] if plane.line else []
    across = axis([*(point.x for point in points), *marked], _LEFT, _RIGHT)
    up = axis([point.y for point in points], _BOTTOM, _TOP)
    front = on_front(points, plane)
    places = [(across.at(point.x), up.at(point.y)) for point in points]
    labels = [short(point.name, _LONGEST_LABEL) for point in points]
    steps = _corners([(across.at(point.x), up.at(point.y)) for point in front])
    lines = [*pairwise(steps), *(((across.at(x), _TOP), (across.at(x), _BOTTOM)) for x in marked)]
    spots = place(places, labels, (_LEFT, _TOP - 8, svg.WIDTH - 2, _BOTTOM - 2), lines)
    return svg.drawing(
        plane.title,
        in_words(points, plane),
        _HEIGHT,
        svg.text(0, 12, plane.y_unit, "strong"),
        svg.text(_LEFT, 12, f"{'↑ more' if plane.more else '↓ less'} is better", "faint"),
        svg.upward(up, _LEFT, _RIGHT),
        svg.across(across, _TOP - 6, _BOTTOM),
        svg.text(_LEFT, _HEIGHT - 8, "← less is better", "faint"),
        svg.text(_RIGHT, _HEIGHT - 8, f"p50 latency, ms{', log scale' if across.logarithmic else ''}", "end strong"),
        _line(plane, across.at(plane.line[0])) if plane.line else "",
        svg.path(steps, "front") if len(steps) > 1 else "",
        join(_sign(point, spot, plane, full=point in front) for point, spot in zip(points, places, strict=True)),
        join(
            svg.text(x, y, label, "" if point.ranked else "struck")
            for point, label, (x, y) in zip(points, labels, spots, strict=True)
        ),
    )


def in_words(points: Sequence[Point], plane: Plane) -> str:
    """What the chart shows, for those who do not see it."""
    front = on_front(points, plane)
    parts = (
        ("On the Pareto front", front),
        ("Behind it", [point for point in points if point.ranked and point not in front]),
        ("Struck out, as parity failed", [point for point in points if not point.ranked]),
    )
    return " ".join(
        f"{where}: {listing([f'{point.name} ({_values(point, plane)})' for point in those])}." for where, those in parts if those
    )


def _values(point: Point, plane: Plane) -> str:
    return f"{figure(point.x)} ms, {figure(point.y)} {plane.y_unit}"


def _sign(point: Point, spot: tuple[float, float], plane: Plane, *, full: bool) -> Html:
    sign = svg.mark(point.series, *spot, hollow=not full) if point.ranked else svg.cross(point.series, *spot)
    return tag("g", tag("title", f"{point.name}: {_values(point, plane)}"), sign)


def _corners(front: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """From each point on at its own height as far as the next, so that the line bounds what the front beats."""
    corners = list(front[:1])
    for x, y in front[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _line(plane: Plane, x: float) -> Html:
    """The marked value, named above the plot, where no label lies."""
    name = plane.line[1] if plane.line else ""
    return join([svg.line(x, _TOP - 6, x, _BOTTOM, "reference"), svg.text(x, _TOP - 10, name, "middle faint")])
