"""What fits into the device's memory, and what to say when something does not."""

from collections.abc import Callable

from edgesr.manifest import Manifest
from edgesr.model import Reach
from edgesr.runtimes._trt.device import DeviceMemoryError
from edgesr.tensors import Size, SizeRule
from edgesr.tiling import choose_tiling

_STEP = 8
_MARGIN = 0.9
"""Of the free memory, what may be counted on: CUDA and TensorRT take some for themselves."""


def largest_that_fits(limits: SizeRule, needs: Callable[[Size], int], free_bytes: int) -> Size | None:
    """The largest square, of sides in steps of 8 pixels, that `limits` take and that needs no more than what is free; None if
    none.

    needs: a size within the limits -> bytes, which must not fall with the size.
    """
    least = max(limits.minimum.height, limits.minimum.width)
    most = min(limits.maximum.height, limits.maximum.width) if limits.maximum else least
    fits = range(-(-least // _STEP) * _STEP, most + 1, _STEP)
    low, high = 0, len(fits)
    while low < high:
        middle = (low + high) // 2
        if needs(Size(height=fits[middle], width=fits[middle])) <= _MARGIN * free_bytes:
            low = middle + 1
        else:
            high = middle
    return Size(height=fits[low - 1], width=fits[low - 1]) if low else None


def in_proportion(size: Size, needed_bytes: int, free_bytes: int) -> Size:
    """About the square that fits when `size` needs so much: networks take memory in proportion to the pixels."""
    pixels = size.height * size.width * min(1.0, _MARGIN * free_bytes / max(needed_bytes, 1))
    side = max(int(pixels**0.5) // _STEP * _STEP, _STEP)
    return Size(height=side, width=side)


def too_large(size: Size, fitting: Size, manifest: Manifest, cause: DeviceMemoryError, *, build: bool) -> DeviceMemoryError:
    """The error for a size whose memory is not there. build: whether an engine for the one that fits must be built first."""
    tiles = f"edgesr upscale --tile {tile_within(fitting, manifest.reach)}"
    steps = f"{engine_for(fitting, manifest)}, then {tiles}" if build else tiles
    return DeviceMemoryError(
        asked_bytes=cause.asked_bytes,
        free_bytes=cause.free_bytes,
        size=str(size),
        hint=f"{fitting} {'probably ' * build}fits: {steps}\nWhat else uses the GPU: nvidia-smi",
    )


def engine_for(size: Size, manifest: Manifest) -> str:
    """What to type for an engine of this size: an artifact for one size must be exported for it."""
    if not manifest.sizes.fixed:
        return f"edgesr build DIR --size {size}"
    scale = f"--scale {manifest.scale} --precision {manifest.precision}"
    return f"edgesr export {manifest.model} {scale} --target tensorrt --size {size} -o DIR and edgesr build DIR"


def tile_within(size: Size, reach: Reach) -> int:
    """The tile whose square with the margins around it is no larger than `size`."""
    tiling = choose_tiling(Size(height=size.height + 1, width=size.width + 1), SizeRule(minimum=size, maximum=size), reach=reach)
    return tiling.tile if tiling else size.height
