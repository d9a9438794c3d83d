"""All samples of a cell in the order they were taken, with their distribution beside them."""

from collections.abc import Sequence

from edgesr.bench.record import Timing
from edgesr.bench.report import svg
from edgesr.bench.report.axes import Axis, axis
from edgesr.bench.report.markup import Html, join, tag
from edgesr.bench.report.wording import milliseconds, samples_in_words

DRAWN = 1200
"""A cell with more samples than this is drawn thinned."""
_EXTREMES = 50

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 308.0, 8.0, 122.0
_HISTOGRAM, _END = 316.0, 372.0
_HEIGHT = 142.0
_BINS = 30
_MOST_BANDS = 80


def strip(title: str, timing: Timing, series: int) -> Html:
    """The chart. Bands are rounds, the full line is p50, the broken one p90."""
    samples = [milliseconds(sample) for each in timing.rounds for sample in each]
    up = axis([*samples, timing.summary.p50, timing.summary.p90], _BOTTOM, _TOP)
    across = Axis(low=0, high=max(len(samples) - 1, 1), start=_LEFT + 4, end=_RIGHT - 4)
    places = [(across.at(index), up.at(value)) for index, value in thinned(samples)]
    return svg.drawing(
        title,
        samples_in_words(timing),
        _HEIGHT,
        _bands([len(each) for each in timing.rounds], across),
        svg.upward(up, _LEFT, _END, most=4),
        svg.dots(places, f"samples s{series % svg.SERIES}"),
        _histogram(samples, up, series),
        _percentile(up.at(timing.summary.p50), "p50", "median", 11),
        _percentile(up.at(timing.summary.p90), "p90", "ninety", -4),
        svg.text(_LEFT - 5, _HEIGHT - 6, "ms", "end faint"),
        svg.text(_LEFT, _HEIGHT - 6, "first", "faint"),
        svg.text(_RIGHT, _HEIGHT - 6, f"last of {len(samples):,}", "end faint"),
        svg.text(_HISTOGRAM, _HEIGHT - 6, "all", "faint"),
    )


def thinned(samples: Sequence[float]) -> list[tuple[int, float]]:
    """Samples with their places; of too many, evenly spaced ones and the extremes.

    Evenly spaced ones are distributed as all are, which the fastest and slowest of each stretch would not be: they look like two
    modes. The extremes of all hide no outlier.
    """
    if len(samples) <= DRAWN:
        return list(enumerate(samples))
    spaced = DRAWN - 2 * _EXTREMES
    by_time = sorted(range(len(samples)), key=samples.__getitem__)
    kept = {index * len(samples) // spaced for index in range(spaced)}
    return [(index, samples[index]) for index in sorted({*kept, *by_time[:_EXTREMES], *by_time[-_EXTREMES:]})]


def thinning_in_words(timing: Timing) -> str:
    """What the chart does not show; "" where it shows every sample."""
    if not is_thinned(timing):
        return ""
    kept = f"evenly spaced ones, the {_EXTREMES} fastest and the {_EXTREMES} slowest"
    return f" Drawn thinned to {DRAWN:,}: {kept}; the record holds all."


def is_thinned(timing: Timing) -> bool:
    """Whether its chart does not show every sample."""
    return sum(map(len, timing.rounds)) > DRAWN


def _bands(sizes: Sequence[int], across: Axis) -> Html | str:
    """Every second round on a darker ground."""
    if len(sizes) > _MOST_BANDS:
        return ""
    bands, begun = [], 0
    for index, size in enumerate(sizes):
        if index % 2 and size:
            left, right = across.at(begun - 0.5), across.at(begun + size - 0.5)
            bands.append(tag("rect", x=left, y=_TOP, width=right - left, height=_BOTTOM - _TOP, class_="band"))
        begun += size
    return join(bands)


def _histogram(samples: Sequence[float], up: Axis, series: int) -> Html:
    """Counts in bins of equal height on the chart, to the right of the strip."""
    height = (_BOTTOM - _TOP) / _BINS
    counts = [0] * _BINS
    for sample in samples:
        counts[min(int((_BOTTOM - up.at(sample)) / height), _BINS - 1)] += 1
    unit = (_END - _HISTOGRAM) / max(counts)
    bars = "".join(
        f"M{_HISTOGRAM:g} {_BOTTOM - index * height:.1f}h{found * unit:.1f}v{-height:.1f}H{_HISTOGRAM:g}z"
        for index, found in enumerate(counts)
        if found
    )
    return tag("path", d=bars, class_=f"histogram s{series % svg.SERIES}")


def _percentile(y: float, name: str, class_: str, drop: float) -> Html:
    return join([svg.line(_LEFT, y, svg.WIDTH, y, class_), svg.text(svg.WIDTH, y + drop, name, "end small")])
