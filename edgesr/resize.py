"""Bicubic resizing as MATLAB's `imresize` does it: the degradation that every SR benchmark is defined by.

Kernel: R. Keys, "Cubic convolution interpolation for digital image processing", 1981, a = -0.5. When shrinking, the kernel is
stretched by 1/scale (antialiasing); at the edges the picture is mirrored with the edge pixel repeated.
"""

from math import ceil
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import SizeError

Pixel = TypeVar("Pixel", np.uint8, np.float64)


def matlab_bicubic(image: NDArray[Pixel], *, scale: float) -> NDArray[Pixel]:
    """A picture (H,W,C), uint8 or float64 of any range -> (ceil(scale·H),ceil(scale·W),C) of the same type.

    uint8 is rounded (halves up) and saturated after each of the two passes, rows first, as MATLAB does with uint8 pictures.
    Raises SizeError for anything but a non-empty (H,W,C) and a positive scale.
    """
    if image.ndim != 3 or 0 in image.shape:
        raise SizeError(f"expected a picture of shape (H,W,C), got {image.shape}")
    if not scale > 0:
        raise SizeError(f"a picture cannot be resized by {scale}", hint="The scale is a number above 0, such as 4 or 0.25.")
    for axis in (0, 1):
        image = _resized_along(image, axis=axis, scale=scale)
    return image


def _resized_along(image: NDArray[Pixel], *, axis: int, scale: float) -> NDArray[Pixel]:
    """One pass: (…,N,…) -> (…,ceil(scale·N),…) along `axis`."""
    weights, taps = _contributions(image.shape[axis], scale)
    lines: NDArray[np.float64] = np.moveaxis(image, axis, 0).astype(np.float64)
    result = np.zeros((len(weights), *lines.shape[1:]))
    # A tap at a time, so that memory stays at the size of the result even for large pictures and kernels.
    for weight, tap in zip(weights.T, taps.T, strict=True):
        result += weight[:, None, None] * lines[tap]
    if image.dtype == np.uint8:
        result = np.clip(np.floor(result + 0.5), 0, 255)
    return np.ascontiguousarray(np.moveaxis(result, 0, axis)).astype(image.dtype)


def _contributions(length: int, scale: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """For each of the M = ceil(scale·length) results: the weights (M,T) of its taps, summing to 1, and their indices (M,T)."""
    stretch = min(scale, 1.0)
    width = 4 / stretch
    # Centres of the results on the source's grid: pixel i covers [i, i + 1].
    centres = (np.arange(ceil(length * scale)) + 0.5) / scale - 0.5
    first = np.floor(centres - width / 2).astype(np.intp)
    taps = first[:, None] + np.arange(ceil(width) + 2)
    weights = _cubic(stretch * (centres[:, None] - taps))
    used = np.any(weights != 0, axis=0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    return weights[:, used], mirrored[taps[:, used] % (2 * length)]


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -0.5, zero from distance 2 on."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
