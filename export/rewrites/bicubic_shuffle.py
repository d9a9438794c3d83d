"""Bicubic enlargement beside a pixel shuffle, as a fixed convolution before the shuffle.

    shuffle(d) + bicubic(x) = shuffle(d + K ⊛ replicate(x)),   K[s·r + q] = outer(c_r, c_q) for every colour

for d (B,3s²,H,W), x (B,3,H,W) and whole s. Output row s·n + r lies at input row n + (r + 1/2)/s − 1/2, so that its four weights
depend on r alone and fall on the rows n−2 … n+2: they are c_r, filled up with a zero. Rows outside are the outermost row, which
is what replicating twice on each side gives; columns alike. The shuffle only moves numbers, so it commutes with the sum. Many
runtimes have no bicubic interpolation.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models.esc_fp import BicubicTail

_SHARPNESS = -0.75
"""The derivative of the weights at distance 1 that PyTorch has, called a or A elsewhere."""
_MARGIN = 2


def _weight(distance: float) -> float:
    """Keys' cubic convolution weight."""
    a, t = _SHARPNESS, abs(distance)
    if t <= 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a if t < 2 else 0.0


def _kernels(scale: int) -> Tensor:
    """(s²,5,5), float64: what an input pixel's neighbours give to each of the s·s output pixels in its place."""
    rows = []
    for phase in range(scale):
        centre = (phase + 0.5) / scale - 0.5
        first = math.floor(centre) - 1
        rows.append([_weight(n - centre) if first <= n < first + 4 else 0.0 for n in range(-_MARGIN, _MARGIN + 1)])
    c = torch.tensor(rows, dtype=torch.float64)
    return torch.einsum("ri,qj->rqij", c, c).flatten(0, 1)


class BicubicShuffle(nn.Module):
    """details (B,3s²,H,W), x (B,3,H,W) -> (B,3,sH,sW): the shuffled details on top of x enlarged bicubically, s = `scale`."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.kernels: Tensor
        self.register_buffer("kernels", _kernels(scale).unsqueeze(1).repeat(3, 1, 1, 1), persistent=False)

    def forward(self, details: Tensor, x: Tensor) -> Tensor:
        around = F.pad(x, (_MARGIN,) * 4, mode="replicate")
        return F.pixel_shuffle(details + F.conv2d(around, self.kernels.to(x.dtype), groups=3), self.scale)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, BicubicShuffle):
        return Refusal(reason="its bicubic enlargement is a convolution already")
    if isinstance(module, nn.Upsample) and module.mode == "bicubic":
        return Refusal(reason="its result need not meet a pixel shuffle")
    return BicubicShuffle(module.scale) if type(module) is BicubicTail else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for scale, batch, height, width in ((2, 1, 1, 2), (3, 2, 5, 3), (4, 2, 7, 9), (5, 1, 2, 4)):
        shapes = ((batch, 3 * scale**2, height, width), (batch, 3, height, width))
        inputs = tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
        witnesses.append(Witness(module=BicubicTail(scale), inputs=inputs))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [BicubicShuffle(4), nn.Upsample(scale_factor=2, mode="bicubic")]


REWRITE = Rewrite(
    equation="shuffle(d) + bicubic(x) = shuffle(d + K ⊛ replicate(x)) with a fixed kernel K for each place in a pixel",
    serves=frozenset({"no_bicubic"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
