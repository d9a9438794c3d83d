"""RGT's gated MLP with the two halves of its first layer apart, channels-last but for the convolution.

    [a, b] = gelu(W·x + w),    a·(K ⊛ LN(b))    =    gelu(W₁·x + w₁)·(K ⊛ LN(gelu(W₂·x + w₂)))

for all x and all W, w with the halves W₁, W₂ of their rows: each output of a linear layer is a row's own.

As written, the first layer's output is cut into halves along the channels, which copies it; and each layer takes a dozen more
operators to move its channels to the end and back.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting, sizes
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._rgt_attention import conv
from edgesr.models.rgt import GatedMLP
from edgesr.seeding import seed_weights

_MLP = """
GatedMLP <groups: int, epsilon: float, channels: ints, hidden: ints>
    (x, batch, height, width, kept_weight, kept_bias, gate_weight, gate_bias, norm_weight, norm_bias, conv_weight, conv_bias,
     out_weight, out_bias)
    => (y) {
  rest = Constant <value_ints = [-1]> ()
  outer = Constant <value_ints: ints = @channels> ()
  inner = Constant <value_ints: ints = @hidden> ()
  batch_ = Reshape (batch, rest)
  height_ = Reshape (height, rest)
  width_ = Reshape (width, rest)
  shape = Concat <axis = 0> (batch_, height_, width_, outer)
  gate_shape = Concat <axis = 0> (batch_, height_, width_, inner)
  flat = Concat <axis = 0> (rest, outer)
  inner_flat = Concat <axis = 0> (rest, inner)
  pixels = Reshape (x, flat)
  kept_linear = Gemm <transB = 1> (pixels, kept_weight, kept_bias)
  gate_linear = Gemm <transB = 1> (pixels, gate_weight, gate_bias)
  kept = Gelu (kept_linear)
  gate_active = Gelu (gate_linear)
  gate_normalised = LayerNormalization <epsilon: float = @epsilon> (gate_active, norm_weight, norm_bias)
  gate_map = Reshape (gate_normalised, gate_shape)
  gate_first = Transpose <perm = [0, 3, 1, 2]> (gate_map)
  convolved = Conv <group: int = @groups, pads = [1, 1, 1, 1]> (gate_first, conv_weight, conv_bias)
  gate = Transpose <perm = [0, 2, 3, 1]> (convolved)
  gate_pixels = Reshape (gate, inner_flat)
  gated = Mul (kept, gate_pixels)
  y_pixels = Gemm <transB = 1> (gated, out_weight, out_bias)
  y = Reshape (y_pixels, shape)
}
"""


class GatedMLPInHalves(nn.Module):
    """(B,H,W,C) -> (B,H,W,C), the same function as what it is made from."""

    def __init__(self, mlp: GatedMLP) -> None:
        super().__init__()
        self.kept, self.gate = (_half(mlp.fc1, half) for half in (0, 1))
        self.norm = mlp.sg.norm
        self.conv = mlp.sg.conv
        self.fc2 = mlp.fc2

    def forward(self, x: Tensor) -> Tensor:
        if exporting():
            layers = (self.kept, self.gate, self.norm, self.conv, self.fc2)
            inputs = (x, *sizes(x), *(parameter for layer in layers for parameter in layer.parameters()))
            attributes: dict[str, int | float | list[int]] = {
                "groups": self.conv.groups,
                "epsilon": self.norm.eps,
                "channels": [x.shape[3]],
                "hidden": [self.conv.groups],
            }
            return call("GatedMLP", inputs, attributes, like=x, shape=x.shape)
        return self.fc2(F.gelu(self.kept(x)) * conv(self.conv, self.norm(F.gelu(self.gate(x)))))


def _half(layer: nn.Linear, half: int) -> nn.Linear:
    """The linear layer that makes one half of the channels."""
    part = nn.Linear(layer.in_features, layer.out_features // 2).to(layer.weight)
    with torch.no_grad():
        part.weight.copy_(layer.weight.chunk(2)[half])
        part.bias.copy_(layer.bias.chunk(2)[half])
    return part


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, GatedMLPInHalves):
        return Refusal(reason="its halves are apart already")
    return GatedMLPInHalves(module) if type(module) is GatedMLP else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for dim, hidden, shape in ((6, 16, (2, 5, 9)), (8, 4, (1, 1, 7))):
        module = GatedMLP(dim, hidden).double()
        seed_weights(module)
        x = torch.randn(*shape, dim, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=module, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [GatedMLPInHalves(GatedMLP(4, 8))]


REWRITE = Rewrite(
    equation="a·(K ⊛ LN(b)) of [a, b] = gelu(W·x + w), with a = gelu(W₁·x + w₁) and b = gelu(W₂·x + w₂) made apart",
    serves=frozenset({"channels_last"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(_MLP,),
)
