"""RGT's attention of every pixel to a reduced map, with the number of reductions fixed by the sizes that a file is made for.

    T(H,W) = 2  for all H, W <= 1023,    and    softmax(s·q·kᵀ)·v, row by row:  y[h] = softmax(s·q[h]·kᵀ)·v

(for one size of 1024 and more, T is that size's own) for all q, k, v, with s = (head channels)^-1/2: every query is normalised
by itself, so that queries may be taken in any portions.
The bias b of the keys is left out: s·q·(k + b)ᵀ = s·q·kᵀ + (s·q·b)·1ᵀ, and softmax(l + c) = softmax(l) for every number c.

As written, T follows from the size at run time, which an ONNX file cannot unroll, and the scores of all pixels are alive at
once. A Scan goes over the rows of the picture, so that those of one row are.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting, sizes
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._rgt_attention import RecursiveGeneralizationAttention, conv, recursions
from edgesr.seeding import seed_weights

RECURSIONS = 2
"""T for every size that a file without a fixed size is made for."""

REDUCE = """
ReduceMap <groups: int> (x, weight, bias) => (y) {
  y = Conv <group: int = @groups, strides = [4, 4]> (x, weight, bias)
}
"""

_BEFORE = """AttentionToReducedMap
    <heads: int, groups: int, epsilon: float, scale: float, split: ints, channels: ints, reduced: ints>
    (x, batch, height, width, small, key_weight, value_weight, dw_weight, dw_bias, conv_weight, conv_bias, norm_weight, norm_bias,
     query_weight, query_bias, value_bias, cpe_weight, cpe_bias, proj_weight, proj_bias) => (y) {
  rest = Constant <value_ints = [-1]> ()
  whole = Constant <value_ints: ints = @channels> ()
  fewer = Constant <value_ints: ints = @reduced> ()
  batch_ = Reshape (batch, rest)
  height_ = Reshape (height, rest)
  width_ = Reshape (width, rest)
  shape = Concat <axis = 0> (batch_, height_, width_, whole)
  flat = Concat <axis = 0> (rest, whole)
  per_sample = Concat <axis = 0> (batch_, rest, whole)
  fewer_per_sample = Concat <axis = 0> (batch_, rest, fewer)

  near = Conv <group: int = @groups, pads = [1, 1, 1, 1]> (small, dw_weight, dw_bias)
  reduced_first = Conv (near, conv_weight, conv_bias)
  reduced = Transpose <perm = [0, 2, 3, 1]> (reduced_first)
  normalised = LayerNormalization <epsilon: float = @epsilon> (reduced, norm_weight, norm_bias)
  active = Gelu (normalised)
  key_map = MatMul (active, key_weight)
  value_linear = MatMul (active, value_weight)
  value = Add (value_linear, value_bias)
  value_first = Transpose <perm = [0, 3, 1, 2]> (value)
  position_first = Conv <group: int = @groups, pads = [1, 1, 1, 1]> (value_first, cpe_weight, cpe_bias)
  position = Transpose <perm = [0, 2, 3, 1]> (position_first)
  value_map = Add (value, position)

  x_pixels = Reshape (x, flat)
  query_pixels = Gemm <transB = 1> (x_pixels, query_weight, query_bias)
"""

# The keys and values go through the Scan as its state: not every runtime lets its body see what was computed outside.
_STANDARD = """
  heads_shape = Constant <value_ints: ints = @split> ()
  fewer_of_map = Concat <axis = 0> (batch_, height_, width_, fewer)
  query_map = Reshape (query_pixels, fewer_of_map)
  query = Transpose <perm = [1, 0, 2, 3]> (query_map)
  key_list = Reshape (key_map, fewer_per_sample)
  value_list = Reshape (value_map, per_sample)
  key_heads = Reshape (key_list, heads_shape)
  value_heads = Reshape (value_list, heads_shape)
  key_columns = Transpose <perm = [0, 2, 3, 1]> (key_heads)
  value_rows = Transpose <perm = [0, 2, 1, 3]> (value_heads)
  last_key, last_value, attended_rows = Scan <num_scan_inputs = 1, body = row
      (float[B,A,D,K] key, float[B,A,K,E] values, float[B,W,R] line)
      => (float[B,A,D,K] same_key, float[B,A,K,E] same_values, float[B,W,C] mixed) {
    split_shape = Constant <value_ints: ints = @split> ()
    joined_shape = Constant <value_ints = [0, 0, -1]> ()
    factor = Constant <value_float: float = @scale> ()
    same_key = Identity (key)
    same_values = Identity (values)
    scaled = Mul (line, factor)
    line_heads = Reshape (scaled, split_shape)
    queries = Transpose <perm = [0, 2, 1, 3]> (line_heads)
    logits = MatMul (queries, key)
    weights = Softmax <axis = 3> (logits)
    mixed_heads = MatMul (weights, values)
    mixed_pixels = Transpose <perm = [0, 2, 1, 3]> (mixed_heads)
    mixed = Reshape (mixed_pixels, joined_shape)
  }> (key_columns, value_rows, query)
  attended = Transpose <perm = [1, 0, 2, 3]> (attended_rows)
"""

_FUSED = """
  query = Reshape (query_pixels, fewer_per_sample)
  key = Reshape (key_map, fewer_per_sample)
  values = Reshape (value_map, per_sample)
  attended = com.microsoft.MultiHeadAttention <num_heads: int = @heads> (query, key, values)
"""

_AFTER = """  attended_pixels = Reshape (attended, flat)
  y_pixels = Gemm <transB = 1> (attended_pixels, proj_weight, proj_bias)
  y = Reshape (y_pixels, shape)
}
"""


FUSED_FUNCTIONS = (f"Fused{_BEFORE}{_FUSED}{_AFTER}",)
"""The same attention as one operator of ONNX Runtime's own (see `fused_attention`)."""


class AttentionToReducedMap(nn.Module):
    """RG-SA: (B,H,W,C) -> (B,H,W,C); the same function as what it is made from, without the bias of the keys."""

    key: Tensor
    value: Tensor

    def __init__(self, recursive: RecursiveGeneralizationAttention) -> None:
        super().__init__()
        self.heads = recursive.heads
        self.reduction1 = recursive.reduction1
        self.dwconv = recursive.dwconv
        self.conv = recursive.conv
        self.norm_act = recursive.norm_act
        self.epsilon = next(part.eps for part in recursive.norm_act if isinstance(part, nn.LayerNorm))
        self.q = recursive.q
        self.register_buffer("key", recursive.k.weight.detach().t().contiguous())
        self.register_buffer("value", recursive.v.weight.detach().t().contiguous())
        self.value_bias = recursive.v.bias
        self.cpe = recursive.cpe
        self.proj = recursive.proj

    def forward(self, x: Tensor) -> Tensor:
        if exporting():
            return self.called(x, "AttentionToReducedMap")
        small = x.permute(0, 3, 1, 2)
        for _ in range(recursions(*x.shape[1:3])):
            small = self.reduction1(small)
        small = self.norm_act(self.conv(self.dwconv(small)).permute(0, 2, 3, 1))
        value = small @ self.value + self.value_bias
        value = value + conv(self.cpe, value)
        y = F.scaled_dot_product_attention(self._split(self.q(x)), self._split(small @ self.key), self._split(value))
        return self.proj(y.transpose(1, 2).reshape(x.shape))

    def called(self, x: Tensor, function: str) -> Tensor:
        """The call of one of the two functions that compute this, while it is exported."""
        batch, height, width, dim = x.shape
        fixed = isinstance(height, int) and isinstance(width, int)
        small = x.permute(0, 3, 1, 2)
        for _ in range(recursions(height, width) if fixed else RECURSIONS):
            height, width = height // 4, width // 4
            inputs = (small, *self.reduction1.parameters())
            small = call("ReduceMap", inputs, {"groups": dim}, like=x, shape=(batch, dim, height, width))
        before = [tensor for part in (self.dwconv, self.conv, self.norm_act, self.q) for tensor in part.parameters()]
        after = [tensor for part in (self.cpe, self.proj) for tensor in part.parameters()]
        inputs = (x, *sizes(x), small, self.key, self.value, *before, self.value_bias, *after)
        attributes: dict[str, int | float | list[int]] = {
            "heads": self.heads,
            "groups": dim,
            "epsilon": self.epsilon,
            "scale": float((self.key.shape[1] // self.heads) ** -0.5),
            "split": [0, 0, self.heads, -1],
            "channels": [dim],
            "reduced": [self.key.shape[1]],
        }
        return call(function, inputs, attributes, like=x, shape=x.shape)

    def _split(self, x: Tensor) -> Tensor:
        """(B,H,W,C) -> (B,heads,H·W,C/heads)."""
        return x.reshape(x.shape[0], x.shape[1] * x.shape[2], self.heads, -1).transpose(1, 2)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, AttentionToReducedMap):
        return Refusal(reason="its reductions are counted already")
    return AttentionToReducedMap(module) if type(module) is RecursiveGeneralizationAttention else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for dim, reduced, shape in ((8, 4, (2, 35, 50)), (4, 4, (1, 64, 1024))):
        module = RecursiveGeneralizationAttention(dim, reduced, heads=2).double()
        module.k.register_parameter("bias", None)  # which no output depends on
        seed_weights(module)
        x = torch.randn(*shape, dim, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=module, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [AttentionToReducedMap(RecursiveGeneralizationAttention(8, 4, heads=2))]


REWRITE = Rewrite(
    equation="recursion depth 2 for all H, W <= 1023, and softmax(s·q·kᵀ)·v for a row of q at a time",
    serves=frozenset({"any_size", "bounded_memory"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(REDUCE, _BEFORE + _STANDARD + _AFTER),
)
