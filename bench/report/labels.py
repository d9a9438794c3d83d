"""Where the labels of a chart's points go, so that none hides another or a point."""

from collections.abc import Iterable, Sequence

from edgesr.bench.report.svg import CHARACTER

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

Spot = tuple[float, float]

_HEIGHT = 12.0
_GAP = 8.0


def place(points: Sequence[Spot], words: Sequence[str], bounds: Box, lines: Iterable[tuple[Spot, Spot]] = ()) -> list[Spot]:
    """The left end of each label's base line; each takes the place beside its point where it hides least.

    lines: straight ones, upright or level, that should stay visible too.
    """
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    for (x1, y1), (x2, y2) in lines:
        taken.append((min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1))
    placed = []
    for (x, y), label in zip(points, words, strict=True):
        boxes = list(_places(x, y, len(label) * CHARACTER))
        best = min(boxes, key=lambda box: _cost(box, taken, bounds))
        taken.append(best)
        placed.append((best[0], best[3] - 3))
    return placed


def _places(x: float, y: float, width: float) -> Iterable[Box]:
    """From the best place beside a point to the worst."""
    middle, half = width / 2, _HEIGHT / 2
    for rise in (0.0, -11.0, 11.0, -22.0, 22.0, -33.0, 33.0):
        yield (x + _GAP, y + rise - half, x + _GAP + width, y + rise + half)
        yield (x - _GAP - width, y + rise - half, x - _GAP, y + rise + half)
        if rise:
            yield (x - middle, y + rise * 1.2 - half, x + middle, y + rise * 1.2 + half)


def _cost(box: Box, taken: Iterable[Box], bounds: Box) -> float:
    """The area that it hides; what lies outside counts most."""
    whole = (box[2] - box[0]) * (box[3] - box[1])
    return sum(_common(box, other) for other in taken) + 20 * (whole - _common(box, bounds))


def _common(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
