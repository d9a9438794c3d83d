"""Sizes as users write them and as sessions take them."""

import pytest

from edgesr.errors import SizeError, UsageError
from edgesr.tensors import Size, SizeRule, parse_size

SMALL, LARGE = Size(height=16, width=20), Size(height=64, width=80)


@pytest.mark.parametrize(("text", "size"), [("180x320", (180, 320)), (" 1X2 ", (1, 2)), ("16×20", (16, 20))])
def test_sizes_that_are_understood(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == Size(height=size[0], width=size[1])


@pytest.mark.parametrize("text", ["", "180", "0x3", "-1x3", "1.5x2", "axb", "1x2x3", "999999x1"])
def test_sizes_that_are_not(text: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        parse_size(text)


def test_a_range_has_both_ends() -> None:
    rule = SizeRule(minimum=SMALL, maximum=LARGE)
    rule.check(SMALL)
    rule.check(LARGE)
    with pytest.raises(SizeError, match="too small"):
        rule.check(Size(height=15, width=80))
    with pytest.raises(SizeError, match="too large"):
        rule.check(Size(height=64, width=81))
    assert rule.fixed is None
    assert rule.description == "16x20 to 64x80"


def test_a_fixed_size_takes_no_other() -> None:
    rule = SizeRule(minimum=SMALL, maximum=SMALL)
    rule.check(SMALL)
    with pytest.raises(SizeError, match="16x20"):
        rule.check(LARGE)
    assert rule.description == "16x20"


def test_without_a_maximum_anything_larger_goes() -> None:
    SizeRule(minimum=SMALL).check(Size(height=10000, width=10000))
    assert SizeRule(minimum=SMALL).description == "16x20 and larger"
