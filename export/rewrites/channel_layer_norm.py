"""LayerNorm over channels without leaving (B,C,H,W): both means are 1×1 convolutions with equal weights.

    m = (1/C) Σ_c x_c        d = x − m        LN(x) = d · ((1/C) Σ_c d_c² + ε)^(−1/2) · γ + β

for every real x, any C ≥ 1 and ε > 0, with the biased variance that LayerNorm uses. The reference permutes to (B,H,W,C) and
back, which costs two copies of the picture for each norm and takes ONNX Runtime's convolutions out of their blocked layout.
ε rides along as the bias of the second convolution.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._layers import ChannelLayerNorm


class ChannelsFirstLayerNorm(nn.Module):
    """x (B,C,H,W) -> (B,C,H,W), the same function as the ChannelLayerNorm that it is made from, with the same parameters."""

    mean: Tensor
    eps: Tensor

    def __init__(self, norm: ChannelLayerNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        channels = norm.weight.numel()
        self.register_buffer("mean", torch.full_like(norm.weight.detach(), 1 / channels).reshape(1, channels, 1, 1))
        self.register_buffer("eps", norm.weight.detach().new_tensor([norm.eps]))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - F.conv2d(x, self.mean)
        variance = F.conv2d(centred * centred, self.mean, self.eps)
        return centred * torch.rsqrt(variance) * self.weight.reshape(1, -1, 1, 1) + self.bias.reshape(1, -1, 1, 1)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if not isinstance(module, ChannelLayerNorm):
        return None
    if len(module._parameters.keys() & {"weight", "bias"}) < 2 or None in module._parameters.values():
        return Refusal(reason="a LayerNorm without weight and bias")
    return ChannelsFirstLayerNorm(module)


def _norm(channels: int, eps: float) -> ChannelLayerNorm:
    generator = torch.Generator().manual_seed(channels)
    norm = ChannelLayerNorm(channels, eps=eps).double()
    with torch.no_grad():
        norm.weight.copy_(1 + 0.3 * torch.randn(channels, generator=generator, dtype=torch.float64))
        norm.bias.copy_(0.3 * torch.randn(channels, generator=generator, dtype=torch.float64))
    return norm


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    return [
        Witness(
            module=_norm(channels, eps),
            inputs=(3 * torch.randn(2, channels, 5, 7, generator=generator, dtype=torch.float64) + 1,),
        )
        for channels, eps in ((48, 1e-5), (64, 1e-6), (3, 1e-1))
    ]


def _near_misses() -> Sequence[nn.Module]:
    bare = ChannelLayerNorm(8)
    bare.weight, bare.bias = None, None  # type: ignore[assignment]  # as elementwise_affine=False leaves them
    over_everything = nn.GroupNorm(1, 8)
    over_the_last_axis = nn.LayerNorm(8)
    return [bare, over_everything, over_the_last_axis]


REWRITE = Rewrite(
    equation="LN(x) = (x − Mx) · (M(x − Mx)² + ε)^(−1/2) · γ + β, with M the mean over channels as a 1×1 convolution",
    serves=frozenset({"channels_first"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
