"""What samples say: percentiles, ratios with intervals, and reasons not to trust them.

Samples come in rounds: between two rounds the other candidates had their turns. The runs of one round share the mood of the
machine, so that rounds, not runs, are what an interval is drawn from.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgesr.bench.record import Summary

Rounds = Sequence[Sequence[int]]
"""Nanoseconds, by round; rounds may hold different numbers of runs."""
Floats = NDArray[np.float64]

FEWEST_ROUNDS = 5
"""From fewer rounds no interval is drawn: the bootstrap's "95 %" holds the truth in about nine cases of ten with five rounds, and
in about eight with three (simulated in the tests)."""
_DRAWS = 2000
_AT_ONCE = 4_000_000
"""Numbers held in memory while drawing."""
LARGEST_CV = 0.10
"""Samples that vary more than this are unstable."""
LARGEST_DRIFT = 0.05
"""So is a cell whose last third of rounds differs from its first by more, and by more than chance."""
_FEWEST_ROUNDS = 6
_SEPARATION = 5.0
"""Ashman's D from which two groups of samples are two modes: halves of a normal distribution have 2.7, of a uniform one 3.5."""
_SMALLEST_MODE = 0.15
_SMALLEST_GAP = 0.05


def summarise(rounds: Rounds) -> Summary:
    """Percentiles of all samples in ms (linear interpolation between samples)."""
    values = _flat(rounds) / 1e6
    low, p50, p90, p99 = (float(value) for value in np.percentile(values, [0, 50, 90, 99]))
    mean = float(values.mean())
    return Summary(
        samples=len(values),
        min=round(low, 4),
        p50=round(p50, 4),
        p90=round(p90, 4),
        p99=round(p99, 4),
        mean=round(mean, 4),
        cv=round(float(values.std(ddof=1)) / mean, 4) if len(values) > 1 else 0.0,
    )


def ratio_of_medians(ours: Rounds, theirs: Rounds) -> tuple[float, float, float]:
    """The ratio of two medians, measured in turns, and its 95 % bootstrap interval: the same rounds are drawn for both."""
    count = min(len(ours), len(theirs))
    drawn = [drawn_medians(rounds[:count], np.random.default_rng(0)) for rounds in (ours, theirs)]
    low, high = np.percentile(drawn[0] / drawn[1], [2.5, 97.5])
    return float(np.median(_flat(ours)) / np.median(_flat(theirs))), float(low), float(high)


def uncertainty(rounds: Rounds) -> float:
    """Half the width of the median's 95 % bootstrap interval, relative to the median; infinite for less than three rounds."""
    if len(rounds) < 3:
        return float("inf")
    low, high = np.percentile(drawn_medians(rounds, np.random.default_rng(0)), [2.5, 97.5])
    return float((high - low) / 2 / np.median(_flat(rounds)))


def instabilities(rounds: Rounds) -> tuple[str, ...]:
    """Why the samples should not be trusted: their spread, a drift from the first to the last rounds, two modes."""
    found = []
    if len(rounds) < FEWEST_ROUNDS:
        found.append(f"few rounds: {len(rounds)}, of {FEWEST_ROUNDS} that an interval needs")
    cv = summarise(rounds).cv
    if cv > LARGEST_CV:
        found.append(f"spread: standard deviation {cv:.0%} of the mean")
    drift = _drift(rounds)
    if drift:
        found.append(f"drift: the last third of the rounds took {drift:+.0%} against the first")
    modes = _modes(_flat(rounds) / 1e6)
    if modes:
        found.append(f"two modes: {modes[0]:.4g} ms and {modes[1]:.4g} ms")
    return tuple(found)


def _drift(rounds: Rounds) -> float:
    """The relative change of the median from the first third to the last; 0 where it may be chance."""
    if len(rounds) < _FEWEST_ROUNDS:
        return 0.0
    third = len(rounds) // 3
    first, last = rounds[:third], rounds[-third:]
    change = float(np.median(_flat(last)) / np.median(_flat(first))) - 1
    medians = [[float(np.median(each)) for each in part] for part in (first, last)]
    apart = min(medians[1]) > max(medians[0]) or max(medians[1]) < min(medians[0])
    return change if apart and abs(change) > LARGEST_DRIFT else 0.0


def _modes(values: Floats) -> tuple[float, float] | None:
    """The means of two groups of samples that lie apart, split where the variance between them is largest (Otsu)."""
    ordered = np.sort(values)
    count = len(ordered)
    fewest = max(4, int(np.ceil(_SMALLEST_MODE * count)))
    splits = range(fewest, count - fewest + 1)
    if not splits:
        return None
    between = [split * (count - split) * (ordered[:split].mean() - ordered[split:].mean()) ** 2 for split in splits]
    split = splits[int(np.argmax(between))]
    low, high = ordered[:split], ordered[split:]
    gap = float(high.mean() - low.mean())
    within = float(np.hypot(low.std(), high.std()))
    if gap < _SMALLEST_GAP * low.mean() or gap * 2**0.5 < _SEPARATION * within:
        return None
    return float(low.mean()), float(high.mean())


def _flat(rounds: Rounds) -> Floats:
    return np.asarray([sample for each in rounds for sample in each], dtype=np.float64)


def drawn_medians(rounds: Rounds, generator: np.random.Generator) -> Floats:
    """The median of all runs of the rounds that were drawn, for each of the bootstrap's draws.

    Generators of the same seed draw the same rounds, where there are as many.
    """
    samples = _flat(rounds)
    order = np.argsort(samples, kind="stable")
    of_round = np.repeat(np.arange(len(rounds)), [len(each) for each in rounds])[order]
    draws = _draws(len(rounds), len(samples), generator)
    return np.concatenate([_weighted_medians(samples[order], times[:, of_round]) for times in draws])


def _draws(rounds: int, samples: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """How often each round (column) was drawn in each draw (row), in portions that fit into memory."""
    portion = max(1, min(_DRAWS, _AT_ONCE // samples))
    for start in range(0, _DRAWS, portion):
        yield generator.multinomial(rounds, np.full(rounds, 1 / rounds), size=min(portion, _DRAWS - start))


def _weighted_medians(ordered: Floats, times: NDArray[np.int64]) -> Floats:
    """The median of the ordered samples, each taken as many `times` as its column says, for each row."""
    reached = np.cumsum(times, axis=1)
    total = reached[:, -1:]
    lower = np.argmax(reached >= (total + 1) // 2, axis=1)
    upper = np.argmax(reached >= total // 2 + 1, axis=1)
    return (ordered[lower] + ordered[upper]) / 2
