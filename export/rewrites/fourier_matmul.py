"""SRConvNet's Fourier unit as products of real matrices.

    irfft2(gelu(M · rfft2(x))) = Σ_g Σ_f  of real products, with A = gelu(U + V), B = gelu(U − V):
    U = M₁ · (C x Cᵂ, C x Sᵂ),  V = M₂ · (S x Cᵂ, S x Sᵂ),
    y = C′(A + B)(Cᵂ′, −Sᵂ′) − S′(A − B)(Sᵂ′, Cᵂ′)

for every x (B,C,H,W), every pointwise M without bias, H and W of at least 1. C[f,h] = cos(2πfh/H)/√H and S the same with sin
hold the frequencies 0…H/2, Cᵂ and Sᵂ those of the columns; a prime is the transpose with the weights 1 and 2 of the
frequencies that stand for themselves and for a pair. A is the spectrum's half of frequencies +f, B that of −f, so that one
product serves both: cos is even and sin odd in f. Both are so in h, too, so that rows h and H − h are added or subtracted
before their product, and half of it is left, there and back. M₁ and M₂ are M's columns, real and imaginary, with signs.
Everything between the transforms is pointwise, so the frequencies need no order. What irfft2 ignores, the imaginary parts of
the columns' frequencies 0 and W/2, meets sin 0 and sin πw, which are 0.

Most runtimes have no Fourier transform, and the one of ONNX Runtime takes longer than these products.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models.srconvnet import FourierUnit
from edgesr.seeding import seed_weights


class FourierMatmul(nn.Module):
    """A Fourier unit (B,C,H,W) -> (B,C,H,W), channels-last inside: a position's real and imaginary channels lie side by side."""

    def __init__(self, unit: FourierUnit) -> None:
        super().__init__()
        weight = unit.conv_layer.weight.detach()
        dim = weight.shape[0] // 2
        # (output part, output channel, input part, input channel): all real channels, then all imaginary ones
        real, imaginary = weight.reshape(dim, 2, dim, 2).permute(3, 2, 1, 0).unbind(0)  # each (in, out part, out)
        real, imaginary = real.flatten(1), imaginary.flatten(1)
        # The spectrum at ±f is (C ∓ iS) x (Cᵂ − iSᵂ): its part in S is the one in C after a quarter turn, by −i.
        self.even = nn.Buffer(torch.cat([real, -imaginary]))

    def forward(self, x: Tensor) -> Tensor:
        return self.channels_last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def channels_last(self, x: Tensor) -> Tensor:
        """(B,H,W,C) -> (B,H,W,C)."""
        batch, height, width, dim = x.shape
        cos, sin, weight = _waves(height, x)
        rows, bins = height // 2 + 1, width // 2 + 1
        there, back_even, back_odd = _column_transforms(width, x)

        # Along the column, too, cos is even and sin odd: a row and its mirror image are added or subtracted first. Rows 0 and
        # H/2 are their own mirror images and come twice: half the weight.
        half = weight.T / 2
        cos, sin = cos[:, :rows] * half, sin[:, :rows] * half
        row = torch.arange(height, device=x.device)
        upper, mirrored = x[:, :rows], x.index_select(1, (height - row[:rows]) % torch.full_like(row[:rows], height))
        summed = (there @ (upper + mirrored)).reshape(batch, rows, bins * 2 * dim)
        differing = (there @ (upper - mirrored)).reshape(batch, rows, bins * 2 * dim)
        u = (cos @ summed).reshape(batch, rows * bins, 2 * dim) @ self.even
        v = (sin @ differing).reshape(batch, rows * bins, 2 * dim) @ (_quarter_turn(dim, x) @ self.even)
        above, below = F.gelu(u + v), F.gelu(u - v)
        even = (back_even @ (above + below).reshape(batch, rows, 2 * bins, dim)).reshape(batch, rows, width * dim)
        odd = (back_odd @ (above - below).reshape(batch, rows, 2 * bins, dim)).reshape(batch, rows, width * dim)
        # Back, frequencies 0 and H/2 are in both halves of the spectrum and the others in one: the same matrices once more.
        even, odd = cos @ even, sin @ odd
        both = torch.cat([even - odd, even + odd], dim=1)
        return both.index_select(1, torch.where(row < rows, row, rows + height - row)).reshape(batch, height, width, dim)


def _waves(length: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines and sines (length//2+1, length) of 2πfn/length, over √length, and how many frequencies a row stands for."""
    frequency = torch.arange(length // 2 + 1, device=like.device)[:, None]
    place = torch.arange(length, device=like.device)[None]
    whole = torch.full((), length, dtype=torch.int64, device=like.device)  # a tensor: PyTorch's exporter has no % by a size
    # The product is taken modulo the length in integers: the angle stays below 2π, and float32 accurate.
    angle = (frequency * place % whole).to(like.dtype) * (2 * math.pi / whole.to(like.dtype))
    pairs = 2 - (2 * frequency % whole == 0).to(like.dtype)
    norm = whole.to(like.dtype).rsqrt()
    return angle.cos() * norm, angle.sin() * norm, pairs


def _column_transforms(width: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The transform of a row (2·bins,W), cos and sin by turns, and its inverses (W,2·bins) for the even and the odd part."""
    cos, sin, weight = _waves(width, like)
    there = torch.stack([cos, sin], dim=1).flatten(0, 1)
    back_even = torch.stack([weight * cos, -weight * sin], dim=1).flatten(0, 1).T
    back_odd = torch.stack([weight * sin, weight * cos], dim=1).flatten(0, 1).T
    return there, back_even, back_odd


def _quarter_turn(dim: int, like: Tensor) -> Tensor:
    """(2·dim,2·dim): row vectors (real, imaginary) of weights -> (imaginary, −real). Made at run time: the file stays small."""
    row = torch.arange(2 * dim, device=like.device)[:, None]
    column = torch.arange(2 * dim, device=like.device)[None]
    return (column == row + dim).to(like.dtype) - (row == column + dim).to(like.dtype)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, FourierMatmul):
        return Refusal(reason="it is made of matrix products already")
    if not isinstance(module, FourierUnit):
        return None
    if module.conv_layer.bias is not None:
        return Refusal(reason="its convolution has a bias, which the halves of the spectrum would both get")
    return FourierMatmul(module)


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for shape in ((2, 3, 6, 8), (1, 4, 7, 5), (1, 2, 5, 4), (1, 2, 4, 1), (1, 2, 1, 6), (1, 3, 2, 2)):
        module = FourierUnit(shape[1]).double()
        seed_weights(module)
        witnesses.append(Witness(module=module, inputs=(torch.randn(shape, generator=generator, dtype=torch.float64),)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    biased = FourierUnit(2)
    biased.conv_layer = nn.Conv2d(4, 4, 1)
    return [FourierMatmul(FourierUnit(2)), biased]


REWRITE = Rewrite(
    equation="irfft2(gelu(M rfft2(x))) = C′(A + B)(Cᵂ′, −Sᵂ′) − S′(A − B)(Sᵂ′, Cᵂ′), A, B = gelu(U ± V), U and V real products",
    serves=frozenset({"no_fft"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
