"""Weights that the file holds compressed: whole numbers with a scale, or indices into a palette."""

import numpy as np
import torch
from torch import Tensor

from edgesr.runtimes._mil.registry import ints, operator


def _along(values: Tensor, axis: int, ndim: int) -> Tensor:
    """A vector of an axis, to be broadcast over the others."""
    return values.reshape([-1 if each == axis else 1 for each in range(ndim)]) if values.numel() > 1 else values.reshape(())


@operator("constexpr_affine_dequantize")
def constexpr_affine_dequantize(quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: Tensor) -> Tensor:
    """(q − z)·s, with z and s for each index of the axis, or one for all."""
    at, ndim = int(axis), quantized_data.ndim
    return (quantized_data.float() - _along(zero_point.float(), at, ndim)) * _along(scale, at, ndim)


@operator("constexpr_blockwise_shift_scale")
def constexpr_blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """(q − z)·s, with z and s for each block; there are as many blocks along an axis as s is long there."""
    q = data.float()
    if offset is not None:
        q = q - _blocks(offset.float(), q)
    return q * _blocks(scale, q)


def _blocks(values: Tensor, like: Tensor) -> Tensor:
    for axis, length in enumerate(like.shape):
        values = values.repeat_interleave(length // values.shape[axis], dim=axis)
    return values


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
        bits = int(np.log2(lut.numel()))
        stream = np.unpackbits(indices.numpy().astype(np.uint8), bitorder="little")[: int(np.prod(sides)) * bits]
        picked = stream.reshape(-1, bits) @ (1 << np.arange(bits))
        return lut.reshape(-1)[torch.from_numpy(picked)].reshape(sides)
    if lut.shape[-1] != 1 or vector_axis is not None:
        raise NotImplementedError("palettes of vectors")
    palette = lut.squeeze(-1)
    for axis, length in enumerate(indices.shape):
        palette = palette.repeat_interleave(length // palette.shape[axis], dim=axis)
    return palette.gather(-1, indices.long().unsqueeze(-1)).squeeze(-1)


@operator("constexpr_cast")
def constexpr_cast(source_val: Tensor, output_dtype: str = "fp32") -> Tensor:
    """The same numbers as floats."""
    return source_val.float()


