"""Operators that only move numbers: shapes, cuts, padding, pixel shuffles; and interpolation."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from edgesr.runtimes._mil.registry import flag, ints, number, operator, scalar


@operator("reshape")
def reshape(x: Tensor, shape: Tensor) -> Tensor:
    """x in another shape; 0 keeps a side, -1 follows from the others."""
    sides = ints(shape)
    return x.reshape([x.shape[axis] if side == 0 else side for axis, side in enumerate(sides)])


@operator("transpose")
def transpose(x: Tensor, perm: Tensor) -> Tensor:
    """x with its axes in another order."""
    return x.permute(ints(perm))


@operator("expand_dims")
def expand_dims(x: Tensor, axes: Tensor) -> Tensor:
    """x with new axes of length 1, at these places of the result."""
    final = x.ndim + axes.numel()
    for axis in sorted(each % final for each in ints(axes)):
        x = x.unsqueeze(axis)
    return x


@operator("squeeze")
def squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    """x without axes of length 1."""
    return x.squeeze() if axes is None else x.squeeze(ints(axes))


@operator("concat")
def concat(values: tuple[Tensor, ...], axis: Tensor, interleave: Tensor = number(False)) -> Tensor:
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
def split(
    x: Tensor, axis: Tensor, num_splits: Tensor | None = None, split_sizes: Tensor | None = None
) -> Sequence[Tensor]:
    """x in parts along the axis."""
    if split_sizes is not None:
        return x.split(ints(split_sizes), dim=int(axis))
    assert num_splits is not None
    return x.chunk(int(num_splits), dim=int(axis))


@operator("tile")
def tile(x: Tensor, reps: Tensor) -> Tensor:
    """x again and again along each axis."""
    return x.repeat(ints(reps))


@operator("slice_by_size")
def slice_by_size(x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    """A part of x; size -1 reaches to the end."""
    for axis, (start, length) in enumerate(zip(ints(begin), ints(size), strict=True)):
        x = x.narrow(axis, start, x.shape[axis] - start if length == -1 else length)
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
    masks = [none if mask is None else ints(mask) for mask in (begin_mask, end_mask, squeeze_mask)]
    steps = [1] * x.ndim if stride is None else ints(stride)
    picks: list[Tensor] = []
    dropped = []
    for axis, (first, last, step) in enumerate(zip(ints(begin), ints(end), steps, strict=True)):
        length = x.shape[axis]
        if masks[2][axis]:
            picks.append(torch.tensor([first % length]))
            dropped.append(axis)
            continue
        bounds = slice(None if masks[0][axis] else first, None if masks[1][axis] else last, step).indices(length)
        picks.append(torch.arange(*bounds))
    for axis, pick in enumerate(picks):
        if len(pick) != x.shape[axis] or (len(pick) > 1 and pick[0] > pick[1]):
            x = x.index_select(axis, pick)
    return x.squeeze(dropped) if dropped else x


@operator("gather")
def gather(x: Tensor, indices: Tensor, axis: Tensor = number(0), batch_dims: Tensor = number(0), validate_indices: Tensor = number(False)) -> Tensor:
    """The slices of x that the indices name along the axis."""
    if int(batch_dims):
        raise NotImplementedError("gather with batch_dims")
    at = int(axis) % x.ndim
    found = x.index_select(at, indices.reshape(-1).long() % x.shape[at])
    return found.reshape([*x.shape[:at], *indices.shape, *x.shape[at + 1 :]])


@operator("pad")
def pad(x: Tensor, pad: Tensor, mode: str = "constant", constant_val: Tensor = number(0.0)) -> Tensor:
    """x with more around its last axes: a constant, its reflection, or its edge again. pad: before and after, axis by axis."""
    sides = ints(pad)
    pairs = [sides[at : at + 2] for at in range(0, len(sides), 2)]
    if mode == "constant":
        return F.pad(x, [side for pair in reversed(pairs) for side in pair], value=scalar(constant_val))
    kinds: dict[str, Literal["reflect", "replicate"]] = {"reflect": "reflect", "replicate": "replicate"}
    for axis, (before, after) in enumerate(pairs, start=x.ndim - len(pairs)):
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
    return x.reshape(batch, s, s, depth // s**2, height, width).permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, s * height, s * width)


@operator("upsample_nearest_neighbor")
def upsample_nearest_neighbor(x: Tensor, scale_factor_height: Tensor, scale_factor_width: Tensor) -> Tensor:
    """Each pixel as often as the whole factors say."""
    down, right = int(scalar(scale_factor_height)), int(scalar(scale_factor_width))
    return x.repeat_interleave(down, dim=-2).repeat_interleave(right, dim=-1)


@operator("upsample_bilinear")
def upsample_bilinear(
    x: Tensor,
    scale_factor_height: Tensor,
    scale_factor_width: Tensor,
    align_corners: Tensor = number(True),
    half_pixel_centers: Tensor | None = None,
) -> Tensor:
    """x with linear interpolation between pixels."""
    aligned = flag(align_corners)
    if half_pixel_centers is not None and flag(half_pixel_centers) == aligned:
        raise NotImplementedError("upsample_bilinear with corners and half-pixel centres, or neither")
    factors = (scalar(scale_factor_height), scalar(scale_factor_width))
    return F.interpolate(x, scale_factor=factors, mode="bilinear", align_corners=aligned)
