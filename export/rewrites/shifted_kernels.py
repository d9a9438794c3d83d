"""Depthwise convolution with kernels of each sample's own as a sum of shifted maps, by two convolutions whose kernels are fixed.

    (x ⊛ K)[b,c] = Σ_ij K[b,c,i,j] · (E_ij ⊛ x[b,c]),    E_ij = 1 at (i,j), else 0

for x (B,C,H,W) and K (B,C,k,k), k odd, with zero padding k//2: convolution is linear in its kernel, and E_ij shifts the map. All
shifts of all channels are one grouped convolution; the products stand next to each other for a channel, so that a grouped 1×1
convolution with ones adds them. A convolution whose kernel is known at run time only does not run on Apple's Neural Engine;
these do, and three operators take the place of k² cuts, products and sums.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._layers import PerSampleDepthwise


class ShiftedSum(nn.Module):
    """x (B,C,H,W), kernels (B,C,k,k) or (B,C·k²,1,1) -> (B,C,H,W): each sample convolved with its own, k = `side`."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        channels, taps = x.shape[1], self.side**2
        shifts = torch.eye(taps, dtype=x.dtype).reshape(taps, 1, self.side, self.side).repeat(channels, 1, 1, 1)
        shifted = F.conv2d(x, shifts, padding=self.side // 2, groups=channels)
        products = shifted * kernels.reshape(-1, channels * taps, 1, 1)
        return F.conv2d(products, torch.ones(channels, taps, 1, 1, dtype=x.dtype), groups=channels)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, ShiftedSum):
        return Refusal(reason="its kernels are factors of shifted maps already")
    return ShiftedSum(module.side) if type(module) is PerSampleDepthwise else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for side, shape in ((3, (2, 4, 9, 7)), (7, (1, 3, 2, 11)), (1, (2, 3, 1, 4))):
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        kernels = torch.randn((*shape[:2], side, side), generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=PerSampleDepthwise(side), inputs=(x, kernels)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [ShiftedSum(3)]


REWRITE = Rewrite(
    equation="x ⊛ K = Σ_ij K[i,j]·(E_ij ⊛ x), channel by channel, E_ij = 1 at (i,j), else 0",
    serves=frozenset({"no_run_time_kernels"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    after=("mixture-after-convolution", "split-kernel-sum"),
)
"""Not with `samples_in_turn` in one plan: both replace the same module."""
