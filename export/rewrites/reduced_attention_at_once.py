"""RGT's attention of every pixel to a reduced map as two products around a softmax, of all pixels at once, for any size.

    softmax(s·q·kᵀ)·v = softmax(q'·k'ᵀ)·v'    with q' = [s·q, 0], k' = [k, 0], v' = [v, 0],    T(H,W) = 2  for all H, W <= 1023

(for one size of 1024 and more, T is that size's own) for all q, k, v, with s = (head channels)^-1/2; s and the zeros go into the
weights, and the projection behind leaves the zeros of v' out. The bias b of the keys is left out:
s·q·(k + b)ᵀ = s·q·kᵀ + (s·q·b)·1ᵀ, and softmax(l + c) = softmax(l) for every number c.

Heads of 15 channels for queries and keys and 30 for values have 32 all three, a multiple of 8, which TensorRT has fused kernels
for; these keep no scores, so that nothing is gained by taking pixels in turn.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting
from edgesr.export.rewrite import Refusal, Rewrite
from edgesr.export.rewrites import recursive_attention
from edgesr.export.rewrites._windows_at_once import attend, depthwise, filled, head_channels, in_heads, linear
from edgesr.models._rgt_attention import RecursiveGeneralizationAttention, recursions

_NEAR = """
NearOfMap <groups: int> (x, weight, bias) => (y) {
  y = Conv <group: int = @groups, pads = [1, 1, 1, 1]> (x, weight, bias)
}
"""


class ReducedAttentionAtOnce(nn.Module):
    """RG-SA: (B,H,W,C) -> (B,H,W,C); the same function as what it is made from."""

    def __init__(self, recursive: RecursiveGeneralizationAttention) -> None:
        super().__init__()
        self.heads, dim, reduced = recursive.heads, recursive.proj.in_features, recursive.q.out_features
        channels = head_channels(max(dim, reduced) // self.heads)
        scale = (reduced // self.heads) ** -0.5
        self.reduction1, self.dwconv, self.conv = recursive.reduction1, recursive.dwconv, recursive.conv
        self.norm_act, self.cpe = recursive.norm_act, depthwise(recursive.cpe, self.heads, channels)
        weights = (recursive.q.weight * scale, recursive.k.weight, recursive.v.weight)
        biases = (filled(recursive.q.bias * scale, self.heads, channels), None, filled(recursive.v.bias, self.heads, channels))
        self.q, self.k, self.v = (
            linear(filled(weight, self.heads, channels), bias) for weight, bias in zip(weights, biases, strict=True)
        )
        self.proj = linear(filled(recursive.proj.weight.t(), self.heads, channels).t(), recursive.proj.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        small = _near(self.dwconv, self._reduced(x)).permute(0, 2, 3, 1)
        small = self.norm_act(F.linear(small, self.conv.weight[:, :, 0, 0], self.conv.bias))
        value = self.v(small)
        value = value + _near(self.cpe, value.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        query, key, value = (in_heads(each.flatten(1, 2), self.heads) for each in (self.q(x), self.k(small), value))
        return self.proj(attend(query, key, value)).reshape(x.shape)

    def _reduced(self, x: Tensor) -> Tensor:
        """(B,H,W,C) -> (B,C,H/4^T,W/4^T)."""
        height: int | torch.SymInt = x.shape[1]
        width: int | torch.SymInt = x.shape[2]
        small = x.permute(0, 3, 1, 2)
        known = isinstance(height, int) and isinstance(width, int)
        for _ in range(recursions(x.shape[1], x.shape[2]) if known else recursive_attention.RECURSIONS):
            height, width = height // 4, width // 4
            shape = (*small.shape[:2], height, width)
            groups = {"groups": small.shape[1]}
            inputs = (small, *self.reduction1.parameters())
            small = call("ReduceMap", inputs, groups, like=x, shape=shape) if exporting() else self.reduction1(small)
        return small


def _near(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A depthwise 3×3 convolution of a map (B,C,H,W), which PyTorch's exporter would only take for sizes of at least 2."""
    if not exporting():
        y: Tensor = layer(x)
        return y
    return call("NearOfMap", (x, *layer.parameters()), {"groups": layer.groups}, like=x, shape=x.shape)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, ReducedAttentionAtOnce):
        return Refusal(reason="its pixels are attended to at once already")
    return ReducedAttentionAtOnce(module) if type(module) is RecursiveGeneralizationAttention else None


def _near_misses() -> Sequence[nn.Module]:
    return [ReducedAttentionAtOnce(RecursiveGeneralizationAttention(8, 4, heads=2))]


REWRITE = Rewrite(
    equation="softmax(s·q·kᵀ)·v = softmax([s·q, 0]·[k, 0]ᵀ)·[v, 0] of all pixels, recursion depth 2 for all H, W <= 1023",
    serves=frozenset({"attention_at_once"}),
    replace=_replace,
    witnesses=recursive_attention.REWRITE.witnesses,
    near_misses=_near_misses,
    functions=(recursive_attention.REDUCE, _NEAR),
)
"""Not with `recursive_attention` or `reduced_attention_in_parts` in one plan: they replace the same module."""
