"""ESC-FP's sum of a static and a dynamic kernel, convolved one by one instead of summed first.

    z ⊛ (K + pad(D)) = z ⊛ K + z ⊛ D

for every z, every depthwise kernel K (k×k, k odd and at least 3) and every D (3×3), which `pad` puts into the centre of k×k
zeros, with zero padding of k//2 and of 1: convolution is linear in its kernel, and both see the same zeros around z. K is a
constant of the weights, D is made anew for every sample. Their sum is a 13×13 kernel that is known at run time only, for which a
runtime cannot prepare; split, that is so for the 3×3 part alone.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._layers import PerSampleDepthwise
from edgesr.models.esc import LongRangeConv
from edgesr.models.esc_fp import SeparableLongRangeConv
from edgesr.seeding import seed_weights


class SplitLongRangeConv(nn.Module):
    """x (B,pdim,H,W) -> LK ⊛ z + DK(x) ⊛ z with z = C ⊛ x; the same function and parameters as what it is made from."""

    def __init__(self, summed: SeparableLongRangeConv) -> None:
        super().__init__()
        self.proj = summed.proj
        self.convolve = PerSampleDepthwise(3)

    def forward(self, x: Tensor, channel_kernel: Tensor, spatial_kernel: Tensor) -> Tensor:
        z = F.conv2d(x, channel_kernel)
        static = F.conv2d(z, spatial_kernel, padding=spatial_kernel.shape[-1] // 2, groups=z.shape[1])
        return static + self.convolve(z, self.proj(x))


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, LongRangeConv | SplitLongRangeConv):
        return Refusal(reason="its kernels are convolved one by one already")
    if type(module) is not SeparableLongRangeConv:
        return None
    if module.margin < 0:
        return Refusal(reason="its large kernel is smaller than the dynamic one, which is cut down to it")
    return SplitLongRangeConv(module)


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for pdim, side in ((8, 3), (16, 13)):
        module = SeparableLongRangeConv(pdim, side).double()
        seed_weights(module)
        shapes = ((2, pdim, 9, 17), (pdim, pdim, 1, 1), (pdim, 1, side, side))
        inputs = tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
        witnesses.append(Witness(module=module, inputs=inputs))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [LongRangeConv(8, 13), SplitLongRangeConv(SeparableLongRangeConv(8, 13)), SeparableLongRangeConv(8, 1)]


REWRITE = Rewrite(
    equation="z ⊛ (K + pad(D)) = z ⊛ K + z ⊛ D, with K static and D made at run time",
    serves=frozenset({"static_parts_apart"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
