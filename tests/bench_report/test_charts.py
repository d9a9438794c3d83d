"""Axes, fronts, labels, strips: what the charts are computed from."""

import math
import re

import pytest

from edgesr.bench.record import Ratio, Summary, Timing
from edgesr.bench.report import bars, wording
from edgesr.bench.report.axes import axis, log_axis
from edgesr.bench.report.labels import place
from edgesr.bench.report.pareto import front
from edgesr.bench.report.scatter import Plane, Point, in_words, on_front, scatter
from edgesr.bench.report.strips import DRAWN, is_thinned, strip, thinned
from edgesr.bench.report.svg import WIDTH


def point(name: str, x: float, y: float, *, ranked: bool = True) -> Point:
    return Point(name=name, x=x, y=y, series=0, ranked=ranked)


def test_the_front_is_what_nothing_beats_in_both() -> None:
    points = [(3.0, 1.0), (1.0, 3.0), (2.0, 2.0), (2.0, 3.0), (3.0, 3.0), (2.0, 2.0)]
    assert [points[index] for index in front(points)] == [(1.0, 3.0), (2.0, 2.0), (2.0, 2.0), (3.0, 1.0)]
    assert front([]) == []


def test_more_parity_is_better_and_what_is_not_ranked_beats_nothing() -> None:
    points = [point("a", 1, 90), point("b", 2, 130), point("c", 3, 120), point("wrong", 0.1, 200, ranked=False)]
    plane = Plane(title="t", y_unit="dB", more=True)
    assert [each.name for each in on_front(points, plane)] == ["a", "b"]
    assert in_words(points, plane).endswith("Struck out, as parity failed: wrong (0.1000 ms, 200.0 dB).")


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [
        ([1, 9], False),
        ([1, 11], True),
        ([0, 100], False),
        ([-5, 100], False),
        ([7, 7], False),
        ([0, 0], False),
        ([1e-9, 1e9], True),
    ],
)
def test_an_axis_holds_its_values_and_has_round_ticks(values: list[float], logarithmic: bool) -> None:
    made = axis(values, 50, 390)
    assert made.logarithmic is logarithmic
    places = [made.at(value) for value in values]
    assert all(50 < place < 390 for place in places)
    assert places == sorted(places)
    ticks = made.ticks(5)
    assert 2 <= len(ticks) <= 12
    assert all(made.low <= tick <= made.high for tick in ticks)
    assert all(float(f"{tick:.3g}") == tick for tick in ticks)


def test_an_axis_from_zero_starts_there_and_ratios_lie_evenly_about_one() -> None:
    assert axis([3, 8], 0, 100, from_zero=True).at(0) == 0
    scale = log_axis([0.5, 1, 2], 0, 100)
    assert scale.at(1) - scale.at(0.5) == pytest.approx(scale.at(2) - scale.at(1))


def test_labels_do_not_hide_each_other_and_stay_inside() -> None:
    points = [(380.0, 40.0), (378.0, 44.0), (60.0, 200.0), (62.0, 203.0), (200.0, 100.0)]
    words = ["runtime fp32", "runtime fp16", "another", "a third", "middle"]
    placed = place(points, words, (50, 20, 398, 270))
    boxes = [(x, y - 9, x + len(word) * 6.3, y + 3) for (x, y), word in zip(placed, words, strict=True)]
    for index, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 50
        assert right <= 398
        for other in boxes[:index]:
            assert right <= other[0] or left >= other[2] or bottom <= other[1] or top >= other[3]


def test_thinning_keeps_outliers_and_the_shape_of_the_distribution() -> None:
    samples = [10 + math.sin(index) for index in range(50_000)]
    samples[12_345], samples[40_001] = 99.0, 1.0
    kept = thinned(samples)
    assert len(kept) <= DRAWN
    assert (12_345, 99.0) in kept
    assert (40_001, 1.0) in kept
    assert kept == sorted(kept)
    assert all(samples[index] == value for index, value in kept)
    middle = [value for _, value in kept if abs(value - 10) < 0.2]
    assert len(middle) / len(kept) == pytest.approx(2 * math.asin(0.2) / math.pi, abs=0.02), "no false gap between two modes"
    assert thinned(samples[:DRAWN]) == list(enumerate(samples[:DRAWN]))


def timing(rounds: list[list[int]]) -> Timing:
    samples = [sample / 1e6 for each in rounds for sample in each]
    middle = sorted(samples)[len(samples) // 2]
    summary = Summary(samples=len(samples), min=min(samples), p50=middle, p90=middle, p99=middle, mean=middle, cv=0.1)
    return Timing(clock="c", warm_up=(), rounds=tuple(map(tuple, rounds)), summary=summary, stopped_by="s")


@pytest.mark.parametrize("rounds", [[[5]], [[5, 5], [5, 5]], [[1], [], [10**12]], [[7] * 3000] * 90])
def test_a_strip_of_any_samples_stays_on_the_drawing(rounds: list[list[int]]) -> None:
    made = timing(rounds)
    drawn = strip("t", made, 0)
    path = re.findall(r"M([\d.]+) ([\d.]+)h0", drawn)
    assert len(path) == min(sum(map(len, rounds)), len(path))
    assert path
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= 142 for x, y in path)
    assert is_thinned(made) == (sum(map(len, rounds)) > DRAWN)
    assert "nan" not in drawn


def test_charts_of_one_point_and_of_ratios_far_apart() -> None:
    assert "<circle" in scatter([point("only", 1, 1)], Plane(title="t", y_unit="MB"))
    row = bars.Row(name="n", series=0, ranked=True, ratio=Ratio(to="r", value=1e-3, low=9e-4, high=1e3))
    assert "0.0010 (0.0009–1,000.0000)" in bars.ratios("t", [("part", [row])])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (12.3456, "12.35"),
        (1234.56, "1,235"),
        (123456.7, "123,457"),
        (0.45123, "0.4512"),
        (3.2e-7, "3.2e-07"),
        (-2.5, "-2.500"),
    ],
)
def test_figures(value: float, written: str) -> None:
    assert wording.figure(value) == written


@pytest.mark.parametrize(
    ("low", "high", "written", "verdict"),
    [
        (0.44, 0.47, "0.45 (0.44 to 0.47)", "faster"),
        (0.4496, 0.4507, "0.450 (0.450 to 0.451)", "faster"),
        (0.2, 1.3, "0.45 (0.20 to 1.30)", "no difference shown"),
        (0.45, 0.45, "0.450 (0.450 to 0.450)", "faster"),
    ],
)
def test_ratios(low: float, high: float, written: str, verdict: str) -> None:
    ratio = Ratio(to="r", value=0.45, low=low, high=high)
    assert wording.ratio(ratio) == written
    assert wording.verdict(ratio) == verdict


def test_drift_is_said_in_words() -> None:
    words = wording.samples_in_words(timing([[1_000_000] * 3, [2_000_000] * 3]))
    assert "6 samples in 2 rounds" in words
    assert "the median of the first round is 1.000 ms, of the last 2.000 ms" in words
