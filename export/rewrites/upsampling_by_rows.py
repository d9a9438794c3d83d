"""SRConvNet's upsampling and last convolution, a row of the small picture at a time, as products without a PixelShuffle.

    conv3×3(gelu(shuffle(P x))) = Σ_h place(h, fold(T · gelu(P x[h])))

for x (B,C,H,W), every pointwise P (C -> C·r²), shuffle by r (2 or 3) and convolution C -> 3 without stride, zero padding 1. A
pixel of the shuffled map reaches 3×3 pixels of the result, so the r² of one place reach (r+2)²: T (3·(r+2)², C·r²) holds what
each gives to each, and `fold` adds up what overlaps, at distance r. Row h of x makes r rows of the result and one above and
below, which `place` adds to its neighbours'. GELU works on single numbers and commutes with every rearrangement. ×4 shuffles
twice: P works on single places as well, so the first step, too, is done within the row, where its result is a list of places,
2 rows of 2·W.

At ×4 the map before the last convolution has 64 channels on 16 times as many pixels as the input: 236 MB for 180×320, several
times over. By rows it is never whole, and one row stays in the processor's cache. The 3 channels of the result would also
waste 13 of 16 lanes in a convolution of the blocked layout.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._layers import check_input
from edgesr.models.srconvnet import SRConvNet, SRConvNetConfig
from edgesr.seeding import seed_weights

_FIRST_STEP = """
      first_product = MatMul (line, first_weight)
      first_biased = Add (first_product, first_bias)
      first_active = Gelu (first_biased)
      split = Reshape (first_active, split_shape)
      lines = Transpose <perm = [0, 2, 1, 3]> (split)
      places = Reshape (lines, list_shape)"""


def _function(name: str, inputs: str, first_step: str) -> str:
    """The function of the rows for one step or two; x (B,H,W,C) -> (B,3,sH,sW)."""
    return f"""
{name} <scale: ints, rows: ints, sides: ints, steps: ints, split: ints, list: ints, shares: ints, on: ints, back: ints>
  (x, {inputs}) => (y) {{
  factor = Constant <value_ints: ints = @scale> ()
  one_row = Constant <value_ints: ints = @rows> ()
  block = Constant <value_ints: ints = @sides> ()
  split_shape = Constant <value_ints: ints = @split> ()
  list_shape = Constant <value_ints: ints = @list> ()
  width = Shape <start = 2, end = 3> (x)
  larger = Mul (width, factor)
  extent = Concat <axis = 0> (one_row, larger)
  parts = Scan <num_scan_inputs = 1, scan_input_axes = [1], body = row (float[B,W,C] line) => (float[B,3,S,V] part) {{{first_step}
      product = MatMul ({"places" if first_step else "line"}, weight)
      biased = Add (product, bias)
      active = Gelu (biased)
      given = MatMul (active, taps)
      maps = Transpose <perm = [0, 2, 1]> (given)
      part = Col2Im <pads = [0, 1, 0, 1], strides: ints = @steps> (maps, extent, block)
  }}> (x)
  share = Constant <value_ints: ints = @shares> ()
  above, own, below = Split <axis = 3> (parts, share)
  on = Constant <value_ints: ints = @on> ()
  back = Constant <value_ints: ints = @back> ()
  from_above = Pad (below, on)
  from_below = Pad (above, back)
  with_above = Add (own, from_above)
  complete = Add (with_above, from_below)
  in_order = Transpose <perm = [1, 2, 0, 3, 4]> (complete)
  leading = Constant <value_ints = [0, 3, -1]> ()
  picture = Concat <axis = 0> (leading, larger)
  y = Reshape (in_order, picture)
}}
"""


_ONE_STEP = _function("UpsampledByRows", "weight, bias, taps", "")
_TWO_STEPS = _function("UpsampledTwiceByRows", "weight, bias, taps, first_weight, first_bias", _FIRST_STEP)


class UpsamplingByRows(nn.Module):
    """An SRConvNet whose upsampling and tail work row by row: x (B,3,H,W) -> (B,3,sH,sW)."""

    def __init__(self, net: SRConvNet) -> None:
        super().__init__()
        self.scale = net.scale
        self.to_feat, self.blocks = net.to_feat, net.blocks
        convolutions = [layer for layer in net.upsampling if isinstance(layer, nn.Conv2d)]
        self.factor = 2 if len(convolutions) == 2 else net.scale
        for name, layer in zip(("first", "last") if len(convolutions) == 2 else ("last",), convolutions, strict=True):
            weight, bias = _by_place(layer, self.factor)
            self.register_buffer(f"{name}_weight", weight)
            self.register_buffer(f"{name}_bias", bias)
        self.taps = nn.Buffer(_taps(net.tail.weight.detach(), self.factor))
        self.bias = nn.Buffer(net.tail.bias.detach().reshape(3, 1, 1))  # type: ignore[union-attr]  # the tail has a bias

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, minimum=1)
        shallow = self.to_feat(x)
        upsampled = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return self._upsample((self.blocks(shallow) + shallow).permute(0, 2, 3, 1)) + (upsampled + self.bias)

    def _upsample(self, x: Tensor) -> Tensor:
        """(B,H,W,C) -> (B,3,sH,sW), the tail's bias aside."""
        batch, height, width, channels = x.shape
        scale, factor, twice = self.scale, self.factor, self.scale > self.factor
        weights = [self.get_buffer(name) for name in ("last_weight", "last_bias", "taps")]
        first = [self.get_buffer(name) for name in ("first_weight", "first_bias")] if twice else []
        if exporting():
            return call(
                "UpsampledTwiceByRows" if twice else "UpsampledByRows",
                (x, *weights, *first),
                _attributes(scale, factor, channels),
                like=x,
                shape=(batch, 3, height * scale, width * scale),
            )
        places = x.reshape(batch * height, width, channels)
        if twice:
            places = F.gelu(places @ first[0] + first[1]).reshape(batch * height, width, factor, -1)
            places = places.transpose(1, 2).reshape(batch * height, -1, channels)
        weight, bias, taps = weights
        given = (F.gelu(places @ weight + bias) @ taps).transpose(1, 2)
        parts = F.fold(given, (scale + 2, width * scale), factor + 2, padding=(0, 1), stride=factor)
        parts = parts.reshape(batch, height, 3, scale + 2, -1)
        above, own, below = parts[:, :, :, :1], parts[:, :, :, 1:-1], parts[:, :, :, -1:]
        own = own + F.pad(below[:, :-1], (0, 0, 0, scale - 1, 0, 0, 1, 0)) + F.pad(above[:, 1:], (0, 0, scale - 1, 0, 0, 0, 0, 1))
        return own.permute(0, 2, 1, 3, 4).reshape(batch, 3, height * scale, -1)


def _by_place(layer: nn.Conv2d, factor: int) -> tuple[Tensor, Tensor]:
    """A pointwise convolution before a PixelShuffle as weight (C,r·r·C) and bias (r·r·C), the place before the channel."""
    weight, bias = layer.weight.detach(), layer.bias
    assert bias is not None
    inputs = weight.shape[1]
    weight = weight.reshape(-1, factor, factor, inputs).permute(3, 1, 2, 0).reshape(inputs, -1)
    return weight.contiguous(), bias.detach().reshape(-1, factor, factor).permute(1, 2, 0).flatten().contiguous()


def _taps(weight: Tensor, factor: int) -> Tensor:
    """What the r×r places of C channels give to the (r+2)×(r+2) places around: weight (3,C,3,3) -> (r·r·C, 3·(r+2)²)."""
    side = factor + 2
    taps = weight.new_zeros(factor, factor, weight.shape[1], 3, side, side)
    for i in range(factor):
        for j in range(factor):
            # A convolution gathers with its kernel; to give out, the kernel is turned by half a turn.
            taps[i, j, :, :, i : i + 3, j : j + 3] = weight.flip(2, 3).transpose(0, 1)
    return taps.flatten(3).flatten(0, 2)


def _attributes(scale: int, factor: int, channels: int) -> dict[str, list[int]]:
    """The function's sizes; `on` and `back` pad a row's overhang so that it lies on the next and on the last row's places."""
    return {
        "scale": [scale],
        "rows": [scale + 2],
        "sides": [factor + 2] * 2,
        "steps": [factor] * 2,
        "split": [0, 0, factor, factor * channels],
        "list": [0, -1, channels],
        "shares": [1, scale, 1],
        "on": [1, 0, 0, 0, 0, -1, 0, 0, scale - 1, 0],
        "back": [-1, 0, 0, scale - 1, 0, 1, 0, 0, 0, 0],
    }


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, UpsamplingByRows):
        return Refusal(reason="it works row by row already")
    return UpsamplingByRows(module) if type(module) is SRConvNet else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for scale, shape in ((4, (2, 3, 5, 6)), (3, (1, 3, 6, 5)), (2, (2, 3, 5, 7))):
        module = SRConvNet(SRConvNetConfig(scale=scale, dim=8, blocks=1, heads=2, kernels=2)).double()
        del module.sub_mean, module.add_mean  # never called: they would receive no gradient
        seed_weights(module)
        x = torch.rand(shape, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=module, inputs=(255 * x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [UpsamplingByRows(SRConvNet(SRConvNetConfig(scale=2, dim=8, blocks=1, heads=2, kernels=2)))]


REWRITE = Rewrite(
    equation="conv3×3(gelu(shuffle(P x))) = Σ_h place(h, fold(T · gelu(P x[h])))",
    serves=frozenset({"bounded_memory"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(_ONE_STEP, _TWO_STEPS),
)
