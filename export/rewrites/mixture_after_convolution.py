"""SRConvNet's mixture of kernels, with each kernel convolved first and the results mixed.

    (Σ_j a_j·W_j) ⊛ x + Σ_j a_j·w_j = Σ_j a_j·(W_j ⊛ x + w_j)

for every x (B,C,H,W), depthwise kernels W_j (k×k, k odd, zero padding k//2) with biases w_j and numbers a_j of each sample:
convolution is linear in its kernel. The kernels W_j are weights; their mixture is a kernel that is known at run time only, and a
convolution with one does not run on Apple's Neural Engine. All kernels of all channels are one grouped convolution with fixed
weights, and a grouped 1×1 convolution with ones adds what the a_j multiply. The a_j come as often as there are channels, from
the rows of the layer that makes them, repeated.

With J kernels the largest map has J times the channels, so that kernels are taken in portions where the map is large.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites._planes import portion
from edgesr.models.srconvnet import DynamicDepthwise
from edgesr.seeding import seed_weights


class MixtureAfterConvolution(nn.Module):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the dynamic convolution that it is made from."""

    def __init__(self, dynamic: DynamicDepthwise) -> None:
        super().__init__()
        bank = dynamic.aggregation
        self.conv1 = dynamic.attention.conv1
        self.mix = nn.Buffer(dynamic.attention.conv2.weight.detach().clone())
        assert dynamic.attention.conv2.bias is not None
        self.mix_bias = nn.Buffer(dynamic.attention.conv2.bias.detach().clone())
        self.kernels = nn.Buffer(bank.weight.detach().transpose(0, 1).contiguous())  # (C,J,1,k,k)
        self.biases = nn.Buffer(bank.bias.detach().t().contiguous())  # (C,J)

    def forward(self, x: Tensor) -> Tensor:
        channels, number, _, side, _ = self.kernels.shape
        at_once = min(number, portion(channels * x.shape[2] * x.shape[3]))
        hidden = F.gelu(self.conv1(x.mean(dim=(2, 3), keepdim=True)))
        y: Tensor | None = None
        for first in range(0, number, at_once):
            some = slice(first, min(first + at_once, number))
            mix = F.conv2d(hidden, self.mix[some].repeat(channels, 1, 1, 1), self.mix_bias[some].repeat(channels)).sigmoid()
            each = F.conv2d(
                x, self.kernels[:, some].flatten(0, 1), self.biases[:, some].flatten(), padding=side // 2, groups=channels
            )
            ones = torch.ones(channels, some.stop - some.start, 1, 1, dtype=x.dtype)
            part = F.conv2d(each * mix, ones, groups=channels)
            y = part if y is None else y + part
        assert y is not None
        return y


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, MixtureAfterConvolution):
        return Refusal(reason="its kernels are mixed after their convolution already")
    return MixtureAfterConvolution(module) if type(module) is DynamicDepthwise else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for kernels, side, shape in ((3, 5, (2, 8, 9, 7)), (4, 7, (1, 16, 3, 5)), (1, 1, (1, 8, 2, 2))):
        module = DynamicDepthwise(shape[1], kernels, side).double()
        seed_weights(module)
        witnesses.append(Witness(module=module, inputs=(torch.randn(shape, generator=generator, dtype=torch.float64),)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [MixtureAfterConvolution(DynamicDepthwise(8, 3, 5))]


REWRITE = Rewrite(
    equation="(Σ_j a_j·W_j) ⊛ x + Σ_j a_j·w_j = Σ_j a_j·(W_j ⊛ x + w_j)",
    serves=frozenset({"no_run_time_kernels"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
