"""The pictures of a measurement: the input, 8-bit pictures as a program has them, and crops for a report."""

import base64
import io

import numpy as np
from numpy.typing import NDArray

from edgesr.tensors import FloatArray

_CROP = 96
Bytes = NDArray[np.uint8]


def picture_from_bytes(picture: Bytes) -> FloatArray:
    """(H,W,3) of 0 to 255 -> (1,3,H,W) in [0,1]."""
    return np.ascontiguousarray(picture.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255))


def picture_to_bytes(image: FloatArray) -> Bytes:
    """(1,3,H,W) -> (H,W,3), the nearest of 0 to 255, clamped."""
    rounded = np.floor(np.clip(image[0], 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0))


def crop(image: FloatArray) -> str:
    """The middle of (1,3,H,W) as a PNG in base64."""
    return _png(picture_to_bytes(np.nan_to_num(_middle(image))))


def difference_crop(expected: FloatArray, actual: FloatArray) -> tuple[str, float]:
    """The middle of the absolute difference as a PNG in base64, and the difference that is white in it."""
    delta = np.abs(np.nan_to_num(_middle(actual)) - _middle(expected))
    white = float(delta.max())
    return _png(picture_to_bytes(delta / white if white else delta)), white


def _middle(image: FloatArray) -> FloatArray:
    top, left = ((side - min(side, _CROP)) // 2 for side in image.shape[2:])
    return image[:, :, top : top + _CROP, left : left + _CROP]


def _png(picture: Bytes) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
