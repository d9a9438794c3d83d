"""What nothing else beats in both of two figures."""

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The indices of the points that none is below in one figure without being above in the other, by the first figure.

    Less is better in both. Equal points stand together.
    """
    kept = [index for index, point in enumerate(points) if not any(_beats(other, point) for other in points)]
    return sorted(kept, key=lambda index: points[index])


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] <= other[1]
