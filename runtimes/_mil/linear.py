"""Convolutions, products of matrices and attention."""

import torch
import torch.nn.functional as F
from torch import Tensor

from edgesr.runtimes._mil.registry import NO, ONE, flag, ints, operator


@operator("conv")
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    dilations: Tensor | None = None,
    groups: Tensor = ONE,
) -> Tensor:
    """`x` (B,C,…) with weight (C',C/groups,…), one to three spatial axes."""
    axes = x.ndim - 2
    steps, apart = _each(strides, axes), _each(dilations, axes)
    around = _around(pad_type, pad, axes)
    if pad_type in ("same", "same_lower"):
        reaches = [(kernel - 1) * gap for kernel, gap in zip(weight.shape[2:], apart, strict=True)]
        if any(reach % 2 for reach in reaches) or steps != [1] * axes:
            # What is documented as the padding does not give the documented size then.
            raise NotImplementedError(f"padding {pad_type!r} of even kernels or with strides")
        around = [(reach // 2, reach // 2) for reach in reaches]
    even = all(before == after for before, after in around)
    x = x if even else F.pad(x, [side for pair in reversed(around) for side in pair])
    inside = [before for before, _ in around] if even else [0] * axes
    convolve = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    return convolve(x, weight, bias, stride=steps, padding=inside, dilation=apart, groups=int(groups))


@operator("conv_transpose")
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    dilations: Tensor | None = None,
    groups: Tensor = ONE,
    output_shape: Tensor | None = None,
) -> Tensor:
    """`x` (B,C,…) with weight (C,C'/groups,…): each number of x adds the kernel times itself; padding cuts the result."""
    axes = x.ndim - 2
    if pad_type == "same":
        raise NotImplementedError("padding 'same' of conv_transpose, whose sides are not documented")
    transposed = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
    y = transposed(x, weight, bias, stride=_each(strides, axes), dilation=_each(dilations, axes), groups=int(groups))
    for axis, (before, after) in enumerate(_around(pad_type, pad, axes), start=2):
        y = y.narrow(axis, before, y.shape[axis] - before - after)
    if output_shape is not None and ints(output_shape) != list(y.shape):
        raise NotImplementedError("conv_transpose with an output shape that its padding does not give")
    return y


def _each(values: Tensor | None, axes: int) -> list[int]:
    """A number for each spatial axis, 1 where it is left out."""
    return [1] * axes if values is None else ints(values)


def _around(pad_type: str, pad: Tensor | None, axes: int) -> list[tuple[int, int]]:
    """What is padded before and after each spatial axis."""
    if pad_type not in ("valid", "custom", "same", "same_lower"):
        raise NotImplementedError(f"padding {pad_type!r}")
    sides = ints(pad) if pad_type == "custom" and pad is not None else [0] * (2 * axes)
    return list(zip(sides[::2], sides[1::2], strict=True))


@operator("linear")
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` (…,D) with weight (D',D)."""
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"a bias {tuple(bias.shape)} for weights {tuple(weight.shape)}")
    return F.linear(x, weight, bias)


@operator("matmul")
def matmul(x: Tensor, y: Tensor, transpose_x: Tensor = NO, transpose_y: Tensor = NO) -> Tensor:
    """Products of matrices in the last two axes."""
    return (x.transpose(-1, -2) if flag(transpose_x) else x) @ (y.transpose(-1, -2) if flag(transpose_y) else y)


@operator("einsum")
def einsum(values: tuple[Tensor, ...], equation: str) -> Tensor:
    """The sum over common indices that the equation names."""
    return torch.einsum(equation, *values)


@operator("scaled_dot_product_attention")
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """softmax(Q·Kᵀ/√d + M)·V; a mask of truth values lets through where it holds."""
    logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if attn_mask is not None:
        logits = logits.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else logits + attn_mask
    return logits.softmax(dim=-1) @ value
