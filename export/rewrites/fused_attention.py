"""RGT's attentions as one operator, which ONNX Runtime has.

    softmax(s·q·kᵀ + P)·v = MultiHeadAttention(q, k, v, P)

for all q, k, v and every position bias P, by the operator's definition (com.microsoft.MultiHeadAttention, heads side by side).

The operator divides the queries among the threads and keeps the scores of a few of them at a time, where separate operators
hold those of a row of rectangles, and arrange the heads anew before and after.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgesr.export.onnx_functions import exporting
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites import _rectangle_functions, recursive_attention
from edgesr.export.rewrites.rectangle_attention import LocalAttentionInRows
from edgesr.export.rewrites.recursive_attention import AttentionToReducedMap
from edgesr.models._rgt_attention import LocalAttention, RecursiveGeneralizationAttention
from edgesr.seeding import seed_weights


class FusedAttention(nn.Module):
    """(B,H,W,C) -> (B,H,W,C); the same function as `attention`, exported with the operator."""

    def __init__(self, attention: LocalAttentionInRows | AttentionToReducedMap) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        if exporting():
            local = isinstance(self.attention, LocalAttentionInRows)
            return self.attention.called(x, "FusedRectangleLocalAttention" if local else "FusedAttentionToReducedMap")
        y: Tensor = self.attention(x)
        return y


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, FusedAttention):
        return Refusal(reason="it is one operator already")
    if type(module) is LocalAttentionInRows or type(module) is AttentionToReducedMap:
        return FusedAttention(module)
    return None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    local = LocalAttention(96, split=(2, 4), heads=4, shifted=True, mask_size=12).double()
    recursive = RecursiveGeneralizationAttention(8, 4, heads=2).double()
    seed_weights(local)
    seed_weights(recursive)
    witnesses = []
    for module, shape in ((LocalAttentionInRows(local), (2, 5, 9, 96)), (AttentionToReducedMap(recursive), (2, 19, 34, 8))):
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=module, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [FusedAttention(AttentionToReducedMap(RecursiveGeneralizationAttention(8, 4, heads=2)))]


REWRITE = Rewrite(
    equation="softmax(s·q·kᵀ + P)·v = MultiHeadAttention(q, k, v, P)",
    serves=frozenset({"fused_attention"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    after=("rectangle-attention", "recursive-attention"),
    functions=(*_rectangle_functions.FUSED_FUNCTIONS, *recursive_attention.FUSED_FUNCTIONS),
)
