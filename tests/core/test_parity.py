"""Differences and the budgets that they must keep to."""

import math

import numpy as np
import pytest

from edgesr.errors import ParityError
from edgesr.parity import IDENTICAL_DB, Budget, Edge, difference, edge
from edgesr.tensors import Precision

REFERENCE = np.full((1, 3, 4, 4), 0.5)
BUDGET = Budget(relative_l2=1e-4, psnr_db=50)


def test_figures_of_a_known_difference() -> None:
    found = difference("noise", REFERENCE, REFERENCE + 0.01)
    assert found.max_abs == pytest.approx(0.01)
    assert found.relative_l2 == pytest.approx(0.02)
    assert found.psnr_db == pytest.approx(40)


def test_identical_outputs_have_a_finite_figure() -> None:
    found = difference("noise", REFERENCE, REFERENCE)
    assert (found.max_abs, found.relative_l2, found.psnr_db) == (0, 0, IDENTICAL_DB)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_passes(wrong: float) -> None:
    actual = REFERENCE.copy()
    actual[0, 0, 0, 0] = wrong
    with np.errstate(invalid="ignore"), pytest.raises(ParityError, match="noise"):
        BUDGET.check(edge("artifact", [("noise", REFERENCE, actual)]))


def test_whole_numbers_get_what_they_cost_and_no_more() -> None:
    pixels = np.random.default_rng(0).random((1, 3, 64, 64))
    exact = Budget(relative_l2=1e-4, psnr_db=100)
    for levels in (np.round(pixels * 255), np.floor(pixels * 255)):
        made = edge("artifact", [("picture", pixels, levels / 255)])
        exact.of_levels.check(made)
        with pytest.raises(ParityError):
            exact.check(made)
    with pytest.raises(ParityError):
        exact.of_levels.check(edge("artifact", [("picture", pixels, (np.floor(pixels * 255) - 1) / 255)]))
    assert Budget(relative_l2=0.2, psnr_db=40).of_levels.psnr_db == pytest.approx(40, abs=0.4)


def test_the_worst_input_is_named() -> None:
    pairs = [(name, REFERENCE, REFERENCE * (1 + off)) for name, off in (("good", 1e-6), ("worst", 1e-2), ("bad", 1e-3))]
    with pytest.raises(ParityError, match="worst"):
        BUDGET.check(edge("artifact", pairs))
    assert edge("artifact", pairs).worst.input == "worst"


def test_a_difference_within_the_budget_passes() -> None:
    BUDGET.check(edge("artifact", [("noise", REFERENCE, REFERENCE * (1 + 5e-5))]))
    with pytest.raises(ParityError):
        BUDGET.check(edge("artifact", [("noise", REFERENCE, REFERENCE * (1 + 2e-4))]))


def test_a_picture_may_not_become_brighter_than_its_budget_allows() -> None:
    strict = Budget(relative_l2=1e-2, psnr_db=50, shift=4e-4)
    alternating = REFERENCE + 1e-3 * np.array([1, -1, 1, -1])
    strict.check(edge("artifact", [("picture", REFERENCE, alternating)]))
    with pytest.raises(ParityError, match=r"\+0\.26 levels of 255 in the mean \(at most 0\.10\)"):
        strict.check(edge("artifact", [("picture", REFERENCE, REFERENCE + 1e-3)]))
    strict.check(edge("artifact", [("noise", REFERENCE, REFERENCE + 1e-3)]))


def test_few_numbers_of_a_picture_may_be_off_by_a_level() -> None:
    strict = Budget(relative_l2=1, psnr_db=10, beyond_level=0.05)
    actual = REFERENCE.copy()
    actual[0, 0, 0, :2] += 1.1 / 255
    strict.check(edge("artifact", [("picture", REFERENCE, actual)]))
    actual[0, 0, 0, 2] += 1.1 / 255
    with pytest.raises(ParityError, match=r"6\.25% of its numbers differ by more than 1/255") as refused:
        strict.check(edge("artifact", [("picture", REFERENCE, actual)]))
    assert "--budget" in refused.value.hint


@pytest.mark.parametrize(
    ("precision", "relative", "off", "said", "hint"),
    [
        ("fp32", 1e-4, 2e-3, "relative difference 2.00e-03 (at most 1e-04)", "Try --without REWRITE"),
        ("fp32", 1e-1, 5e-2, "32.0 dB (at least 50)", "ask for fewer (--budget)."),
        ("fp16", 1e-1, 5e-2, "32.0 dB (at least 50)", "ask for fewer (--budget), or take --precision fp32."),
        ("w8", 1e-1, 5e-2, "32.0 dB (at least 50)", "ask for fewer (--budget), or take --precision fp16."),
        (
            "p4",
            1e-2,
            5e-2,
            "relative difference 5.00e-02 (at most 1e-02); 32.0 dB (at least 50)",
            "--budget changes the decibels alone: take a precision with more bits, --precision p6, p8 or fp16.",
        ),
    ],
)
def test_what_fails_is_said_and_what_helps(precision: Precision, relative: float, off: float, said: str, hint: str) -> None:
    """Compressed weights are no fault of a rewrite, and no budget moves the relative limit."""
    budget = Budget(relative_l2=relative, psnr_db=50)
    with pytest.raises(ParityError) as raised:
        budget.check(edge("artifact", [("picture", REFERENCE, REFERENCE * (1 + off))]), precision=precision)
    assert raised.value.message.endswith(f"on picture: {said}")
    assert hint in raised.value.hint
    assert ("--without" in raised.value.hint) == (precision == "fp32" and relative < 1e-3)


def test_a_reference_of_zeros_differs_from_anything_else() -> None:
    assert difference("black", REFERENCE * 0, REFERENCE).relative_l2 == math.inf
    assert difference("black", REFERENCE * 0, REFERENCE * 0).relative_l2 == 0


def test_another_shape_is_an_error() -> None:
    with pytest.raises(ParityError, match="shape"):
        difference("noise", REFERENCE, REFERENCE[:, :, :2])


def test_extremes_are_over_all_inputs_metric_by_metric() -> None:
    large, relative = (
        difference("large", 100 * REFERENCE, 100 * REFERENCE + 1),
        difference("relative", REFERENCE, REFERENCE + 0.5),
    )
    found = Edge(name="artifact", differences=(large, relative)).extremes
    assert found["max_abs"] == pytest.approx(1)
    assert found["relative_l2"] == pytest.approx(1)
    assert found["psnr_db"] == pytest.approx(0)
