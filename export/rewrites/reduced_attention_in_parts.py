"""RGT's attention of every pixel to a reduced map for one size, channels first, some pixels after the other, written out.

    softmax(s·Qᵀ·K)·V of all queries  =  the same of some queries, then of the next ones,    s = (head channels)^-1/2

for all Q, K, V: every query is normalised by itself. The bias b of the keys is left out: s·qᵀ·(K + b·1ᵀ) = s·qᵀ·K + (s·qᵀ·b)·1ᵀ,
and softmax(l + c) = softmax(l) for every number c; s goes into the weights that make Q. How often the map is reduced follows
from its size, so that a file for one size holds no loop.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite
from edgesr.export.rewrites import recursive_attention
from edgesr.export.rewrites._planes import alike, joined, pixelwise
from edgesr.models._rgt_attention import RecursiveGeneralizationAttention, recursions


class ReducedAttentionInParts(nn.Module):
    """RG-SA: (B,H,W,C) -> (B,H,W,C); the same function as what it is made from."""

    def __init__(self, recursive: RecursiveGeneralizationAttention) -> None:
        super().__init__()
        self.heads = recursive.heads
        scale = (recursive.q.out_features // self.heads) ** -0.5
        self.reduction1, self.dwconv, self.conv = recursive.reduction1, recursive.dwconv, recursive.conv
        self.norm_act, self.cpe = recursive.norm_act, recursive.cpe
        self.query = nn.Buffer(recursive.q.weight.detach()[:, :, None, None] * scale)
        self.query_bias = nn.Buffer(recursive.q.bias.detach() * scale)
        self.key = nn.Buffer(recursive.k.weight.detach()[:, :, None, None].clone())
        self.v, self.proj = recursive.v, recursive.proj

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        x = x.permute(0, 3, 1, 2)
        small = x
        for _ in range(recursions(height, width)):
            small = self.reduction1(small)
        small = self.conv(self.dwconv(small))
        small = self.norm_act(small.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        value = pixelwise(self.v, small)
        value = self._heads(value + self.cpe(value))
        key = self._heads(F.conv2d(small, self.key))
        query = self._heads(F.conv2d(x, self.query, self.query_bias))
        parts = torch.split(query, alike(query.shape[3], batch * self.heads * key.shape[3]), dim=3)
        y = joined([value @ (part.transpose(2, 3) @ key).softmax(dim=3).transpose(2, 3) for part in parts], dim=3)
        return pixelwise(self.proj, y.reshape(batch, dim, height, width)).permute(0, 2, 3, 1)

    def _heads(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,heads,C/heads,H·W)."""
        return x.reshape(x.shape[0], self.heads, x.shape[1] // self.heads, -1)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, ReducedAttentionInParts):
        return Refusal(reason="its queries are taken in parts already")
    return ReducedAttentionInParts(module) if type(module) is RecursiveGeneralizationAttention else None


def _near_misses() -> Sequence[nn.Module]:
    return [ReducedAttentionInParts(RecursiveGeneralizationAttention(8, 4, heads=2))]


REWRITE = Rewrite(
    equation="softmax(s·Qᵀ·K)·V of all queries = the same of some queries after the other, written out",
    serves=frozenset({"static_control_flow"}),
    replace=_replace,
    witnesses=recursive_attention.REWRITE.witnesses,
    near_misses=_near_misses,
    one_size=True,
)
"""Not with `recursive_attention` in one plan: both replace the same module."""
