"""Samples to the network's numbers and back, grey, and the enlarging of alpha: what `edgesr upscale` does to each pixel."""

import numpy as np
from numpy.typing import NDArray

from jetson_kit.errors import KitError
from jetson_kit.tiles import FloatArray

Samples = NDArray[np.uint8]
"""(H,W,C) with C of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha)."""


def to_unit(samples: Samples) -> FloatArray:
    """0 to 255 -> [0,1], the same shape."""
    return samples.astype(np.float32) / np.float32(255)


def to_samples(values: FloatArray) -> Samples:
    """[0,1] -> the nearest of 0 to 255 (halves up), clamped, the same shape."""
    if not np.isfinite(values).all():
        raise KitError("the engine's result holds NaN or infinite values", "Build it again; if it stays so, take fp32.")
    return np.floor(np.clip(values, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def picture_of(samples: Samples) -> FloatArray:
    """(H,W,C) -> (1,3,H,W) in [0,1] without alpha; grey in all three channels."""
    colour = samples[..., :3] if samples.shape[2] >= 3 else samples[..., [0, 0, 0]]
    return np.ascontiguousarray(to_unit(colour).transpose(2, 0, 1)[None])


def samples_of(output: FloatArray, source: Samples, scale: int) -> Samples:
    """The network's output (1,3,sH,sW) -> (sH,sW,C), grey and with alpha as `source` (H,W,C) is."""
    grey, alpha = source.shape[2] < 3, source.shape[2] in (2, 4)
    planes = [luma(output[0])] if grey else list(output[0])
    if alpha:
        planes.append(enlarged(to_unit(source[..., -1]), scale))
    return to_samples(np.stack(planes, axis=2))


def luma(rgb: FloatArray) -> FloatArray:
    """(3,H,W) -> the luma of BT.601, (H,W)."""
    red, green, blue = rgb
    return np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue


def enlarged(alpha: FloatArray, scale: int) -> FloatArray:
    """(H,W) in [0,1] -> (sH,sW) in [0,1], bicubically as MATLAB's `imresize` does it."""
    result = alpha.astype(np.float64)
    for axis in (0, 1):
        result = _resized(result, axis, scale)
    return result.clip(0, 1).astype(np.float32)


def _resized(image: NDArray[np.float64], axis: int, scale: int) -> NDArray[np.float64]:
    """One axis: N pixels become scale·N, each of four of them; the edges are mirrored with the edge pixel repeated."""
    length = image.shape[axis]
    lines = np.moveaxis(image, axis, 0)
    centres = (np.arange(scale * length) + 0.5) / scale - 0.5
    taps = (np.floor(centres).astype(np.intp) - 1)[:, None] + np.arange(4)
    weights = _cubic(centres[:, None] - taps)
    weights = weights / weights.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    places = mirrored[taps % (2 * length)]
    result = np.zeros((scale * length, *lines.shape[1:]))
    for weight, place in zip(weights.T, places.T, strict=True):
        result += weight[:, None] * lines[place]
    return np.moveaxis(result, 0, axis)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -0.5, zero from distance 2 on."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
