"""How often chance alone makes a verdict, and how often a planted change is found: by simulation with fixed seeds."""

from typing import Any

import numpy as np
import pytest

from edgesr.bench.change import Times, change
from edgesr.bench.compare import compare
from edgesr.bench.statistics import ratio_of_medians

PAIRS = 30


def calls(planted: Any, machine: dict[str, Any], factor: float) -> tuple[int, int]:
    """Of PAIRS pairs of sweeps, B's ort `factor` times as slow: how often it got a verdict, and how often another cell did."""
    found = others = 0
    for pair in range(PAIRS):
        generator = np.random.default_rng(pair)
        moods = np.exp(generator.normal(0, 0.1, 2))  # a sweep's mood differs from another's by a tenth
        luck = np.exp(generator.normal(0, 0.005, (2, 3)))  # and each process has its own
        a, b = (
            planted.Machine(mood=mood, **machine).record(dict(zip(planted.MS, times, strict=True)), seed=1000 * pair + number)
            for number, (mood, times) in enumerate(
                zip(moods, luck * list(planted.MS.values()) * [[1, 1, 1], [1, factor, 1]], strict=True)
            )
        )
        verdicts = {row.key: row.verdict != "same within noise" for row in compare(a, b).rows}
        found += verdicts.pop(planted.key("ort"))
        others += sum(verdicts.values())
    return found, others


NOISY = {"rounds": 16, "runs": 1, "rounds_sd": 0.10, "own_sd": 0.02, "run_sd": 0.04}
QUIET = {"rounds": 12, "runs": 5, "rounds_sd": 0.02, "own_sd": 0.005, "run_sd": 0.02}
SHORT = {"rounds": 4, "runs": 3, "rounds_sd": 0.05, "own_sd": 0.01, "run_sd": 0.03}


@pytest.mark.parametrize("machine", [NOISY, QUIET, SHORT])
def test_chance_alone_makes_hardly_any_verdict(planted: Any, machine: dict[str, Any]) -> None:
    found, others = calls(planted, machine, 1.0)
    assert found + others <= 2, f"of {3 * PAIRS}"


def test_a_tenth_is_found_where_noise_allows(planted: Any) -> None:
    found, others = calls(planted, QUIET, 1.1)
    assert found >= 0.9 * PAIRS
    assert others <= 1


def test_where_noise_hides_it_the_smallest_change_says_so(planted: Any) -> None:
    machine = planted.Machine(**NOISY)
    comparison = compare(machine.record(seed=1), machine.record({**planted.MS, "ort": 44.0}, seed=2))
    row = next(row for row in comparison.rows if row.key == planted.key("ort"))
    assert row.decided is not None
    assert row.decided.counts or row.decided.smallest > abs(row.decided.value)
    assert row.key in comparison.blind(0.05)


def test_a_median_between_two_modes_is_not_trusted() -> None:
    """A tenth of the samples changes sides, and the median goes from one mode to the other."""
    generator = np.random.default_rng(0)
    a, b = (Times([[int(ns) for ns in generator.permutation([40] * 5 + [50] * 4)] for _ in range(40)]) for _ in range(2))
    assert a.slope() == pytest.approx((0.0, np.log(50 / 40)))
    found = change(a, b)
    assert found.value == 0
    assert found.smallest >= 0.25 - 1e-9


def test_more_rounds_show_smaller_changes() -> None:
    def times(rounds: int, seed: int) -> Times:
        samples = np.random.default_rng(seed).normal(50e6, 5e6, (rounds, 1)).astype(int).tolist()
        return Times(samples, [[100_000_000]] * rounds)

    few, many = (change(times(rounds, 1), times(rounds, 2)).smallest for rounds in (8, 200))
    assert many < 0.06 < few


def test_slow_moods_widen_the_noise() -> None:
    """Rounds that follow each other slowly up and down say less than as many that are independent."""
    generator = np.random.default_rng(0)
    steps = generator.normal(0, 0.02, 60)
    wandering, independent = np.cumsum(steps), generator.permutation(np.cumsum(steps))
    slow, fast = ([[int(50e6 * np.exp(mood))] for mood in moods] for moods in (wandering, independent))
    assert change(Times(slow), Times(slow)).noise > 2 * change(Times(fast), Times(fast)).noise


def test_the_interval_is_that_of_resampled_rounds() -> None:
    """Against a plain bootstrap of a record's own ratio: as wide, for A that never varies."""
    generator = np.random.default_rng(0)
    ours, theirs = ([[int(x) for x in generator.normal(ms * 1e6, 2e6, 4)] for _ in range(12)] for ms in (40, 100))
    value, low, high = ratio_of_medians(ours, theirs)
    still = change(Times([[40_000_000]] * 12, [[100_000_000]] * 12), Times(ours, theirs))
    assert 1 + still.value == pytest.approx(value / 0.4, rel=1e-9)
    assert 1 + still.low == pytest.approx(low / 0.4, rel=3e-3)
    assert 1 + still.high == pytest.approx(high / 0.4, rel=3e-3)


def test_rounds_of_different_lengths_and_counts() -> None:
    a = Times([[10, 12], [11], [10, 10, 10]], [[20], [22], [20], [21]])
    found = change(a, Times([[10, 11]] * 5, [[20, 21]] * 5))
    assert found.low <= found.value <= found.high
