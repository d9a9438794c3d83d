"""RGT's attention in rectangles for one size, channels first: rolled and cut without gathering, and without a mask.

    softmax(s·q·kᵀ + P + M)·v = softmax(q'·k'ᵀ + P)·v    with q' = [s·q, −100·o], k' = [k, 1 − o]

for all q, k, v, every position bias P and every mask M of 0 between pixels of one region and −100 between those of two, where o
is the one-hot region of a pixel, as in `rectangle_attention`. Further, for every linear map from pixel to pixel

    linear(roll(pad(x))) = roll(pad(linear(x)))  where the linear map reads its bias from a map that is 1 inside of the picture

and 0 where it was continued by zeros. So the normalised map is rolled, by cutting it in two, and not the queries, keys and
values, and a fixed map of five channels next to it, for the bias and the four regions, is all that knows of the edges. The roll
of each half of the heads is another one, so that values are made twice, once for the depthwise convolution that is added.

The mask of every rectangle, which a form without indices would have to hold, takes 65,536 numbers; there are 256 at 256×256.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite
from edgesr.export.rewrites import rectangle_attention
from edgesr.export.rewrites._planes import attend, merge, partition, spread, with_zeros
from edgesr.models._rgt_attention import REGIONS_APART, LocalAttention, RectangleAttention

_REGIONS = 4
"""A rectangle of the rolled map has pixels of up to four regions: moved around the lower edge or not, the right edge or not."""


class RectanglesByCuts(nn.Module):
    """Self-attention inside rectangles: x (B,C,H,W) normalised -> one half's (B,C/2,H,W)."""

    weight: Tensor
    table: Tensor

    def __init__(self, rectangles: RectangleAttention, qkv: nn.Linear, *, half: int, multiple: int) -> None:
        super().__init__()
        self.window, self.heads, self.multiple = rectangles.window, rectangles.heads, multiple
        self.shifted = rectangles.shifted
        self.shift = (self.window[0] // 2, self.window[1] // 2) if self.shifted else (0, 0)
        self.register_buffer("weight", _weight(qkv, half, self.heads, shifted=rectangles.shifted))
        sides = [2 * side - 1 for side in self.window]
        with torch.no_grad():
            biases = rectangles.pos(rectangles.rpe_biases).t().reshape(self.heads, *sides)
        self.register_buffer("table", with_zeros(biases.flip(1, 2)))  # of key minus query; RGT's is of query minus key

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        (h, w), (down, right) = self.window, self.shift
        size = (height + -height % self.multiple, width + -width % self.multiple)
        if size == (height, width) and not self.shifted:
            x = F.conv2d(x, self.weight[:, :channels], self.weight[:, channels, 0, 0])
        else:
            x = F.pad(x, (0, size[1] - width, 0, size[0] - height)) if size != (height, width) else x
            known = self._known((height, width), size, x).expand(batch, -1, -1, -1)
            x = F.conv2d(torch.cat([_rolled(x, down, right), known], dim=1), self.weight)
        own = channels // 2 // self.heads
        windows = partition(x, h, w).reshape(-1, self.heads, x.shape[1] // self.heads, h * w)
        query, key, value = torch.split(windows, [*[(windows.shape[2] - own) // 2] * 2, own], dim=2)
        y = attend(query, key, value, spread(self.table, h, w))
        y = merge(y.reshape(-1, channels // 2, h * w), h, w, size)
        return _rolled(y, size[0] - down, size[1] - right)[:, :, :height, :width]

    def _known(self, inside: tuple[int, int], size: tuple[int, int], like: Tensor) -> Tensor:
        """What is known of the positions of the rolled map (1,1+n,H,W): whether they are inside, and their region one-hot."""
        row, column = (torch.arange(side).add(shift) for side, shift in zip(size, self.shift, strict=True))
        within = ((row % size[0] < inside[0]).unsqueeze(1) & (column % size[1] < inside[1])).to(like.dtype)
        if not self.shifted:
            return within.reshape(1, 1, *size)
        moved = [(place >= side).to(like.dtype) for place, side in zip((row, column), size, strict=True)]
        rows, columns = (torch.stack([1 - each, each]) for each in moved)
        regions = (rows.reshape(2, 1, -1, 1) * columns.reshape(1, 2, 1, -1)).reshape(1, _REGIONS, *size)
        return torch.cat([within.reshape(1, 1, *size), regions], dim=1)


class LocalAttentionByCuts(nn.Module):
    """L-SA: (B,H,W,C) -> (B,H,W,C); the same function as what it is made from."""

    def __init__(self, local: LocalAttention) -> None:
        super().__init__()
        dim = local.proj.in_features
        self.value = nn.Buffer(local.qkv.weight.detach()[2 * dim :, :, None, None].clone())
        self.value_bias = nn.Buffer(local.qkv.bias.detach()[2 * dim :].clone())
        self.first, self.second = (
            RectanglesByCuts(rectangles, local.qkv, half=half, multiple=local.multiple)
            for half, rectangles in enumerate(local.attns)
            if isinstance(rectangles, RectangleAttention)
        )
        self.get_v = local.get_v
        self.proj = local.proj

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        near = self.get_v(F.conv2d(x, self.value, self.value_bias))
        y = torch.cat([self.first(x), self.second(x)], dim=1) + near
        return F.conv2d(y, self.proj.weight[:, :, None, None], self.proj.bias).permute(0, 2, 3, 1)


def _weight(qkv: nn.Linear, half: int, heads: int, *, shifted: bool) -> Tensor:
    """What makes a half's [q', k', v] of all heads of the channels, of 1 and of the region: (heads·(2·c' + c), C+1+n, 1, 1)."""
    dim, regions = qkv.in_features, _REGIONS if shifted else 0
    weight = qkv.weight.detach().reshape(3, 2, heads, -1, dim)[:, half]
    bias = qkv.bias.detach().reshape(3, 2, heads, -1, 1)[:, half]
    linear = F.pad(torch.cat([weight, bias], dim=3), (0, regions))  # (3,heads,c,C+1+n)
    apart = torch.eye(regions, dtype=weight.dtype)
    query = torch.cat([linear[0] * linear.shape[2] ** -0.5, _of_region(REGIONS_APART * apart, heads, dim)], dim=1)
    key = torch.cat([linear[1], _of_region(1 - apart, heads, dim)], dim=1)
    return torch.cat([query, key, linear[2]], dim=1).flatten(0, 1)[:, :, None, None]


def _of_region(apart: Tensor, heads: int, dim: int) -> Tensor:
    """(n,n) -> (heads,n,C+1+n): what reads nothing but the region."""
    return F.pad(apart, (dim + 1, 0)).expand(heads, -1, -1)


def _rolled(x: Tensor, down: int, right: int) -> Tensor:
    """The map (B,C,H,W) from row `down` and column `right` on, and what is before them behind it."""
    for dim, first in ((2, down), (3, right)):
        if first % x.shape[dim]:
            x = torch.cat([x.narrow(dim, first, x.shape[dim] - first), x.narrow(dim, 0, first)], dim=dim)
    return x


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, LocalAttentionByCuts):
        return Refusal(reason="its rectangles are cut already")
    return LocalAttentionByCuts(module) if type(module) is LocalAttention else None


def _near_misses() -> Sequence[nn.Module]:
    return [LocalAttentionByCuts(LocalAttention(32, split=(2, 4), heads=4, shifted=True, mask_size=8))]


REWRITE = Rewrite(
    equation="softmax(s·q·kᵀ + P + M)·v = softmax([s·q, −100·o]·[k, 1 − o]ᵀ + P)·v of a map that is rolled by cutting it in two",
    serves=frozenset({"max_rank_5"}),
    replace=_replace,
    witnesses=rectangle_attention.REWRITE.witnesses,
    near_misses=_near_misses,
    one_size=True,
)
"""Not with `rectangle_attention` in one plan: both replace the same module."""
