"""RGT's gated MLP channels first: its linear layers as 1×1 convolutions of planes.

    linear(x)[b,h,w] = W·x[b,h,w] + c = (W as a 1×1 convolution of planes + c)[b,:,h,w]

for all W, c and maps x (B,H,W,C): both are the same sum over channels at every pixel. Channels last, each linear layer reshapes
the map to a list of pixels and back, and the depthwise convolution between them stands between transpositions. Channels first,
which Core ML's convolutions are, none of this is left but a transposition at each end, which cancels with its neighbour's.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites._planes import pixelwise
from edgesr.models.rgt import GatedMLP
from edgesr.seeding import seed_weights


class GateOfPlanes(nn.Module):
    """(B,H,W,C) -> (B,H,W,C): the same function and parameters as the MLP that it is made from."""

    def __init__(self, mlp: GatedMLP) -> None:
        super().__init__()
        self.fc1, self.norm, self.conv, self.fc2 = mlp.fc1, mlp.sg.norm, mlp.sg.conv, mlp.fc2

    def forward(self, x: Tensor) -> Tensor:
        kept, gate = F.gelu(pixelwise(self.fc1, x.permute(0, 3, 1, 2))).chunk(2, dim=1)
        gate = self.norm(gate.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return pixelwise(self.fc2, kept * self.conv(gate)).permute(0, 2, 3, 1)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, GateOfPlanes):
        return Refusal(reason="its channels are first already")
    return GateOfPlanes(module) if type(module) is GatedMLP else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for dim, hidden, shape in ((6, 8, (2, 5, 7)), (4, 12, (1, 1, 3))):
        module = GatedMLP(dim, hidden).double()
        seed_weights(module)
        x = torch.randn(*shape, dim, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=module, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [GateOfPlanes(GatedMLP(4, 8))]


REWRITE = Rewrite(
    equation="W·x + c at every pixel = a 1×1 convolution of planes",
    serves=frozenset({"channels_first"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
"""Not with `channels_last_gate` in one plan: both replace the same module."""
