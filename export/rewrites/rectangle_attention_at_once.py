"""RGT's attention in rectangles as two products around a softmax, all rectangles at once, without a mask, for any size.

    softmax(s·q·kᵀ + P + M)·v = softmax(q'·k'ᵀ + P)·v'    with q' = [s·q, −100·o, 0], k' = [k, 1 − o, 0], v' = [v, 0]

for all q, k, v, every position bias P and every mask M of 0 between pixels of one region and −100 between those of two, where o
is the one-hot region of a pixel, as in `rectangle_attention`; the columns of zeros, which v' has too, add nothing to any product
and are left out of the projection behind. s and the zeros go into the weights.

As written, the mask holds a number for every pair of pixels of every rectangle: 65,536 for each of 240 at 180×320. Here a pixel
has four more channels instead, which depend on the size alone and are the same in all blocks. With zeros a head of 30 channels,
or 34 with its region, has 32 or 40, multiples of 8, which TensorRT has fused kernels for. The map is rolled by cutting it in two.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite
from edgesr.export.rewrites import rectangle_attention
from edgesr.export.rewrites._planes import with_zeros
from edgesr.export.rewrites._windows_at_once import (
    CONTINUED,
    Windows,
    attend,
    biases,
    depthwise,
    filled,
    head_channels,
    in_heads,
    linear,
)
from edgesr.models._rgt_attention import REGIONS_APART, LocalAttention, RectangleAttention, conv

_REGIONS = 4
"""A rectangle of the rolled map has pixels of up to four regions: moved around the lower edge or not, the right edge or not."""


class RectanglesAtOnce(nn.Module):
    """Self-attention inside rectangles: all heads' [q', k', v'] of one half (B,H,W,3·heads·c) -> (B,H,W,heads·c)."""

    table: Tensor

    def __init__(self, rectangles: RectangleAttention, *, multiple: int, channels: int) -> None:
        super().__init__()
        (h, w), self.heads, self.channels = rectangles.window, rectangles.heads, channels
        down, right = (h // 2, w // 2) if rectangles.shifted else (0, 0)
        self.windows = Windows(h=h, w=w, multiple=multiple, down=down, right=right)
        with torch.no_grad():
            table = rectangles.pos(rectangles.rpe_biases).t().reshape(self.heads, 2 * h - 1, 2 * w - 1)
        self.register_buffer("table", with_zeros(table.flip(1, 2)))  # of key minus query; RGT's is of query minus key

    def forward(self, x: Tensor, own: int) -> Tensor:
        """own: how many channels of a head are the reference's."""
        parts = torch.split(self.windows.cut(x), self.heads * self.channels, dim=2)
        query, key, value = (in_heads(part, self.heads) for part in parts)
        if self.windows.down or self.windows.right:
            region = self._regions(x).unsqueeze(1)
            behind = (own, self.channels - own - _REGIONS)
            query, key = query + F.pad(REGIONS_APART * region, behind), key + F.pad(1 - region, behind)
        y = attend(query, key, value, biases(self.table, self.windows))
        return self.windows.joined(y, x)

    def _regions(self, x: Tensor) -> Tensor:
        """The one-hot region of every pixel of the rectangles that the map x (B,H,W,…) is cut into, (rectangles,h·w,4)."""
        height, width = self.windows.whole(x)
        rows, columns = _halves(height, self.windows.down, x), _halves(width, self.windows.right, x)
        regions = (rows.reshape(1, -1, 1, 2, 1) * columns.reshape(1, 1, -1, 1, 2)).flatten(3)
        return self.windows.cut(regions.expand(x.shape[0], -1, -1, -1))


def _halves(length: int, moved: int, like: Tensor) -> Tensor:
    """Of each position whether it stays when the first `moved` ones are rolled behind the last, and whether not, (L,2)."""
    flag = (torch.arange(length) < moved).to(like.dtype)
    return torch.stack([1 - flag, flag], dim=1)


class LocalAttentionAtOnce(nn.Module):
    """L-SA: (B,H,W,C) -> (B,H,W,C); the same function as what it is made from."""

    def __init__(self, local: LocalAttention) -> None:
        super().__init__()
        rectangles = [attention for attention in local.attns if isinstance(attention, RectangleAttention)]
        heads, dim = rectangles[0].heads, local.qkv.in_features
        self.own = dim // 2 // heads
        channels = head_channels(self.own + _REGIONS if rectangles[0].shifted else self.own)
        self.first, self.second = (RectanglesAtOnce(each, multiple=local.multiple, channels=channels) for each in rectangles)
        self.qkv = linear(*(_by_halves(tensor, heads, channels) for tensor in (local.qkv.weight, local.qkv.bias)))
        self.get_v = depthwise(local.get_v, 2 * heads, channels)
        self.proj = linear(filled(local.proj.weight.t(), 2 * heads, channels).t(), local.proj.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.qkv(x).chunk(2, dim=3)
        values = [half[..., 2 * half.shape[3] // 3 :] for half in (first, second)]
        y = torch.cat([self.first(first, self.own), self.second(second, self.own)], dim=3)
        return self.proj(y + conv(self.get_v, torch.cat(values, dim=3)))


def _by_halves(tensor: Tensor, heads: int, channels: int) -> Tensor:
    """Weight or bias of the layer that makes [q, k, v], each of both halves, as that of [q', k', v'] of each half."""
    query, key, value = tensor.detach().chunk(3)
    own = len(query) // 2 // heads
    parts = [part.chunk(2) for part in (query * own**-0.5, key, value)]
    return torch.cat([filled(part[half], heads, channels) for half in range(2) for part in parts])


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, LocalAttentionAtOnce):
        return Refusal(reason="its rectangles are attended to at once already")
    return LocalAttentionAtOnce(module) if type(module) is LocalAttention else None


def _near_misses() -> Sequence[nn.Module]:
    return [LocalAttentionAtOnce(LocalAttention(32, split=(2, 4), heads=4, shifted=True, mask_size=8))]


REWRITE = Rewrite(
    equation="softmax(s·q·kᵀ + P + M)·v = softmax([s·q, −100·o, 0]·[k, 1 − o, 0]ᵀ + P)·[v, 0] at once, o: one-hot regions",
    serves=frozenset({"attention_at_once"}),
    replace=_replace,
    witnesses=rectangle_attention.REWRITE.witnesses,
    near_misses=_near_misses,
    functions=CONTINUED,
)
"""Not with `rectangle_attention` or `rectangles_by_cuts` in one plan: they replace the same module."""
