"""PSNR and SSIM as super-resolution papers measure them: on the luma of uint8 pictures, without a border of `scale` pixels."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edgesr.errors import SizeError
from edgesr.parity import IDENTICAL_DB

_WINDOW = 11
_SIGMA = 1.5


@dataclass(frozen=True, kw_only=True)
class Score:
    """How close a picture is to its original: PSNR in dB (at most IDENTICAL_DB) and SSIM (1 for the same picture)."""

    psnr_db: float
    ssim: float


def psnr(a: NDArray[np.generic], b: NDArray[np.generic], *, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB of two arrays of one shape, computed in float64; equal arrays give IDENTICAL_DB.

    Raises SizeError when the shapes differ or are empty.
    """
    _check_shapes(a, b)
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return min(IDENTICAL_DB, 10 * math.log10(peak**2 / error)) if error else IDENTICAL_DB


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Y of BT.601: rgb (…,3) of 0 to 255 -> (…), 16 for black to 235 for white, not rounded.

    MATLAB's rgb2ycbcr with floating-point pictures, which is how BasicSR measures and hence the published figures.
    """
    return 16 + rgb @ (np.array([65.481, 128.553, 24.966]) / 255)


def ssim(a: NDArray[np.generic], b: NDArray[np.generic], *, peak: float = 255.0) -> float:
    """Mean structural similarity of two planes (H,W), as the authors' `ssim_index` computes it.

    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004: an 11×11 Gaussian
    window of sigma 1.5 that stays inside the picture, K1 = 0.01, K2 = 0.03. Raises SizeError when the shapes differ or are
    smaller than the window.
    """
    _check_shapes(a, b)
    if a.ndim != 2 or min(a.shape) < _WINDOW:
        raise SizeError(f"SSIM needs planes of at least {_WINDOW}×{_WINDOW} pixels, got {a.shape}")
    x, y = a.astype(np.float64), b.astype(np.float64)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x = _blurred(x * x) - mean_x**2
    variance_y = _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))))


def score(result: NDArray[np.uint8], original: NDArray[np.uint8], *, border: int) -> Score:
    """PSNR and SSIM of the luma of two pictures (H,W,3), without `border` pixels on every side.

    Raises SizeError when the shapes differ or too little is left.
    """
    _check_shapes(result, original)
    inside = slice(border, -border or None)
    a, b = (luma(picture[inside, inside]) for picture in (result, original))
    return Score(psnr_db=psnr(a, b, peak=255), ssim=ssim(a, b))


def _blurred(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Gaussian mean around every pixel whose window is inside: (H,W) -> (H-10,W-10)."""
    offsets = np.arange(_WINDOW) - _WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    rows = sliding_window_view(plane, _WINDOW, axis=0) @ weights
    return np.asarray(sliding_window_view(rows, _WINDOW, axis=1) @ weights)


def _check_shapes(a: NDArray[np.generic], b: NDArray[np.generic]) -> None:
    if a.shape != b.shape or 0 in a.shape:
        raise SizeError(f"pictures of different or empty shape cannot be compared: {a.shape} and {b.shape}")
