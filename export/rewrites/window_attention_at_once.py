"""ESC's attention in windows as two products around a softmax, all windows at once, for any size.

    softmax(Q·Kᵀ/√d + B)·V of all windows, where 1/√d goes into the weights that make Q, and the bias of the keys has no effect:
    Q·(K + 1·bᵀ)ᵀ = Q·Kᵀ + (Q·b)·1ᵀ, and softmax(l + c) = softmax(l) for every number c

for every x (B,C,H,W) with H and W of at least w/2+1 and every table of biases. B is made from its table by repetition and cuts,
as in `window_attention`, instead of by indices.

As written, windows are cut with eight axes and B is gathered by a table of w⁴ indices. Here queries, keys and values have four
axes, (windows,heads,pixels,channels), which is the form that TensorRT makes one kernel of; that keeps no scores, so that nothing
is gained by taking windows in turn.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite
from edgesr.export.rewrites import window_attention
from edgesr.export.rewrites._planes import with_zeros
from edgesr.export.rewrites._windows_at_once import REFLECTED, Windows, attend, biases, in_heads, linear
from edgesr.models._esc_blocks import WindowAttention


class WindowAttentionAtOnce(nn.Module):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the WindowAttention that it is made from."""

    def __init__(self, reference: WindowAttention) -> None:
        super().__init__()
        projected = window_attention.in_turn(reference)
        layers = (projected.query, projected.key, projected.value)
        assert layers[0].bias is not None
        biases = (layers[0].bias.detach(), torch.zeros_like(layers[0].bias), layers[2].bias.detach())
        self.qkv = linear(torch.cat([layer.weight.detach() for layer in layers]), torch.cat(biases))
        self.out = projected.out
        self.side, self.heads, odd = reference.window, reference.heads, 2 * reference.window - 1
        self.table = nn.Buffer(with_zeros(reference.relative_position_bias.detach().reshape(-1, odd, odd)))
        self.windows = Windows(h=self.side, w=self.side, multiple=self.side, reflected=True)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        pixels = self.windows.cut(x)
        query, key, value = (in_heads(part, self.heads) for part in self.qkv(pixels).chunk(3, dim=2))
        y = self.out(attend(query, key, value, biases(self.table, self.windows)))
        return self.windows.joined(y, x).permute(0, 3, 1, 2)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, WindowAttentionAtOnce):
        return Refusal(reason="its windows are attended to at once already")
    return WindowAttentionAtOnce(module) if type(module) is WindowAttention else None


def _near_misses() -> Sequence[nn.Module]:
    return [WindowAttentionAtOnce(WindowAttention(8, window=4, heads=2))]


REWRITE = Rewrite(
    equation="softmax(Q·Kᵀ/√d + B)·V = softmax((Q/√d)·(K − 1·bᵀ)ᵀ + B)·V of all windows, B[q,k] = T[k − q]",
    serves=frozenset({"attention_at_once"}),
    replace=_replace,
    witnesses=window_attention.REWRITE.witnesses,
    near_misses=_near_misses,
    functions=REFLECTED,
)
"""Not with `window_attention` or `windows_without_loop` in one plan: they replace the same module."""
