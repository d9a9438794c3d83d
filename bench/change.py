"""Whether a time has changed between two sweeps, and how small a change could have been seen.

Two sweeps of one thing differ by more than the runs of one sweep do: the machine is in another mood, and a new process lies
elsewhere in memory. So a change counts only when it is larger than each of these, all of them relative:

- half the width of its 95 % bootstrap interval. Rounds are drawn with all their runs, for either sweep by itself, and the same
  rounds for a cell and for the reference that it took turns with;
- the spread between the quarters of a sweep: t · √(s²A + s²B), where s is the standard deviation of the medians of a sweep's four
  quarters (of its rounds, where it has fewer) and t the two-sided 95 % quantile of Student's distribution for their degrees of
  freedom. So a whole sweep is trusted no more than one of its quarters, which holds even where moods last as long as a quarter;
- the slope of the median: how far it moves when a tenth of the samples change sides, in A and in B together (the distance of the
  50th from the 40th or 60th percentile). Where samples have two modes of about equal weight, the median jumps between them;
- what does not cancel in a ratio: a quarter of the change of the reference's own time, all of it where the system saw other work
  (contention), because a disturbance does not slow all runtimes alike: threads that wait for each other lose far more;
- `FLOOR`, for what no sweep can see in itself, as the luck of a process with its memory. For a cell's own time `FLOOR_OF_TIMES`,
  because a mood may last as long as the whole sweep.

All is done with logarithms, in which a tenth slower and back is no change.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from edgesr.bench.statistics import Floats, Rounds, drawn_medians

FLOOR = 0.03
FLOOR_OF_TIMES = 0.08
_UNCANCELLED = 0.25
_QUARTERS = 4
_STUDENT = (math.inf, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447)
"""The two-sided 95 % quantile by degrees of freedom, of which two sweeps have six at most."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """From A to B, relative: 0.1 is a tenth slower, -0.1 a tenth faster. low, high: 95 % bootstrap interval.

    noise: the largest of the module's other bounds. smallest: the least change that would count.
    """

    value: float
    low: float
    high: float
    noise: float
    smallest: float

    @property
    def counts(self) -> bool:
        """Whether it is beyond noise."""
        return abs(math.log1p(self.value)) > math.log1p(self.smallest)

    def with_noise(self, noise: float) -> "Change":
        """The same change where so much noise is to be reckoned with at least."""
        return replace(self, noise=max(self.noise, noise), smallest=max(self.smallest, noise))


@dataclass(frozen=True)
class Times:
    """The rounds of a cell in one sweep; `beside`: those of the cell that took turns with it, for the ratio to it.

    At least two rounds, each with at least one run.
    """

    rounds: Rounds
    beside: Rounds | None = None

    @cached_property
    def value(self) -> float:
        """The logarithm of the median, or of the ratio of the two medians."""
        return sum(sign * _log_median(rounds) for sign, rounds in self._parts)

    @property
    def _parts(self) -> list[tuple[int, Rounds]]:
        """What is multiplied (1) and what it is divided by (-1), as far as both have rounds."""
        if self.beside is None:
            return [(1, self.rounds)]
        count = min(len(self.rounds), len(self.beside))
        return [(1, self.rounds[:count]), (-1, self.beside[:count])]

    def drawn(self, seed: int) -> Floats:
        """The value in each of the bootstrap's draws."""
        of_each = [sign * np.log(drawn_medians(rounds, np.random.default_rng(seed))) for sign, rounds in self._parts]
        return np.sum(of_each, axis=0)  # the same seed draws the same rounds for both

    def spread(self) -> tuple[float, int]:
        """The variance between the values of the quarters, and its degrees of freedom."""
        count = len(self._parts[0][1])
        quarters = np.array_split(np.arange(count), min(_QUARTERS, count))
        values = [sum(sign * _log_median([rounds[i] for i in quarter]) for sign, rounds in self._parts) for quarter in quarters]
        return float(np.var(values, ddof=1)), len(values) - 1

    def slope(self) -> tuple[float, float]:
        """How far the median is below itself and above when a tenth of the samples change sides."""
        first, *others = (rounds for _, rounds in self._parts)
        moods = [sum(_log_median([other[i]]) for other in others) for i in range(len(first))]
        samples = np.concatenate(
            [np.log(np.asarray(each, dtype=np.float64)) - mood for each, mood in zip(first, moods, strict=True)]
        )
        below, middle, above = (float(value) for value in np.percentile(samples, [40, 50, 60]))
        return middle - below, above - middle


def change(a: Times, b: Times, *, contended: bool = False) -> Change:
    """The change from A to B with what is known of its noise. contended: whether the system saw other work in one of them."""
    value = b.value - a.value
    drawn = b.drawn(2) - a.drawn(1)
    low, high = (float(bound) for bound in np.percentile(drawn, [2.5, 97.5]))
    noise = max(_floor(a, b, contended), _between_quarters(a, b), _slope(a, b))
    smallest = max(noise, value - low, high - value)
    return Change(
        value=math.expm1(value),
        low=math.expm1(low),
        high=math.expm1(high),
        noise=math.expm1(noise),
        smallest=math.expm1(smallest),
    )


def _floor(a: Times, b: Times, contended: bool) -> float:
    """The least noise; more where the reference's own time has changed."""
    if a.beside is None or b.beside is None:
        return math.log1p(FLOOR_OF_TIMES)
    uncancelled = 1.0 if contended else _UNCANCELLED
    return max(math.log1p(FLOOR), uncancelled * abs(_log_median(b.beside) - _log_median(a.beside)))


def _between_quarters(a: Times, b: Times) -> float:
    (ours, freedom), (theirs, more) = a.spread(), b.spread()
    return _STUDENT[freedom + more] * math.sqrt(ours + theirs)


def _slope(a: Times, b: Times) -> float:
    """For a change in either direction, the larger."""
    (below_a, above_a), (below_b, above_b) = a.slope(), b.slope()
    return max(above_a + below_b, below_a + above_b)


def _log_median(rounds: Rounds) -> float:
    return math.log(float(np.median([sample for each in rounds for sample in each])))
