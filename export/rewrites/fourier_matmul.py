"""SRConvNet's Fourier unit as products of real matrices.

    irfft2(gelu(M · rfft2(x))) = Σ_g Σ_f  of real products, with A = gelu(U + V), B = gelu(U − V):
    U = M₁ · (C x Cᵂ, C x Sᵂ),  V = M₂ · (S x Cᵂ, S x Sᵂ),
    y = C′(A + B)(Cᵂ′, −Sᵂ′) − S′(A − B)(Sᵂ′, Cᵂ′)

for every x (B,C,H,W), every pointwise M without bias, H and W of at least 1. C[f,h] = cos(2πfh/H)/√H and S the same with sin
hold the frequencies 0…H/2, Cᵂ and Sᵂ those of the columns; a prime is the transpose with the weights 1 and 2 of the
frequencies that stand for themselves and for a pair. A is the spectrum's half of frequencies +f, B that of −f, so that one
product serves both: cos is even and sin odd in f. Both are so in h, too, so that rows h and H − h are added or subtracted
before their product, and half of it is left, there and back. M₁ and M₂ are M's columns, real and imaginary, with signs.
Everything between the transforms is pointwise, so the frequencies need no order. What irfft2 ignores, the imaginary parts of
the columns' frequencies 0 and W/2, meets sin 0 and sin πw, which are 0.

Most runtimes have no Fourier transform, and the one of ONNX Runtime takes longer than these products. The matrices are made from
the map's size; all units of a network share them.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting, sizes
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models.srconvnet import FourierUnit
from edgesr.seeding import seed_weights


def _waves_text(axis: str, length: str) -> str:
    """The nodes of `_waves` for a length of the map: {axis}_cos, {axis}_sin, {axis}_weight, {axis}_bins, {axis}_whole."""
    return f"""
  {axis}_whole = Squeeze ({length})
  {axis}_half = Div ({axis}_whole, two)
  {axis}_bins = Add ({axis}_half, one)
  {axis}_frequency = Range (zero, {axis}_bins, one)
  {axis}_place = Range (zero, {axis}_whole, one)
  {axis}_across = Unsqueeze ({axis}_frequency, second)
  {axis}_product = Mul ({axis}_across, {axis}_place)
  {axis}_turn = Mod ({axis}_product, {axis}_whole)
  {axis}_turn_float = Cast <to = 1> ({axis}_turn)
  {axis}_float = Cast <to = 1> ({axis}_whole)
  {axis}_step = Div (circle, {axis}_float)
  {axis}_angle = Mul ({axis}_turn_float, {axis}_step)
  {axis}_root = Sqrt ({axis}_float)
  {axis}_cos_one = Cos ({axis}_angle)
  {axis}_sin_one = Sin ({axis}_angle)
  {axis}_cos = Div ({axis}_cos_one, {axis}_root)
  {axis}_sin = Div ({axis}_sin_one, {axis}_root)
  {axis}_double = Mul ({axis}_frequency, two)
  {axis}_rest = Mod ({axis}_double, {axis}_whole)
  {axis}_alone = Equal ({axis}_rest, zero)
  {axis}_alone_float = Cast <to = 1> ({axis}_alone)
  {axis}_weight = Sub (pair, {axis}_alone_float)"""


def _by_turns(name: str, first: str, second: str) -> str:
    """The nodes that make `name` (2·bins,W) of the rows of two matrices (bins,W) by turns."""
    return f"""
  {name}_first = Unsqueeze ({first}, second)
  {name}_second = Unsqueeze ({second}, second)
  {name}_pairs = Concat <axis = 1> ({name}_first, {name}_second)
  {name} = Reshape ({name}_pairs, row_shape)"""


_UNIT = f"""
FourierUnit <pair_of_channels: ints, channels: ints> (x, batch, height, width, even) => (y) {{
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  two = Constant <value_int = 2> ()
  first = Constant <value_ints = [0]> ()
  second = Constant <value_ints = [1]> ()
  rest = Constant <value_ints = [-1]> ()
  pair = Constant <value_float = 2.0> ()
  half = Constant <value_float = 0.5> ()
  circle = Constant <value_float = {2 * math.pi!r}> ()
  outer = Constant <value_ints: ints = @channels> ()
  rows_of_numbers = Constant <value_ints = [0, 0, -1]> ()
  bins_of_numbers = Constant <value_ints: ints = @pair_of_channels> (){_waves_text("h", "height")}{_waves_text("w", "width")}
  w_length = Reshape (w_whole, rest)
  row_shape = Concat <axis = 0> (rest, w_length)
  w_minus_sin = Neg (w_sin){_by_turns("there", "w_cos", "w_sin")}{_by_turns("turned", "w_minus_sin", "w_cos")}
  w_weights = Unsqueeze (w_weight, second)
  w_cos_back = Mul (w_cos, w_weights)
  w_sin_back = Mul (w_sin, w_weights)
  w_minus_sin_back = Neg (w_sin_back){_by_turns("even_rows", "w_cos_back", "w_minus_sin_back")}
  back_even = Transpose <perm = [1, 0]> (even_rows){_by_turns("odd_rows", "w_sin_back", "w_cos_back")}
  back_odd = Transpose <perm = [1, 0]> (odd_rows)
  rows = Reshape (h_bins, rest)
  h_half_weight = Mul (h_weight, half)
  h_cos_left = Slice (h_cos, first, rows, second)
  h_sin_left = Slice (h_sin, first, rows, second)
  cos = Mul (h_cos_left, h_half_weight)
  sin = Mul (h_sin_left, h_half_weight)
  h_opposite = Sub (h_whole, h_frequency)
  h_mirror = Mod (h_opposite, h_whole)
  upper = Slice (x, first, rows, second)
  mirrored = Gather <axis = 1> (x, h_mirror)
  added = Add (upper, mirrored)
  subtracted = Sub (upper, mirrored)
  added_waves = MatMul (there, added)
  subtracted_waves = MatMul (turned, subtracted)
  added_rows = Reshape (added_waves, rows_of_numbers)
  subtracted_rows = Reshape (subtracted_waves, rows_of_numbers)
  added_spectrum = MatMul (cos, added_rows)
  subtracted_spectrum = MatMul (sin, subtracted_rows)
  added_bins = Reshape (added_spectrum, bins_of_numbers)
  subtracted_bins = Reshape (subtracted_spectrum, bins_of_numbers)
  u = MatMul (added_bins, even)
  v = MatMul (subtracted_bins, even)
  plus = Add (u, v)
  minus = Sub (u, v)
  above = Gelu (plus)
  below = Gelu (minus)
  both_added = Add (above, below)
  both_subtracted = Sub (above, below)
  w_parts = Mul (w_bins, two)
  w_parts_length = Reshape (w_parts, rest)
  spectrum_shape = Concat <axis = 0> (first, rows, w_parts_length, outer)
  even_spectrum = Reshape (both_added, spectrum_shape)
  odd_spectrum = Reshape (both_subtracted, spectrum_shape)
  even_map = MatMul (back_even, even_spectrum)
  odd_map = MatMul (back_odd, odd_spectrum)
  even_numbers = Reshape (even_map, rows_of_numbers)
  odd_numbers = Reshape (odd_map, rows_of_numbers)
  even_part = MatMul (cos, even_numbers)
  odd_part = MatMul (sin, odd_numbers)
  in_upper = Sub (even_part, odd_part)
  in_mirrored = Add (even_part, odd_part)
  both = Concat <axis = 1> (in_upper, in_mirrored)
  h_place_opposite = Sub (h_whole, h_place)
  h_place_mirrored = Add (h_place_opposite, h_bins)
  h_is_upper = Less (h_place, h_bins)
  h_from = Where (h_is_upper, h_place, h_place_mirrored)
  numbers = Gather <axis = 1> (both, h_from)
  batch_length = Reshape (batch, rest)
  h_length = Reshape (h_whole, rest)
  shape = Concat <axis = 0> (batch_length, h_length, w_length, outer)
  y = Reshape (numbers, shape)
}}
"""


class FourierMatmul(nn.Module):
    """A Fourier unit (B,C,H,W) -> (B,C,H,W), channels-last inside: a position's real and imaginary channels lie side by side."""

    def __init__(self, unit: FourierUnit) -> None:
        super().__init__()
        weight = unit.conv_layer.weight.detach()
        dim = weight.shape[0] // 2
        # (output part, output channel, input part, input channel): all real channels, then all imaginary ones
        real, imaginary = weight.reshape(dim, 2, dim, 2).permute(3, 2, 1, 0).unbind(0)  # each (in, out part, out)
        real, imaginary = real.flatten(1), imaginary.flatten(1)
        # The spectrum at ±f is (C ∓ iS) x (Cᵂ − iSᵂ): its part in S is the one in C after a quarter turn, by −i.
        self.even = nn.Buffer(torch.cat([real, -imaginary]))

    def forward(self, x: Tensor) -> Tensor:
        return self.channels_last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def channels_last(self, x: Tensor) -> Tensor:
        """(B,H,W,C) -> (B,H,W,C)."""
        batch, height, width, dim = x.shape
        if exporting():
            attributes = {"pair_of_channels": [0, -1, 2 * dim], "channels": [dim]}
            return call("FourierUnit", (x, *sizes(x), self.even), attributes, like=x, shape=x.shape)
        cos, sin, weight = _waves(height, x)
        rows, bins = height // 2 + 1, width // 2 + 1
        there, turned, back_even, back_odd = _row_transforms(width, x)

        # Along the column, too, cos is even and sin odd: a row and its mirror image are added or subtracted first. Rows 0 and
        # H/2 are their own mirror images and come twice: half the weight.
        half = weight.transpose(0, 1) / 2
        cos, sin = cos[:, :rows] * half, sin[:, :rows] * half
        row = torch.arange(height, device=x.device)
        upper, mirrored = x[:, :rows], x.index_select(1, (height - row[:rows]) % height)
        summed = (there @ (upper + mirrored)).reshape(batch, rows, bins * 2 * dim)
        differing = (turned @ (upper - mirrored)).reshape(batch, rows, bins * 2 * dim)
        u = (cos @ summed).reshape(batch, rows * bins, 2 * dim) @ self.even
        v = (sin @ differing).reshape(batch, rows * bins, 2 * dim) @ self.even
        above, below = F.gelu(u + v), F.gelu(u - v)
        even = (back_even @ (above + below).reshape(batch, rows, 2 * bins, dim)).reshape(batch, rows, width * dim)
        odd = (back_odd @ (above - below).reshape(batch, rows, 2 * bins, dim)).reshape(batch, rows, width * dim)
        # Back, frequencies 0 and H/2 are in both halves of the spectrum and the others in one: the same matrices once more.
        even, odd = cos @ even, sin @ odd
        both = torch.cat([even - odd, even + odd], dim=1)
        return both.index_select(1, torch.where(row < rows, row, rows + height - row)).reshape(batch, height, width, dim)


def _waves(length: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines and sines (length//2+1, length) of 2πfn/length, over √length, and how many frequencies a row stands for."""
    frequency = torch.arange(length // 2 + 1, device=like.device)[:, None]
    place = torch.arange(length, device=like.device)[None]
    # The product is taken modulo the length in integers: the angle stays below 2π, and float32 accurate.
    angle = (frequency * place % length).to(like.dtype) * (2 * math.pi / length)
    pairs = 2 - (2 * frequency % length == 0).to(like.dtype)
    return angle.cos() / length**0.5, angle.sin() / length**0.5, pairs


def _row_transforms(width: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of a row: its transform (2·bins,W), cos and sin by turns, the same after a quarter turn (−sin and cos), and the inverses
    (W,2·bins) for the even and the odd part.
    """
    cos, sin, weight = _waves(width, like)
    there = torch.stack([cos, sin], dim=1).flatten(0, 1)
    turned = torch.stack([-sin, cos], dim=1).flatten(0, 1)
    back_even = torch.stack([weight * cos, -weight * sin], dim=1).flatten(0, 1).transpose(0, 1)
    back_odd = torch.stack([weight * sin, weight * cos], dim=1).flatten(0, 1).transpose(0, 1)
    return there, turned, back_even, back_odd


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, FourierMatmul):
        return Refusal(reason="it is made of matrix products already")
    if type(module) is not FourierUnit:
        return None
    if module.conv_layer.bias is not None:
        return Refusal(reason="its convolution has a bias, which the halves of the spectrum would both get")
    return FourierMatmul(module)


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for shape in ((2, 3, 6, 8), (1, 4, 7, 5), (1, 2, 5, 4), (1, 2, 4, 1), (1, 2, 1, 6), (1, 3, 2, 2)):
        module = FourierUnit(shape[1]).double()
        seed_weights(module)
        witnesses.append(Witness(module=module, inputs=(torch.randn(shape, generator=generator, dtype=torch.float64),)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    biased = FourierUnit(2)
    biased.conv_layer = nn.Conv2d(4, 4, 1)
    return [FourierMatmul(FourierUnit(2)), biased]


REWRITE = Rewrite(
    equation="irfft2(gelu(M·rfft2(x))) = real products of x with matrices of cos and sin, and gelu(U ± V) between them",
    serves=frozenset({"no_fft"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(_UNIT,),
)
