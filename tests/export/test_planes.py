"""How much is computed at a time in networks for one size."""

import pytest

from edgesr.export.rewrites._planes import LARGEST, alike, portion


@pytest.mark.parametrize(
    ("total", "numbers", "at_a_time"),
    [
        (65536, 6 * 256, 16384),  # RGT at 256x256: four times 16384, not three times 21845 and 1
        (64, 4 * 1024**2, 8),
        (5, LARGEST // 2, 2),
        (3, 2 * LARGEST, 1),
        (3, 1, 3),
    ],
)
def test_portions_are_as_alike_as_they_can_be(total: int, numbers: int, at_a_time: int) -> None:
    assert alike(total, numbers) == at_a_time
    assert at_a_time == 1 or at_a_time * numbers <= LARGEST
    assert -(-total // at_a_time) == -(-total // portion(numbers))
