"""What all charts are drawn with. A chart is 400 units wide, so that its words can be read on a phone."""

import math
from collections.abc import Iterable, Sequence

from edgesr.bench.report.axes import Axis
from edgesr.bench.report.markup import Html, join, number, tag
from edgesr.bench.report.wording import figure

WIDTH = 400
CHARACTER = 6.3
"""The width of a letter of the charts' size, rather too large than too small."""

_RADIUS = 4.6
_SHAPES = ((0, 0.0), (4, 45.0), (3, 0.0), (4, 0.0), (3, 180.0), (6, 0.0), (5, 0.0), (8, 22.5))
"""Corners and turn in degrees, for one series after the other; 0 corners: a circle."""
SERIES = len(_SHAPES)


def drawing(title: str, words: str, height: float, *content: str) -> Html:
    """A chart; `words` say what it shows to those who do not see it."""
    box = f"0 0 {WIDTH} {number(height)}"
    return tag("svg", tag("title", title), tag("desc", words), *content, viewBox=box, role="img", aria_label=title)


def text(x: float, y: float, words: str, class_: str = "") -> Html:
    """Words at a point. Classes: end and middle align them, strong, faint and struck style them."""
    return tag("text", words, x=x, y=y, class_=class_ or None)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str) -> Html:
    """A line through the points."""
    return tag("path", d="M" + "L".join(f"{number(x)} {number(y)}" for x, y in points), class_=class_)


def dots(points: Iterable[tuple[float, float]], class_: str) -> Html:
    """Many small dots as one path."""
    return tag("path", d="".join(f"M{number(x)} {number(y)}h0" for x, y in points), class_=class_)


def mark(series: int, x: float, y: float, *, hollow: bool = False) -> Html:
    """A series' sign: its shape in its colour."""
    corners, turn = _SHAPES[series % SERIES]
    style = f"mark s{series % SERIES}{' hollow' if hollow else ''}"
    if not corners:
        return tag("circle", cx=x, cy=y, r=_RADIUS - 0.4, class_=style)
    radius = _RADIUS * (1.25 if corners < 5 else 1.05)
    turned = (math.radians(turn + 360 * corner / corners) for corner in range(corners))
    outline = "L".join(f"{number(x + radius * math.sin(angle))} {number(y - radius * math.cos(angle))}" for angle in turned)
    return tag("path", d=f"M{outline}Z", class_=style)


def cross(series: int, x: float, y: float) -> Html:
    """The sign of what is struck out."""
    style = f"mark s{series % SERIES} hollow"
    return tag("path", d=f"M{number(x - 4.5)} {number(y - 4.5)}l9 9m0 -9l-9 9", class_=style)


def whisker(axis: Axis, low: float, high: float, y: float, half: float = 4) -> Html:
    """An interval as a line with ends."""
    left, right = number(axis.at(low)), number(axis.at(high))
    top, bottom = number(y - half), number(y + half)
    return tag("path", d=f"M{left} {top}V{bottom}M{right} {top}V{bottom}M{left} {number(y)}H{right}", class_="whisker")


def across(axis: Axis, top: float, bottom: float, *, most: int = 6) -> Html:
    """Vertical grid lines with their values below."""
    return join(
        join([line(axis.at(tick), top, axis.at(tick), bottom, "grid"), text(axis.at(tick), bottom + 14, label, "middle faint")])
        for tick, label in _labelled(axis.ticks(most))
    )


def upward(axis: Axis, left: float, right: float, *, most: int = 5) -> Html:
    """Horizontal grid lines with their values on the left."""
    return join(
        join([line(left, axis.at(tick), right, axis.at(tick), "grid"), text(left - 5, axis.at(tick) + 4, label, "end faint")])
        for tick, label in _labelled(axis.ticks(most))
    )


def _labelled(ticks: Sequence[float]) -> list[tuple[float, str]]:
    return [(tick, f"{tick:,.12g}" if abs(tick) >= 1e-3 else figure(tick)) for tick in ticks]
