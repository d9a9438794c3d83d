"""The inputs on which an export is compared with its reference: noise of awkward sizes, and a real picture."""

from collections.abc import Sequence
from importlib import resources

import numpy as np
from PIL import Image

from edgesr.levels import floats_of, levels_of
from edgesr.manifest import Profile
from edgesr.parity import PICTURE
from edgesr.tensors import FloatArray, Size, SizeRule

_PICTURE = "astronaut-128.png"
_PICTURE_SIDE = 72
_LARGE = 128 * 128
"""Pixels above which a file for one size is compared on the picture alone: the network and the file take minutes for each."""


def parity_inputs(sizes: SizeRule, *, largest: bool = False, profiles: Sequence[Profile] = ()) -> dict[str, FloatArray]:
    """Name -> (N,3,H,W) RGB in [0,1], the same each time. largest: of a range of sizes with an end, the picture at its end too.
    profiles: the picture at each of their sizes, and two pictures of noise where they have more than one.

    For a range of sizes: the smallest one, a batch of two at a size that is no multiple of any window, and the picture. For a
    fixed size: noise and the picture, repeated by reflection to that size; the picture alone where it is large. For several: the
    picture at each, noise at the first.
    """
    inputs = _of_rule(sizes, largest=largest)
    for profile in profiles:
        for _, height, width in (profile.minimum, profile.optimum, profile.maximum):
            size = Size(height=height, width=width)
            inputs.setdefault(f"{PICTURE} 1x3x{size}", picture(size))
        if profile.maximum[0] > 1:
            inputs.setdefault(f"noise 2x3x{size}", _noise(2, size))
    return inputs


def _of_rule(sizes: SizeRule, *, largest: bool) -> dict[str, FloatArray]:
    if sizes.choices or sizes.fixed:
        each = sizes.choices or (sizes.minimum,)
        noise = noise_input(each[0]) if each[0].height * each[0].width <= _LARGE else {}
        return {**noise, **{f"{PICTURE} 1x3x{size}": picture(size) for size in each}}
    low = sizes.minimum
    odd = _within(odd_size(low), sizes)
    whole = _within(Size(height=max(_PICTURE_SIDE, low.height), width=max(_PICTURE_SIDE, low.width)), sizes)
    ends = {f"{PICTURE} 1x3x{sizes.maximum}": picture(sizes.maximum)} if largest and sizes.maximum else {}
    return {
        **noise_input(low),
        f"noise 2x3x{odd}": _noise(2, odd),
        f"{PICTURE} 1x3x{whole}": picture(whole),
        **ends,
    }


def _within(size: Size, sizes: SizeRule) -> Size:
    """The size, or as much of it as the rule takes."""
    most = sizes.maximum or size
    return Size(height=min(size.height, most.height), width=min(size.width, most.width))


def as_pictures(inputs: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """The same in 256 steps, as a picture file would hold them."""
    return {name: floats_of(levels_of(image)) for name, image in inputs.items()}


def odd_size(smallest: Size) -> Size:
    """A size that is little larger, not square and no multiple of any window."""
    return Size(height=smallest.height + 16, width=smallest.width + 23)


def noise_input(size: Size) -> dict[str, FloatArray]:
    """One sample of noise, (1,3,H,W), by its name."""
    return {f"noise 1x3x{size}": _noise(1, size)}


def picture(size: Size) -> FloatArray:
    """The shipped photograph's middle, (1,3,H,W), continued by reflection where it is smaller than `size`."""
    with resources.as_file(resources.files("edgesr") / "assets" / _PICTURE) as path, Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    for axis, length in enumerate((size.height, size.width)):
        spare = pixels.shape[axis] - length
        if spare >= 0:
            pixels = pixels.take(range(spare // 2, spare // 2 + length), axis=axis)
        else:
            pixels = np.pad(pixels, [(0, -spare) if i == axis else (0, 0) for i in range(3)], mode="symmetric")
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def _noise(batch: int, size: Size) -> FloatArray:
    return np.random.default_rng(0).random((batch, 3, size.height, size.width), dtype=np.float32)
