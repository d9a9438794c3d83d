"""Depthwise convolution with kernels of each sample's own as a sum of shifted maps, without a convolution.

    (x ⊛ K)[b,c,h,w] = Σ_ij K[b,c,i,j] · x₀[b,c,h+i,w+j]

for x (B,C,H,W) and K (B,C,k,k), k odd, where x₀ is x with k//2 zeros around it: the sum that defines the operation. A convolution
whose kernel is known at run time only does not run on Apple's Neural Engine; cuts, products and sums do.
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
        channels, height, width = x.shape[1:]
        side, margin = self.side, self.side // 2
        padded = F.pad(x, (margin, margin, margin, margin))
        taps = kernels.reshape(-1, channels, side * side, 1).unbind(2)
        y = torch.zeros_like(x[:, :, :0])
        for row in range(side):
            line = padded[:, :, row : row + height]
            for column in range(side):
                term = line[:, :, :, column : column + width] * taps[row * side + column].unsqueeze(3)
                y = term if row == column == 0 else y + term
        return y


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
    equation="(x ⊛ K)[h,w] = Σ_ij K[i,j]·x[h+i,w+j], channel by channel, with zeros around x",
    serves=frozenset({"no_run_time_kernels"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
"""Not with `samples_in_turn` in one plan: both replace the same module."""
