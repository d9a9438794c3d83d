import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesr.errors import SizeError
from edgesr.metrics import luma, psnr, score, ssim
from edgesr.parity import IDENTICAL_DB

Plane = NDArray[np.float64]


def slow_ssim(a: Plane, b: Plane) -> float:
    """The definition, window by window, with a two-dimensional Gaussian."""
    weights = np.array([[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)] for i in range(11)])
    weights /= weights.sum()
    values = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            x, y = a[top : top + 11, left : left + 11], b[top : top + 11, left : left + 11]
            mx, my = np.sum(weights * x), np.sum(weights * y)
            vx, vy = np.sum(weights * (x - mx) ** 2), np.sum(weights * (y - my) ** 2)
            cov = np.sum(weights * (x - mx) * (y - my))
            c1, c2 = 2.55**2, 7.65**2
            values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


def noisy_pair(height: int, width: int, noise: float) -> tuple[Plane, Plane]:
    rng = np.random.default_rng(3)
    a = np.cumsum(np.cumsum(rng.normal(size=(height, width)), axis=0), axis=1) * 5 + 120
    return a, a + rng.normal(size=a.shape) * noise


def test_psnr_of_a_known_error() -> None:
    a = np.zeros((4, 5))
    assert psnr(a, a + 0.1) == pytest.approx(20)
    assert psnr(a, a + 25.5, peak=255) == pytest.approx(20)
    assert psnr(a.astype(np.uint8), np.full((4, 5), 255, np.uint8), peak=255) == 0  # no overflow of uint8


def test_psnr_of_the_same_is_finite() -> None:
    assert psnr(np.ones(3), np.ones(3)) == IDENTICAL_DB
    assert psnr(np.ones(3), np.ones(3) + 1e-200) == IDENTICAL_DB


def test_metrics_refuse_different_shapes() -> None:
    with pytest.raises(SizeError, match=r"\(2, 3\) and \(3, 2\)"):
        psnr(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(SizeError, match="empty"):
        psnr(np.ones(0), np.ones(0))
    with pytest.raises(SizeError, match="11×11"):
        ssim(np.ones((10, 30)), np.ones((10, 30)))


def test_luma_of_the_corners_of_the_colour_cube() -> None:
    colours = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    # ITU-R BT.601: Y = 16 + 219 · (0.299 R + 0.587 G + 0.114 B)
    assert luma(colours) == pytest.approx([16, 235, 81.481, 144.553, 40.966], abs=2e-3)


@pytest.mark.parametrize("noise", [0.5, 8.0, 60.0])
def test_ssim_is_the_definition(noise: float) -> None:
    a, b = noisy_pair(23, 31, noise)
    assert ssim(a, b) == pytest.approx(slow_ssim(a, b), abs=1e-9)


def test_ssim_of_the_same_is_one() -> None:
    a, _ = noisy_pair(11, 11, 0)
    assert ssim(a, a) == pytest.approx(1)


def test_score_leaves_the_border_out() -> None:
    rng = np.random.default_rng(0)
    original = rng.integers(0, 256, (24, 28, 3), dtype=np.uint8)
    result = original.copy()
    result[:4], result[-4:], result[:, :4], result[:, -4:] = 0, 0, 0, 0
    assert score(result, original, border=4).psnr_db == IDENTICAL_DB
    assert score(result, original, border=3).psnr_db < 40
    assert score(original, original, border=0).ssim == pytest.approx(1)


def test_score_is_on_luma() -> None:
    original = np.full((16, 16, 3), 100, np.uint8)
    result = original.copy()
    result[..., 1] += 10
    change = 10 * 128.553 / 255
    assert score(result, original, border=2).psnr_db == pytest.approx(20 * math.log10(255 / change))
