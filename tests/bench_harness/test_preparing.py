"""The steps' processes: what they say when a converter fails."""

from edgesr.bench.preparing import first_cause


def test_the_first_cause_is_what_is_said() -> None:
    deep, middle, outer = KeyError("deep"), TypeError("middle"), ValueError("outer")
    outer.__cause__, middle.__cause__ = middle, deep
    assert first_cause(outer) is deep


def test_errors_that_cause_each_other_come_to_an_end() -> None:
    first, second = ValueError("first"), TypeError("second")
    first.__cause__, second.__cause__ = second, first
    assert first_cause(first) is second
