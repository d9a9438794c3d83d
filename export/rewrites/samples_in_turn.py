"""Depthwise convolution with kernels of each sample's own, sample by sample where the batch size is not known.

    (x ⊛ K)[b] = x[b] ⊛ K[b]  for every sample b

for x (B,C,H,W) and K (B,C,k,k), k odd, zero padding k//2: the identity that defines the operation. One grouped convolution over
all samples and channels needs B·C groups, a number that ONNX has as an attribute, so that the file would hold for one batch size.
A Scan over the samples has C groups. Where B is known to be 1, the convolution stands alone.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._layers import PerSampleDepthwise

_SAMPLES = """
DepthwiseOfSamples <channels: int, form: ints, pads: ints> (x, kernels) => (y) {
  first = Constant <value_ints = [0]> ()
  shape = Constant <value_ints: ints = @form> ()
  y = Scan <num_scan_inputs = 2, body = sample (float[C,H,W] map, float[C,K,L] kernel) => (float[C,H,W] convolved) {
    batch = Unsqueeze (map, first)
    weight = Reshape (kernel, shape)
    convolution = Conv <group: int = @channels, pads: ints = @pads> (batch, weight)
    convolved = Squeeze (convolution, first)
  }> (x, kernels)
}
"""


class DepthwiseInTurn(nn.Module):
    """x (B,C,H,W), kernels (B,C,k,k) or (B,C·k²,1,1) -> (B,C,H,W): each sample convolved with its own, k = `side`."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        channels, margin = x.shape[1], self.side // 2
        form = (1, self.side, self.side)
        batch: int | torch.SymInt = x.shape[0]
        if exporting() and isinstance(batch, torch.SymInt):
            sizes: dict[str, int | list[int]] = {"channels": channels, "form": [channels, *form], "pads": [margin] * 4}
            return call("DepthwiseOfSamples", (x, kernels), sizes, like=x, shape=x.shape)
        if batch == 1:
            return F.conv2d(x, kernels.reshape(channels, *form), padding=margin, groups=channels)
        weights = kernels.reshape(-1, channels, *form)
        return torch.cat([F.conv2d(x[b : b + 1], weights[b], padding=margin, groups=channels) for b in range(len(x))])


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, DepthwiseInTurn):
        return Refusal(reason="its samples are convolved one by one already")
    return DepthwiseInTurn(module.side) if type(module) is PerSampleDepthwise else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for batch, side in ((1, 3), (3, 3), (2, 7)):
        shapes = ((batch, 4, 9, 11), (batch, 4, side, side))
        inputs = tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
        witnesses.append(Witness(module=PerSampleDepthwise(side), inputs=inputs))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [DepthwiseInTurn(3)]


REWRITE = Rewrite(
    equation="(x ⊛ K)[b] = x[b] ⊛ K[b] for every sample b",
    serves=frozenset({"any_batch"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    after=("split-kernel-sum",),
    functions=(_SAMPLES,),
)
