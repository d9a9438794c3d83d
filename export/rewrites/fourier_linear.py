"""SRConvNet's Fourier unit for one size: the transforms as linear layers whose matrices are constants of the file.

    irfft2(gelu(M · rfft2(x))) = x·A·B, then gelu(M · …), then …·B′·A′    with, in one row and for all its columns,
    (x·A)[f] = (Σ_w cos(2πfw/W)·x[w], Σ_w sin(2πfw/W)·x[w])/√W                       for f = 0 … W/2
    (y·B)[f] = Σ_h (cos(2πfh/H)·y₁[h] − sin(2πfh/H)·y₂[h], −sin(2πfh/H)·y₁[h] − cos(2πfh/H)·y₂[h])/√H

for every x (B,C,H,W), every pointwise M, H and W of at least 1. A takes the columns, B the rows, f = 0 … H − 1, of
the two numbers of each frequency together: they are real and imaginary part of Σ x·e^(−iθ) = y₁ − i·y₂. B′ is B's inverse and A′
adds the frequencies again, those that stand for themselves and their mirror image with the weight 2. What irfft2 ignores, the
imaginary parts of the columns' frequencies 0 and W/2, meets sin 0 and sin πw, which are 0. Everything between the transforms
is pointwise, so the frequencies need no order.

`fourier_matmul` takes fewer multiplications by mirroring rows, for which it gathers them and needs twice the operators; a phone's
Neural Engine multiplies faster than it gathers. The matrices are made from the map's size; all units of a network share them.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite
from edgesr.export.rewrites import fourier_matmul
from edgesr.models.srconvnet import FourierUnit


class FourierLinear(nn.Module):
    """A Fourier unit (B,C,H,W) -> (B,C,H,W)."""

    def __init__(self, unit: FourierUnit) -> None:
        super().__init__()
        self.conv_layer = unit.conv_layer

    def forward(self, x: Tensor) -> Tensor:
        batch, dim, height, width = x.shape
        bins = width // 2 + 1
        columns, columns_back = _columns(width, x)
        rows, rows_back = _rows(height, x)
        y = x.reshape(-1, height, width) @ columns  # (B·C,H,2·bins)
        y = y.transpose(1, 2).reshape(-1, bins, 2 * height) @ rows  # (B·C,bins,2·H)
        parts = y.reshape(-1, bins, 2, height).transpose(1, 2)
        parts = F.gelu(self.conv_layer(parts.reshape(batch, 2 * dim, bins, height)))  # c0 real, c0 imaginary, c1 real, …
        y = parts.reshape(-1, 2, bins, height).transpose(1, 2).reshape(-1, bins, 2 * height) @ rows_back
        y = y.reshape(-1, 2 * bins, height).transpose(1, 2) @ columns_back
        return y.reshape(batch, dim, height, width)


def _waves(frequencies: int, length: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines (frequencies,length) of 2πfn/length, over √length."""
    frequency, place = torch.arange(frequencies).unsqueeze(1), torch.arange(length)
    # The product is taken modulo the length in integers: the angle stays below 2π, and float32 accurate.
    angle = (frequency * place % length).to(like.dtype) * (2 * math.pi / length)
    return angle.cos() / length**0.5, angle.sin() / length**0.5


def _columns(width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """A (W,2·bins), cos and sin of a frequency by turns, and A′ (2·bins,W)."""
    bins = width // 2 + 1
    cos, sin = _waves(bins, width, like)
    pairs = 2 - (2 * torch.arange(bins) % width == 0).to(like.dtype).reshape(-1, 1, 1)
    there = torch.stack([cos, sin], dim=1).flatten(0, 1)
    back = (torch.stack([cos, -sin], dim=1) * pairs).flatten(0, 1)
    return there.t(), back


def _rows(height: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """B (2·H,2·H), from and to real parts and then imaginary ones, and B′ of the same form."""
    cos, sin = _waves(height, height, like)
    there = torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([-sin, -cos], dim=1)])
    back = torch.cat([torch.cat([cos, sin], dim=1), torch.cat([-sin, cos], dim=1)])
    return there, back


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, FourierLinear):
        return Refusal(reason="its transforms are linear layers already")
    return FourierLinear(module) if type(module) is FourierUnit else None


def _near_misses() -> Sequence[nn.Module]:
    return [FourierLinear(FourierUnit(2))]


REWRITE = Rewrite(
    equation="irfft2(gelu(M·rfft2(x))) = the same with rfft2 = two linear layers, of columns and of rows, and irfft2 = two",
    serves=frozenset({"constant_transforms"}),
    replace=_replace,
    witnesses=fourier_matmul.REWRITE.witnesses,
    near_misses=_near_misses,
    one_size=True,
)
"""Not with `fourier_matmul` in one plan: both replace the same module."""
