"""SRConvNet's dynamic mixing: its run-time depthwise kernels make several rows at once, and its halves are never interleaved.

    (x ⊛ K)[p·n + i] = (x ⊛ₚ Kⁱ)[n],  Kⁱ = K with i rows of zeros above it and p − 1 − i below,  i = 0 … p−1

for x (B,C,H,W), K (B,C,k,k) of each sample's own, k odd, zero padding k//2, and ⊛ₚ a convolution at every p-th row: phase i makes
the rows that leave the remainder i. What is between the phases and their way back to rows' order works on single places, and so
does the 1×1 convolution, so that the rows are put in order behind it, where there are half as many channels. Of it,

    P · interleave(y, z) = P_even · y + P_odd · z,   split(gelu(Q n + q)) = gelu(Q_first n + q_first), gelu(Q_second n + q_second)

ONNX Runtime copies the k² values around every place before it multiplies them with a kernel that it does not know beforehand, and
multiplies them with one row at that. With p phases it copies (k+p−1)·k for p places and multiplies them with p rows.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting, sizes
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models.srconvnet import DynamicDepthwise, DynamicMixing, KernelAttention
from edgesr.seeding import seed_weights

_PHASES = 8
"""The fastest of 2, 4, 8 and 16 for ONNX Runtime's convolution with run-time kernels of 7×7."""

_CONVOLUTION = """
    batch = Unsqueeze (map, first)
    weight = Unsqueeze (kernel, second)
    convolution = Conv <group: int = @channels, pads: ints = @pads, strides: ints = @strides> (batch, weight, bias)
"""

_SAMPLES = f"""
PhasesOfSamples <channels: int, pads: ints, strides: ints> (x, kernels, biases) => (y) {{
  first = Constant <value_ints = [0]> ()
  second = Constant <value_ints = [1]> ()
  y = Scan <num_scan_inputs = 3, body = sample (float[C,H,W] map, float[D,K,L] kernel, float[D] bias) => (float[D,N,W] phases) {{
{_CONVOLUTION}
    phases = Squeeze (convolution, first)
  }}> (x, kernels, biases)
}}
"""

_ONE_SAMPLE = f"""
PhasesOfSample <channels: int, pads: ints, strides: ints> (x, kernels, biases) => (convolution) {{
  first = Constant <value_ints = [0]> ()
  second = Constant <value_ints = [1]> ()
  map = Squeeze (x, first)
  kernel = Squeeze (kernels, first)
  bias = Squeeze (biases, first)
{_CONVOLUTION}
}}
"""

# A function, because reckoning with ⌈H/p⌉ for unknown H takes PyTorch's exporter minutes.
_IN_ORDER = f"""
RowsInOrder <channels: ints>
    (first, second, first_weight, second_weight, bias, x, height, width) => (y) {{
  zero = Constant <value_ints = [0]> ()
  two = Constant <value_ints = [2]> ()
  rest = Constant <value_ints = [-1]> ()
  phases = Constant <value_ints = [{_PHASES}]> ()
  inner = Constant <value_ints: ints = @channels> ()
  length = Reshape (width, rest)
  places = Concat <axis = 0> (zero, inner, rest, length)
  in_phases = Concat <axis = 0> (zero, inner, phases, rest, length)
  in_rows = Concat <axis = 0> (zero, inner, rest, length)
  first_places = Reshape (first, places)
  second_places = Reshape (second, places)
  from_first = Conv (first_places, first_weight, bias)
  from_second = Conv (second_places, second_weight)
  mixed = Add (from_first, from_second)
  by_phase = Reshape (mixed, in_phases)
  by_row = Transpose <perm = [0, 1, 3, 2, 4]> (by_phase)
  ordered = Reshape (by_row, in_rows)
  rows = Reshape (height, rest)
  own = Slice (ordered, zero, rows, two)
  y = Add (own, x)
}}
"""


class PhasedDepthwise(nn.Module):
    """A dynamic depthwise convolution without its attention, x (B,C,H,W) and mix (B,kernels) -> (B,C·p,⌈H/p⌉,W).

    Row p·n + i of a channel is row n of its phase i.
    """

    def __init__(self, dynamic: DynamicDepthwise) -> None:
        super().__init__()
        weight = dynamic.aggregation.weight
        self.weight, self.bias = weight, dynamic.aggregation.bias
        self.side = dynamic.convolve.side
        # Row by row a kernel's rows in its p places: the same matrix in every layer, so that a file holds it once.
        tall = self.side + _PHASES - 1
        placing = weight.new_zeros(_PHASES, tall, self.side)
        for phase in range(_PHASES):
            placing[phase, phase : phase + self.side] = torch.eye(self.side)
        self.placing = nn.Buffer(placing.flatten(0, 1), persistent=False)
        self.repeat = nn.Buffer(torch.arange(weight.shape[1]).repeat_interleave(_PHASES), persistent=False)

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        mixed = (mix @ self.weight.flatten(1)).reshape(-1, channels, self.side, self.side)
        kernels = (self.placing @ mixed).reshape(-1, channels * _PHASES, self.side + _PHASES - 1, self.side)
        bias = (mix @ self.bias).index_select(1, self.repeat)
        margin = self.side // 2
        if exporting():
            known: int | torch.SymInt = batch
            return call(
                "PhasesOfSamples" if isinstance(known, torch.SymInt) else "PhasesOfSample",
                (x, kernels, bias),
                {"channels": channels, "pads": [margin, margin, margin + _PHASES - 1, margin], "strides": [_PHASES, 1]},
                like=x,
                shape=(batch, channels * _PHASES, (height + _PHASES - 1) // _PHASES, width),
            )
        padded = F.pad(x, (margin, margin, margin, margin + _PHASES - 1)).flatten(0, 1)[None]
        y = F.conv2d(padded, kernels.flatten(0, 1)[:, None], bias.flatten(), stride=(_PHASES, 1), groups=batch * channels)
        return y.reshape(batch, channels * _PHASES, -1, width)


class BothAttentions(nn.Module):
    """Both halves' attentions to their kernels, (B,C,H,W) of each -> mix (B,kernels) of each, as two products for both."""

    def __init__(self, first: KernelAttention, second: KernelAttention) -> None:
        super().__init__()
        self.kernels = first.conv2.out_channels
        self.inner, self.inner_bias = _side_by_side(first.conv1, second.conv1)
        self.outer, self.outer_bias = _side_by_side(first.conv2, second.conv2)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        means = torch.cat([first.mean(dim=(2, 3)), second.mean(dim=(2, 3))], dim=1)
        mix = F.linear(F.gelu(F.linear(means, self.inner, self.inner_bias)), self.outer, self.outer_bias).sigmoid()
        return mix[:, : self.kernels], mix[:, self.kernels :]


def _side_by_side(first: nn.Conv2d, second: nn.Conv2d) -> tuple[nn.Buffer, nn.Buffer]:
    """Matrix and bias of two pointwise convolutions that do not see each other's channels."""
    assert first.bias is not None
    assert second.bias is not None
    halves = [convolution.weight.detach().flatten(1) for convolution in (first, second)]
    matrix = torch.block_diag(*halves)  # type: ignore[no-untyped-call]  # PyTorch has not annotated it
    return nn.Buffer(matrix), nn.Buffer(torch.cat([first.bias.detach(), second.bias.detach()]))


class MixingInPhases(nn.Module):
    """Dynamic mixing (B,C,H,W) -> (B,C,H,W) whose rows are in the order of their phases between its 1×1 convolutions."""

    def __init__(self, mixing: DynamicMixing) -> None:
        super().__init__()
        self.norm = mixing.norm
        self.first, self.second = (PhasedDepthwise(half.conv) for half in (mixing.conv1, mixing.conv2))
        self.attentions = BothAttentions(mixing.conv1.conv.attention, mixing.conv2.conv.attention)
        inner, outer = mixing.proj_in, mixing.proj_out
        assert inner.bias is not None
        self.in_first, self.in_second = (nn.Buffer(part.clone()) for part in inner.weight.detach().chunk(2))
        self.bias_first, self.bias_second = (nn.Buffer(part.clone()) for part in inner.bias.detach().chunk(2))
        # Interleaved, the first half's channels are the even ones.
        self.out_first, self.out_second = (nn.Buffer(outer.weight.detach()[:, i::2].clone()) for i in (0, 1))
        self.bias = outer.bias

    def forward(self, x: Tensor) -> Tensor:
        normal = self.norm(x)
        first = F.gelu(F.conv2d(normal, self.in_first, self.bias_first))
        second = F.gelu(F.conv2d(normal, self.in_second, self.bias_second))
        mix_first, mix_second = self.attentions(first, second)
        first, second = F.gelu(self.first(first, mix_first)), F.gelu(self.second(second, mix_second))
        batch, channels, height, width = x.shape
        if exporting():
            assert self.bias is not None
            _, rows, columns = sizes(x.permute(0, 2, 3, 1))
            inputs = (first, second, self.out_first, self.out_second, self.bias, x, rows, columns)
            return call("RowsInOrder", inputs, {"channels": [channels]}, like=x, shape=x.shape)
        places = (batch, channels, _PHASES * ((height + _PHASES - 1) // _PHASES), width)
        mixed = F.conv2d(first.reshape(places), self.out_first, self.bias) + F.conv2d(second.reshape(places), self.out_second)
        ordered = mixed.reshape(batch, channels, _PHASES, -1, width).transpose(2, 3).reshape(places)
        return ordered[:, :, :height] + x


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, MixingInPhases):
        return Refusal(reason="its kernels make several rows at once already")
    return MixingInPhases(module) if type(module) is DynamicMixing else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for shape in ((2, 8, 17, 9), (1, 8, 8, 7), (1, 16, 3, 11)):
        module = DynamicMixing(shape[1], 3).double()
        seed_weights(module)
        witnesses.append(Witness(module=module, inputs=(torch.randn(shape, generator=generator, dtype=torch.float64),)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [MixingInPhases(DynamicMixing(8, 2))]


REWRITE = Rewrite(
    equation="(x ⊛ K)[p·n + i] = (x ⊛ₚ Kⁱ)[n], Kⁱ = K moved down by i rows; P · interleave(y, z) = P_even · y + P_odd · z",
    serves=frozenset({"fast_run_time_kernels"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(_SAMPLES, _ONE_SAMPLE, _IN_ORDER),
)
