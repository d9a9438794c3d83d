"""Two 1×1 convolutions of ESC with nothing between them on most channels, composed.

A convolutional layer of ESC's block ends in f = G h + g (`ffn.aggr`) and y + A·[LK(f₁); f₂] + a (`conv.aggr`), where f₁ is the
part of f that the large kernel takes. With A = [A₁ A₂] by columns and G = [G₁; G₂], g = [g₁; g₂] by rows

    y + A·[LK(f₁); f₂] + a = (y + (A₂·G₂) h + (A₂·g₂ + a)) + A₁ LK(f₁),   f₁ = G₁ h + g₁

for every y (B,C,H,W) and h, because f₂ goes from one linear map into the next. For a pixel of ESC that leaves
16·80 + 64·80 + 64·16 multiplications of 80·64 + 64·64, the map f is neither cut nor joined, and the sums stand behind
convolutions, where runtimes add them in passing. It takes fewer multiplications where f₁ is so small a part that
(channels of f₁)·(channels of h + C) < C².
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._esc_blocks import Block, ConvAttention, ConvFFN
from edgesr.models.esc import LongRangeConv, mean_of_symmetries
from edgesr.models.esc_fp import SeparableLongRangeConv
from edgesr.seeding import seed_weights


class ComposedLayer(nn.Module):
    """y (B,C,H,W) -> y + ConvAttention(ConvFFN(norm(y))), the large kernel's result added to what passes by."""

    def __init__(self, norm: nn.Module, ffn: ConvFFN, conv: ConvAttention) -> None:
        super().__init__()
        pdim = conv.pdim
        self.norm, self.proj, self.dwc, self.plk = norm, ffn.proj, ffn.dwc, conv.plk
        gather, gather_bias = _matrix(ffn.aggr)
        spread, spread_bias = _matrix(conv.aggr)
        by, into = spread[:, pdim:], spread[:, :pdim]
        dtype = ffn.aggr.weight.dtype
        self.attended = _pointwise(gather[:pdim], gather_bias[:pdim], dtype)
        self.passing = _pointwise(by @ gather[pdim:], by @ gather_bias[pdim:] + spread_bias, dtype)
        self.returning = _pointwise(into, None, dtype)

    def forward(self, y: Tensor, *kernels: Tensor) -> Tensor:
        h = F.gelu(self.proj(self.norm(y)))
        h = F.gelu(self.dwc(h)) + h
        result: Tensor = y + self.passing(h) + self.returning(self.plk(self.attended(h), *kernels))
        return result


class ComposedBlock(nn.Module):
    """The same function of x (B,C,H,W) and the shared kernels as the block that it is made from."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.ln_proj, self.proj = block.ln_proj, block.proj
        self.ln_attn, self.attn = block.ln_attn, block.attn
        layers = zip(block.lns, block.convffns, block.pconvs, strict=True)
        self.layers = nn.ModuleList(ComposedLayer(norm, _ffn(ffn), _attention(conv)) for norm, ffn, conv in layers)
        self.ln_out, self.conv_out = block.ln_out, block.conv_out

    def forward(self, x: Tensor, *kernels: Tensor) -> Tensor:
        y = self.proj(self.ln_proj(x))
        y = y + self.attn(self.ln_attn(y))
        for layer in self.layers:
            y = layer(y, *kernels)
        result: Tensor = self.conv_out(self.ln_out(y)) + x
        return result


def _ffn(module: nn.Module) -> ConvFFN:
    assert isinstance(module, ConvFFN)
    return module


def _attention(module: nn.Module) -> ConvAttention:
    assert isinstance(module, ConvAttention)
    return module


def _matrix(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Matrix (out,in) and bias (out) of a 1×1 convolution in float64, so that a product is rounded once."""
    assert conv.bias is not None
    return conv.weight.detach().double()[:, :, 0, 0], conv.bias.detach().double()


def _pointwise(matrix: Tensor, bias: Tensor | None, dtype: torch.dtype) -> nn.Conv2d:
    conv = nn.Conv2d(matrix.shape[1], matrix.shape[0], 1, bias=bias is not None, device=matrix.device, dtype=dtype)
    with torch.no_grad():
        conv.weight.copy_(matrix[:, :, None, None])
        if conv.bias is not None and bias is not None:
            conv.bias.copy_(bias)
    return conv


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, ComposedBlock):
        return Refusal(reason="its projections are composed already")
    if type(module) is not Block:
        return None
    dim = module.conv_out.in_channels
    for ffn, conv in zip(module.convffns, module.pconvs, strict=True):
        pdim, hidden = _attention(conv).pdim, _ffn(ffn).aggr.in_channels
        if pdim * (hidden + dim) >= dim**2:
            return Refusal(reason=f"with {pdim} of {dim} channels in the large kernel it takes no fewer multiplications")
    return ComposedBlock(module)


def _block(dim: int, pdim: int, *, separable: bool, normalise: bool) -> Block:
    block = Block(
        dim,
        pdim,
        conv_blocks=2,
        window=4,
        heads=2,
        first_ffn=6,
        ffn=10,
        plk=lambda: SeparableLongRangeConv(pdim, 5) if separable else LongRangeConv(pdim, 5),
        normalise=normalise,
    ).double()
    seed_weights(block)
    return block


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    dense = mean_of_symmetries(noise(4, 4, 5, 5) / 5)
    return [
        Witness(module=_block(14, 4, separable=False, normalise=False), inputs=(noise(2, 14, 7, 9), dense)),
        Witness(module=_block(12, 4, separable=False, normalise=True), inputs=(noise(1, 12, 6, 5), dense)),
        Witness(
            module=_block(12, 4, separable=True, normalise=True),
            inputs=(noise(2, 12, 5, 8), noise(4, 4, 1, 1) / 2, noise(4, 1, 5, 5) / 5),
        ),
    ]


def _near_misses() -> Sequence[nn.Module]:
    return [
        _block(8, 4, separable=False, normalise=False),
        ComposedBlock(_block(12, 4, separable=True, normalise=True)),
    ]


REWRITE = Rewrite(
    equation="y + A·[LK(f₁); f₂] + a = (y + (A₂·G₂) h + (A₂·g₂ + a)) + A₁ LK(f₁) with f = G h + g, f₁ = G₁ h + g₁",
    serves=frozenset({"few_multiplications"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
