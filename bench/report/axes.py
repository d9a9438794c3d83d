"""Scales from a figure's unit to a chart's coordinates, with round ticks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_LOGARITHMIC_FROM = 10.0
"""From this ratio of the largest to the smallest value a linear axis would press the small ones together."""
_MARGIN = 0.07


@dataclass(frozen=True, kw_only=True)
class Axis:
    """low, high: the values at the coordinates start and end."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Where the value lies; those outside lie on the edge."""
        value = min(max(value, self.low), self.high)
        return self.start + self._share(value) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round values on the axis, not many more than `most`."""
        return _log_ticks(self.low, self.high, most) if self.logarithmic else _linear_ticks(self.low, self.high, most)

    def _share(self, value: float) -> float:
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def axis(values: Sequence[float], start: float, end: float, *, from_zero: bool = False) -> Axis:
    """An axis with room around the values; logarithmic where their range asks for it, never for values from zero on."""
    low, high = min(values), max(values)
    if from_zero:
        return Axis(low=0, high=max(high, 0) * (1 + _MARGIN) or 1, start=start, end=end)
    if low > 0 and high / low > _LOGARITHMIC_FROM:
        return log_axis(values, start, end)
    room = (high - low) * _MARGIN or abs(high) * _MARGIN or 1
    return Axis(low=low - room, high=high + room, start=start, end=end)


def log_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """A logarithmic axis with room around the values, all above zero."""
    low, high = min(values), max(values)
    room = max((high / low) ** _MARGIN, 1.05)
    return Axis(low=low / room, high=high * room, start=start, end=end, logarithmic=True)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    ends = math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
    powers = range(*ends, math.ceil((ends[1] - ends[0]) / (2 * most)))
    found: list[float] = []
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [float(f"{factor * 10.0**power:.12g}") for power in powers for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) > most and len(found) > 1:
            break
        found = inside
    if len(found) < 2:
        return _linear_ticks(low, high, most)
    return found
