"""Weights that the file holds compressed: whole numbers with a scale, or indices into a palette."""

import numpy as np
import torch
from torch import Tensor

from edgesr.runtimes._mil.blobs import unpacked
from edgesr.runtimes._mil.registry import ints, operator


@operator("constexpr_affine_dequantize")
def constexpr_affine_dequantize(quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: Tensor) -> Tensor:
    """(q − z)·s, with z and s for each index of the axis, or one for all."""
    spread = [1] * quantized_data.ndim
    spread[int(axis)] = quantized_data.shape[int(axis)]
    z, s = (each if each.ndim == 0 else each.reshape(spread) for each in (zero_point.float(), scale))
    return (quantized_data.float() - z) * s


@operator("constexpr_blockwise_shift_scale")
def constexpr_blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """(q − z)·s, with z and s for each block; there are as many blocks along an axis as s is long there."""
    q = data.float()
    if offset is not None:
        q = q - _blocks(offset.float(), q)
    return q * _blocks(scale, q)


@operator("constexpr_lut_to_dense")
def constexpr_lut_to_dense(
    indices: Tensor, lut: Tensor, shape: Tensor | None = None, vector_axis: Tensor | None = None
) -> Tensor:
    """The palette's entries that the indices name.

    With a shape (iOS 16 and 17) the indices lie bit behind bit, lowest first, in bytes. Without one (iOS 18), each block of the
    weight has a palette of its own, whose last two axes are its entries and the numbers of an entry.
    """
    if shape is not None:
        sides = ints(shape)
        picked = unpacked(indices.numpy(), bits=(lut.numel() - 1).bit_length(), count=int(np.prod(sides)))
        return lut.reshape(-1)[torch.from_numpy(picked).long()].reshape(sides)
    if lut.shape[-1] != 1 or vector_axis is not None:
        raise NotImplementedError("palettes of vectors")
    entries = lut.shape[-2]
    blocks = torch.arange(lut.numel() // entries).reshape(lut.shape[:-2])
    return lut.reshape(-1)[_blocks(blocks, indices) * entries + indices]


@operator("constexpr_cast")
def constexpr_cast(source_val: Tensor, output_dtype: str) -> Tensor:
    """The same numbers in single precision."""
    if output_dtype != "fp32":
        raise NotImplementedError(f"constexpr_cast to {output_dtype}")
    return source_val.float()


def _blocks(values: Tensor, like: Tensor) -> Tensor:
    """Each value over its block."""
    if values.ndim != like.ndim or any(length % parts for length, parts in zip(like.shape, values.shape, strict=True)):
        raise ValueError(f"blocks {tuple(values.shape)} of {tuple(like.shape)}")
    for axis, length in enumerate(like.shape):
        values = values.repeat_interleave(length // values.shape[axis], dim=axis)
    return values
