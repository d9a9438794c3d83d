"""Convolutions, products of matrices and attention."""

import torch
import torch.nn.functional as F
from torch import Tensor

from edgesr.runtimes._mil.registry import flag, ints, number, operator


@operator("conv")
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    dilations: Tensor | None = None,
    groups: Tensor = number(1),
) -> Tensor:
    """x (B,C,…) with weight (C',C/groups,…), one to three spatial axes."""
    axes = x.ndim - 2
    steps = ints(strides) if strides is not None else [1] * axes
    apart = ints(dilations) if dilations is not None else [1] * axes
    around = ints(pad) if pad is not None and pad_type == "custom" else [0] * (2 * axes)
    if pad_type in ("same", "same_lower"):
        around = []
        for length, kernel, step, gap in zip(x.shape[2:], weight.shape[2:], steps, apart, strict=True):
            missing = max((-(-length // step) - 1) * step + (kernel - 1) * gap + 1 - length, 0)
            less, more = missing // 2, missing - missing // 2
            around += [less, more] if pad_type == "same" else [more, less]
    pairs = [around[2 * axis : 2 * axis + 2] for axis in range(axes)]
    padded = F.pad(x, [side for pair in reversed(pairs) for side in pair])
    convolve = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    return convolve(padded, weight, bias, stride=steps, dilation=apart, groups=int(groups))


@operator("linear")
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (…,D) with weight (D',D)."""
    return F.linear(x, weight, bias)


@operator("matmul")
def matmul(x: Tensor, y: Tensor, transpose_x: Tensor = number(False), transpose_y: Tensor = number(False)) -> Tensor:
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
