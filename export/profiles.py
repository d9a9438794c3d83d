"""The shapes that engines are built for, as profiles: what `--size`, `--batch` and `--optimum` come to."""

from edgesr.manifest import Profile
from edgesr.tensors import Size, SizeRule

MOST_PICTURES = 64
"""How many pictures at a time a file may be asked for."""


def profiles_of(rule: SizeRule, *, batch: int, optimum: Size | None) -> tuple[Profile, ...]:
    """One profile for each size of the rule, or one for its range, each from 1 to `batch` pictures and best at `batch`.

    optimum: the size that a range is best at, or what of the range is nearest to it; None is its largest.
    """
    if not rule.is_range:
        return tuple(_profile(size, size, size, batch) for size in rule.choices or (rule.minimum,))
    assert rule.maximum is not None
    low, best, high = rule.minimum, optimum or rule.maximum, rule.maximum
    nearest = Size(
        height=min(max(best.height, low.height), high.height),
        width=min(max(best.width, low.width), high.width),
    )
    return (_profile(low, nearest, high, batch),)


def _profile(low: Size, best: Size, high: Size, batch: int) -> Profile:
    return Profile(
        minimum=(1, low.height, low.width),
        optimum=(batch, best.height, best.width),
        maximum=(batch, high.height, high.width),
    )
