"""Networks that take and give pictures of whole numbers, as edgesr's floats in [0,1]."""

import numpy as np
from numpy.typing import NDArray

from edgesr.tensors import FloatArray

LEVELS = 255.0
"""The largest value of a colour."""


def levels_of(image: FloatArray) -> FloatArray:
    """RGB in [0,1] -> whole numbers from 0 to 255, as floats; what is outside is clamped."""
    return np.round(np.clip(image, 0, 1) * LEVELS)


def floats_of(levels: NDArray[np.generic]) -> FloatArray:
    """Numbers from 0 to 255 -> RGB in [0,1]."""
    return np.asarray(levels, dtype=np.float32) / np.float32(LEVELS)
