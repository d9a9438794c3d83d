"""What samples say, on samples whose truth is known."""

import numpy as np
import pytest

from edgesr.bench.statistics import FEWEST_ROUNDS, instabilities, ratio_of_medians, summarise, uncertainty

Rounds = list[list[int]]


def rounds(mean_ms: float = 20, *, sd: float = 0.02, count: int = 20, runs: int = 4, seed: int = 0) -> Rounds:
    drawn = np.random.default_rng(seed).normal(mean_ms * 1e6, sd * mean_ms * 1e6, (count, runs))
    return [[int(ns) for ns in each] for each in drawn]


def test_percentiles_are_of_all_samples() -> None:
    found = summarise([[1_000_000, 2_000_000], [3_000_000], [10_000_000, 4_000_000]])
    assert (found.samples, found.min, found.p50, found.mean) == (5, 1.0, 3.0, 4.0)
    assert found.p90 == pytest.approx(7.6)
    assert found.cv == pytest.approx(np.std([1, 2, 3, 4, 10], ddof=1) / 4, abs=1e-4)
    assert summarise([[5_000_000]]).cv == 0


def test_a_ratio_has_an_interval_that_holds_the_truth() -> None:
    value, low, high = ratio_of_medians(rounds(22, seed=1), rounds(20, seed=2))
    assert low < 1.1 < high
    assert low < value < high
    assert high - low < 0.05


def test_moods_that_hit_both_cancel() -> None:
    moods = np.random.default_rng(3).uniform(1, 2, 20)
    ours = [[int(mood * 22e6)] * 3 for mood in moods]
    theirs = [[int(mood * 20e6)] * 3 for mood in moods]
    _, low, high = ratio_of_medians(ours, theirs)
    assert low == pytest.approx(1.1, abs=0.01)
    assert high == pytest.approx(1.1, abs=0.01)


def test_uncertainty_falls_with_rounds_and_is_infinite_for_few() -> None:
    assert uncertainty(rounds(count=2)) == float("inf")
    assert uncertainty(rounds(count=80)) < uncertainty(rounds(count=10)) < 0.05


@pytest.mark.parametrize("seed", range(20))
def test_steady_samples_are_not_called_unstable(seed: int) -> None:
    assert instabilities(rounds(seed=seed, sd=0.03)) == ()


def test_spread_drift_and_modes_have_their_reasons() -> None:
    assert instabilities(rounds(sd=0.2))[0].startswith("spread")
    drifting = [[int(ns * (1 + 0.01 * number)) for ns in each] for number, each in enumerate(rounds(sd=0.005))]
    assert any(reason.startswith("drift: the last third of the rounds took +") for reason in instabilities(drifting))
    modes = [[20_000_000 + 100_000 * (i % 3), 20_100_000, 26_000_000 + 50_000 * (i % 2)] for i in range(12)]
    assert any(reason.startswith("two modes: 20.1 ms and 26") for reason in instabilities(modes))


@pytest.mark.parametrize(("count", "least", "most"), [(3, 0.70, 0.86), (FEWEST_ROUNDS, 0.88, 0.96)])
def test_how_often_the_interval_holds_the_truth(count: int, least: float, most: float) -> None:
    """The part of pairs without any difference whose "95 %" interval holds 1, from `count` rounds of three runs."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        ours, theirs = np.exp(generator.normal(0, 0.02, (2, count, 1)) + generator.normal(0, 0.02, (2, count, 3)))
        _, low, high = ratio_of_medians((ours * 1e7).astype(int).tolist(), (theirs * 1e7).astype(int).tolist())
        held += low <= 1 <= high
    assert least <= held / 400 <= most
