"""Operators that only move numbers: shapes, cuts, padding, pixel shuffles; and interpolation."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from edgesr.runtimes._mil.registry import NO, ONE, YES, ZERO, flag, ints, operator, scalar


@operator("reshape")
def reshape(x: Tensor, shape: Tensor) -> Tensor:
    """`x` in another shape; 0 keeps a side, counted from the last axis; -1 follows from the others."""
    sides = ints(shape)
    older = [1] * max(len(sides) - x.ndim, 0) + list(x.shape)
    return x.reshape([older[at - len(sides)] if side == 0 else side for at, side in enumerate(sides)])


@operator("shape")
def shape(x: Tensor) -> Tensor:
    """The lengths of x's sides."""
    return torch.tensor(x.shape)


@operator("transpose")
def transpose(x: Tensor, perm: Tensor) -> Tensor:
    """`x` with its axes in another order."""
    return x.permute(ints(perm))


@operator("expand_dims")
def expand_dims(x: Tensor, axes: Tensor) -> Tensor:
    """`x` with new axes of length 1, at these places of the result."""
    final = x.ndim + axes.numel()
    for axis in sorted(each % final for each in ints(axes)):
        x = x.unsqueeze(axis)
    return x


@operator("squeeze")
def squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    """`x` without axes of length 1."""
    return x.squeeze() if axes is None else x.squeeze(ints(axes))


@operator("concat")
def concat(values: tuple[Tensor, ...], axis: Tensor, interleave: Tensor = NO) -> Tensor:
    """The values one after the other along the axis; interleaved: the first of each, then the second."""
    if flag(interleave):
        at = int(axis) % values[0].ndim
        return torch.stack(values, dim=at + 1).flatten(at, at + 1)
    return torch.cat(values, dim=int(axis))


@operator("stack")
def stack(values: tuple[Tensor, ...], axis: Tensor) -> Tensor:
    """The values along a new axis."""
    return torch.stack(values, dim=int(axis))


@operator("split")
def split(x: Tensor, axis: Tensor, num_splits: Tensor | None = None, split_sizes: Tensor | None = None) -> Sequence[Tensor]:
    """`x` in parts along the axis."""
    if split_sizes is not None:
        return torch.split(x, ints(split_sizes), dim=int(axis))
    if num_splits is None or x.shape[int(axis)] % int(num_splits):
        raise ValueError("parts that are not equal and have no lengths")
    return x.chunk(int(num_splits), dim=int(axis))


@operator("tile")
def tile(x: Tensor, reps: Tensor) -> Tensor:
    """`x` again and again along each axis."""
    if reps.numel() != x.ndim:
        raise ValueError(f"{reps.numel()} repetitions for {x.ndim} axes")
    return x.repeat(ints(reps))


@operator("slice_by_size")
def slice_by_size(x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    """A part of x; size -1 reaches to the end."""
    for axis, (start, length) in enumerate(zip(ints(begin), ints(size), strict=True)):
        first = start + x.shape[axis] if start < 0 else start
        x = x.narrow(axis, first, x.shape[axis] - first if length == -1 else length)
    return x


@operator("slice_by_index")
def slice_by_index(
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: Tensor | None = None,
    begin_mask: Tensor | None = None,
    end_mask: Tensor | None = None,
    squeeze_mask: Tensor | None = None,
) -> Tensor:
    """x[begin:end:stride] on each axis; a mask stands for a bound that is left out, or for an axis that is dropped."""
    none = [0] * x.ndim
    no_begin, no_end, single = [none if mask is None else ints(mask) for mask in (begin_mask, end_mask, squeeze_mask)]
    steps = [1] * x.ndim if stride is None else ints(stride)
    for axis, (first, last, step) in enumerate(zip(ints(begin), ints(end), steps, strict=True)):
        if single[axis]:
            x = x.narrow(axis, first + x.shape[axis] if first < 0 else first, 1)
            continue
        bounds = slice(None if no_begin[axis] else first, None if no_end[axis] else last, step)
        if step > 0:
            x = x[(slice(None),) * axis + (bounds,)]
        else:  # which PyTorch's own slices cannot
            x = x.index_select(axis, torch.arange(*bounds.indices(x.shape[axis])))
    return x.squeeze([axis for axis in range(x.ndim) if single[axis]])


@operator("gather")
def gather(
    x: Tensor,
    indices: Tensor,
    axis: Tensor = ZERO,
    batch_dims: Tensor = ZERO,
    validate_indices: Tensor = NO,  # noqa: ARG001  # places are always checked
) -> Tensor:
    """The slices of x that the indices name along the axis."""
    if int(batch_dims):
        raise NotImplementedError("gather with batch_dims")
    at, places = int(axis) % x.ndim, indices.reshape(-1).long()
    if places.numel() and not 0 <= int(places.min()) <= int(places.max()) < x.shape[at]:
        raise IndexError(f"places {int(places.min())} to {int(places.max())} of {x.shape[at]}")  # negative ones end with iOS 16
    return x.index_select(at, places).reshape([*x.shape[:at], *indices.shape, *x.shape[at + 1 :]])


@operator("pad")
def pad(x: Tensor, pad: Tensor, mode: str = "constant", constant_val: Tensor = ZERO) -> Tensor:
    """`x` with more around its last axes: a constant, its reflection, or its edge again. pad: before and after, axis by axis."""
    sides = ints(pad)
    pairs = [sides[at : at + 2] for at in range(0, len(sides), 2)]
    if mode == "constant":
        return F.pad(x, [side for pair in reversed(pairs) for side in pair], value=scalar(constant_val))
    kinds: dict[str, Literal["reflect", "replicate"]] = {"reflect": "reflect", "replicate": "replicate"}
    for axis, (before, after) in enumerate(pairs, start=x.ndim - len(pairs)):
        if not before and not after:
            continue
        line = x.movedim(axis, -1)
        flat = F.pad(line.reshape(1, -1, line.shape[-1]), (before, after), mode=kinds[mode])
        x = flat.reshape(*line.shape[:-1], -1).movedim(-1, axis)
    return x


@operator("pixel_shuffle")
def pixel_shuffle(x: Tensor, upscale_factor: Tensor) -> Tensor:
    """(B,C·s²,H,W) -> (B,C,sH,sW); a channel's s² places are next to each other."""
    return F.pixel_shuffle(x, int(upscale_factor))


@operator("depth_to_space")
def depth_to_space(x: Tensor, block_size: Tensor) -> Tensor:
    """(B,s²·C,H,W) -> (B,C,sH,sW); the channels of a place are next to each other."""
    batch, depth, height, width = x.shape
    s = int(block_size)
    return (
        x.reshape(batch, s, s, depth // s**2, height, width).permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, s * height, s * width)
    )


@operator("upsample_nearest_neighbor")
def upsample_nearest_neighbor(x: Tensor, scale_factor_height: Tensor = ONE, scale_factor_width: Tensor = ONE) -> Tensor:
    """Each pixel as often as the whole factors say."""
    factors = [scalar(each) for each in (scale_factor_height, scale_factor_width)]
    if any(factor != int(factor) for factor in factors):
        raise NotImplementedError("upsample_nearest_neighbor by factors that are not whole")
    return x.repeat_interleave(int(factors[0]), dim=-2).repeat_interleave(int(factors[1]), dim=-1)


@operator("upsample_bilinear")
def upsample_bilinear(
    x: Tensor,
    scale_factor_height: Tensor = ONE,
    scale_factor_width: Tensor = ONE,
    align_corners: Tensor = YES,
    half_pixel_centers: Tensor | None = None,
) -> Tensor:
    """`x` with linear interpolation between pixels; the grid follows from the lengths, which are rounded down."""
    aligned = flag(align_corners)
    if half_pixel_centers is not None and flag(half_pixel_centers) == aligned:
        raise NotImplementedError("upsample_bilinear with corners and half-pixel centres, or neither")
    factors = (scalar(scale_factor_height), scalar(scale_factor_width))
    size = [math.floor(side * factor) for side, factor in zip(x.shape[-2:], factors, strict=True)]
    maps = x.reshape(1, -1, *x.shape[-2:])
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=aligned).reshape(*x.shape[:-2], *size)
