"""ESC's window attention as its authors run it on GPUs: FlexAttention, whose kernel reads the position bias from its table.

    softmax(q·kᵀ/√c + B)·v,    B[(qy,qx),(ky,kx)] = T[(ky − qy + w − 1)·(2w − 1) + kx − qx + w − 1]

The reference hands PyTorch the whole B, w⁴ numbers for each head, and PyTorch takes its memory-efficient kernel for it.
"""

from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention

from edgesr.models._esc_blocks import WindowAttention


class FlexWindowAttention(WindowAttention):
    """The same function as the WindowAttention that it is made from, whose parameters it shares; fast only when compiled."""

    def __init__(self, whole: WindowAttention) -> None:
        super().__init__(whole.to_out.in_channels, window=whole.window, heads=whole.heads)
        self.relative_position_bias = whole.relative_position_bias
        self.to_qkv, self.to_out = whole.to_qkv, whole.to_out

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        w, table = self.window, self.relative_position_bias

        def with_bias(score: Tensor, _batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
            entry = (k // w - q // w + w - 1) * (2 * w - 1) + k % w - q % w + w - 1
            return score + table[head, entry]

        return flex_attention(query, key, value, score_mod=with_bias)


def with_flex_attention(module: nn.Module) -> int:
    """Replace every WindowAttention below the module, which is altered; how many there were."""
    found = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if type(child) is WindowAttention
    ]
    for parent, name, child in found:
        setattr(parent, name, FlexWindowAttention(child))
    return len(found)
