"""RGT's attention in rectangles, with every rectangle's pixels gathered straight from the map, and without a mask.

    softmax(s·q·kᵀ + P + M)·v = softmax(q'·k'ᵀ + P)·v    with q' = [s·q, −100·o], k' = [k, 1 − o]

for all q, k, v, every position bias P and every mask M of 0 between pixels of one region and −100 between those of two, where
o is the one-hot region of a pixel: o(i)·(1 − o(j)) is 0 when i and j share their region and 1 when they do not. Rolling the map,
continuing it by zeros and cutting it into rectangles only move pixels, and commute with a linear map from pixel to pixel, so one
Gather of whole pixels does all three before it; a pixel outside the map is multiplied by 0, and so is the 1 that meets the bias.

As written, the attention copies queries, keys and values three times, and adds a mask of 256×256 numbers to the scores of every
rectangle. Here a Scan goes over the rows of rectangles, so that the scores of one row alone are alive, and stay in the cache.
The file holds the bias as a table of its value for each offset; ONNX Runtime expands it when it loads the file.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._rgt_attention import REGIONS_APART, LocalAttention, RectangleAttention, conv
from edgesr.seeding import seed_weights

_REGIONS = 4
"""A rectangle of the rolled map has pixels of up to four regions: moved around the lower edge or not, the right edge or not."""

_POSITIONS = """
RectanglePositions <window: ints, shift: int, multiple: int> (length) => (read, code, number, offset) {
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  four = Constant <value_int = 4> ()
  side = Constant <value_ints: ints = @window> ()
  moved = Constant <value_int: int = @shift> ()
  whole = Constant <value_int: int = @multiple> ()
  missing = Neg (length)
  missing_after = Mod (missing, whole)
  padded = Add (length, missing_after)
  position = Range (zero, padded, one)
  ahead = Add (position, moved)
  pixel = Mod (ahead, padded)
  last = Sub (length, one)
  read = Min (pixel, last)
  around = Less (pixel, position)
  outside = Greater (pixel, last)
  around_one = Cast <to = 7> (around)
  outside_one = Cast <to = 7> (outside)
  outside_four = Mul (outside_one, four)
  code = Add (around_one, outside_four)
  image = Range (zero, length, one)
  behind = Sub (image, moved)
  place = Mod (behind, padded)
  number = Div (place, side)
  offset = Mod (place, side)
}
"""

_CUT = """
RectangleCut <h: ints, w: ints> (row, column) => (y) {
  height = Constant <value_ints: ints = @h> ()
  width = Constant <value_ints: ints = @w> ()
  rest = Constant <value_ints = [-1]> ()
  one = Constant <value_ints = [1]> ()
  row_of_rectangles = Constant <value_ints = [0, -1]> ()
  rows_shape = Concat <axis = 0> (rest, one, height, one)
  columns_shape = Concat <axis = 0> (rest, one, width)
  row_part = Reshape (row, rows_shape)
  column_part = Reshape (column, columns_shape)
  cut = Add (row_part, column_part)
  y = Reshape (cut, row_of_rectangles)
}
"""

_BIAS = """
RectangleBias (table, pixels, heads_) => (bias) {
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  two = Constant <value_int = 2> ()
  one_ = Constant <value_ints = [1]> ()
  rows_ = Shape <start = 0, end = 1> (table)
  columns_ = Shape <start = 1, end = 2> (table)
  rows = Squeeze (rows_)
  columns = Squeeze (columns_)
  row_up = Div (rows, two)
  column_up = Div (columns, two)
  row_up_first = Range (row_up, rows, one)
  column_up_first = Range (column_up, columns, one)
  row_count = Add (row_up, one)
  column_count = Add (column_up, one)
  row = Range (zero, row_count, one)
  column = Range (zero, column_count, one)
  row_first = Unsqueeze (row_up_first, one)
  column_first = Unsqueeze (column_up_first, one)
  row_index = Sub (row_first, row)
  column_index = Sub (column_first, column)
  by_row = Gather <axis = 0> (table, row_index)
  by_column = Gather <axis = 2> (by_row, column_index)
  heads_first = Transpose <perm = [4, 0, 2, 1, 3]> (by_column)
  shape = Concat <axis = 0> (one_, heads_, pixels, pixels)
  bias = Reshape (heads_first, shape)
}
"""

_ATTENTION = """
RectangleAttention <h: ints, w: ints, down: int, right: int, multiple: int, heads: int, half: int>
    (x, value, query_weight, key_weight, table, features) => (y) {
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  two = Constant <value_int = 2> ()
  four = Constant <value_int = 4> ()
  which = Constant <value_int: int = @half> ()
  window_height = Constant <value_ints: ints = @h> ()
  window_width = Constant <value_ints: ints = @w> ()
  area = Mul (window_height, window_width)
  rest = Constant <value_ints = [-1]> ()
  one_ = Constant <value_ints = [1]> ()
  zero_ = Constant <value_ints = [0]> ()
  windows_shape = Concat <axis = 0> (rest, area, zero_)

  batch = Shape <start = 0, end = 1> (x)
  height_ = Shape <start = 1, end = 2> (x)
  width_ = Shape <start = 2, end = 3> (x)
  height = Squeeze (height_)
  width = Squeeze (width_)
  row_read, row_code, row_number, row_offset = edgesr.RectanglePositions
    <window: ints = @h, shift: int = @down, multiple: int = @multiple> (height)
  column_read, column_code, column_number, column_offset = edgesr.RectanglePositions
    <window: ints = @w, shift: int = @right, multiple: int = @multiple> (width)
  row_start = Mul (row_read, width)
  read = edgesr.RectangleCut <h: ints = @h, w: ints = @w> (row_start, column_read)
  read_twice = Mul (read, two)
  read_half = Add (read_twice, which)
  row_codes = Mul (row_code, two)
  code = edgesr.RectangleCut <h: ints = @h, w: ints = @w> (row_codes, column_code)
  feature = Gather <axis = 0> (features, code)
  within = Less (code, four)
  within_one = CastLike (within, x)
  inside = Unsqueeze (within_one, rest)

  channels = Shape <start = 3, end = 4> (x)
  x_shape = Concat <axis = 0> (batch, rest, channels)
  x_pixels = Reshape (x, x_shape)
  half_channels = Div (channels, two)
  value_shape = Concat <axis = 0> (batch, rest, half_channels)
  value_pixels = Reshape (value, value_shape)
  heads_ = Shape <start = 2, end = 3> (table)
  position_bias = edgesr.RectangleBias (table, area, heads_)
  batch_shape = Concat <axis = 0> (batch, one_, one_)
  attended = Scan <num_scan_inputs = 4, body = row
      (int64[L] place, int64[L] half_place, float[L,F] known, float[L,one] factor) => (float[B,L,C] out) {
    gathered = Gather <axis = 1> (x_pixels, place)
    kept = Mul (gathered, factor)
    known_of_all = Expand (known, batch_shape)
    known_too = Concat <axis = 2> (kept, known_of_all)
    query_ = MatMul (known_too, query_weight)
    key_ = MatMul (known_too, key_weight)
    value_gathered = Gather <axis = 1> (value_pixels, half_place)
    value_ = Mul (value_gathered, factor)
    query = Reshape (query_, windows_shape)
    key = Reshape (key_, windows_shape)
    value_windows = Reshape (value_, windows_shape)
    mixed = com.microsoft.MultiHeadAttention <num_heads: int = @heads, scale = 1.0> (query, key, value_windows, , , position_bias)
    out_shape = Shape (value_)
    out = Reshape (mixed, out_shape)
  }> (read, read_half, feature, inside)

  positions = Shape <start = 1, end = 2> (read)
  of_all = Mul (positions, batch)
  row_places = Mul (row_number, of_all)
  row_within = Mul (row_offset, window_width)
  row_place_ = Add (row_places, row_within)
  column_places = Mul (column_number, area)
  column_place = Add (column_places, column_offset)
  row_place = Unsqueeze (row_place_, one)
  place_in_one = Add (row_place, column_place)
  sample_count = Squeeze (batch)
  sample = Range (zero, sample_count, one)
  sample_places = Mul (sample, positions)
  sides = Constant <value_ints = [1, 2]> ()
  sample_place = Unsqueeze (sample_places, sides)
  place_of_pixel = Add (sample_place, place_in_one)
  rows_shape = Concat <axis = 0> (rest, half_channels)
  attended_pixels = Reshape (attended, rows_shape)
  y = Gather <axis = 0> (attended_pixels, place_of_pixel)
}
"""

_LOCAL = """
RectangleLocalAttention <h: ints, w: ints, down: int, right: int, multiple: int, heads: int, groups: int>
    (x, value_weight, value_bias, conv_weight, conv_bias, proj_weight, proj_bias, features,
     query_weight_0, key_weight_0, table_0, query_weight_1, key_weight_1, table_1) => (y) {
  rest = Constant <value_ints = [-1]> ()
  shape = Shape (x)
  channels = Shape <start = 3, end = 4> (x)
  flat = Concat <axis = 0> (rest, channels)
  pixels = Reshape (x, flat)
  value_pixels = Gemm <transB = 1> (pixels, value_weight, value_bias)
  value = Reshape (value_pixels, shape)
  half_0 = edgesr.RectangleAttention <h: ints = @h, w: ints = @w, down: int = @down, right: int = @right,
    multiple: int = @multiple, heads: int = @heads, half = 0> (x, value, query_weight_0, key_weight_0, table_0, features)
  half_1 = edgesr.RectangleAttention <h: ints = @w, w: ints = @h, down: int = @right, right: int = @down,
    multiple: int = @multiple, heads: int = @heads, half = 1> (x, value, query_weight_1, key_weight_1, table_1, features)
  attended = Concat <axis = 3> (half_0, half_1)
  channels_first = Transpose <perm = [0, 3, 1, 2]> (value)
  convolved = Conv <group: int = @groups, pads = [1, 1, 1, 1]> (channels_first, conv_weight, conv_bias)
  local = Transpose <perm = [0, 2, 3, 1]> (convolved)
  sum = Add (attended, local)
  sum_pixels = Reshape (sum, flat)
  y_pixels = Gemm <transB = 1> (sum_pixels, proj_weight, proj_bias)
  y = Reshape (y_pixels, shape)
}
"""


class RectanglesInRows(nn.Module):
    """Self-attention inside rectangles: x (B,H,W,C) normalised, all values (B,H,W,C) -> one half's (B,H,W,C/2)."""

    features: Tensor
    query: Tensor
    key: Tensor
    table: Tensor

    def __init__(self, rectangles: RectangleAttention, qkv: nn.Linear, *, half: int, multiple: int) -> None:
        super().__init__()
        self.window, self.heads, self.which, self.multiple = rectangles.window, rectangles.heads, half, multiple
        self.shift = (self.window[0] // 2, self.window[1] // 2) if rectangles.shifted else (0, 0)
        features = torch.zeros(4 * _REGIONS, 1 + _REGIONS * rectangles.shifted)
        features[:_REGIONS, 0] = 1.0
        if rectangles.shifted:
            features[:, 1:] = torch.eye(_REGIONS).repeat(4, 1)
        self.register_buffer("features", features.to(qkv.weight))
        apart = torch.eye(_REGIONS if rectangles.shifted else 0).to(qkv.weight)
        scale = float((qkv.in_features // 2 // self.heads) ** -0.5)
        self.register_buffer("query", self._weight(qkv, 0, scale, REGIONS_APART * apart))
        self.register_buffer("key", self._weight(qkv, 1, 1.0, 1 - apart))
        sides = [2 * side - 1 for side in self.window]
        with torch.no_grad():
            self.register_buffer("table", rectangles.pos(rectangles.rpe_biases).reshape(*sides, self.heads))

    def _weight(self, qkv: nn.Linear, kind: int, scale: float, of_region: Tensor) -> Tensor:
        """Of queries (0) or keys (1): (C+F, heads·(head+regions)), for the channels and then for the features of a pixel."""
        dim, regions = qkv.in_features, len(of_region)
        weight = qkv.weight.detach().reshape(3, 2, self.heads, -1, dim)[kind, self.which]
        bias = qkv.bias.detach().reshape(3, 2, self.heads, -1)[kind, self.which]
        linear = F.pad(scale * torch.cat([weight, bias.unsqueeze(2)], dim=2), (0, regions))
        shared = F.pad(of_region, (1 + dim, 0)).expand(self.heads, regions, -1)
        return torch.cat([linear, shared], dim=1).flatten(0, 1).t().contiguous()

    def forward(self, x: Tensor, value: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        (h, w), (down, right) = self.window, self.shift
        row, row_code, row_place = _positions(height, h, down, self.multiple, device=x.device)
        column, column_code, column_place = _positions(width, w, right, self.multiple, device=x.device)
        read = _cut(row * width, column, h, w)
        code = _cut(2 * row_code, column_code, h, w)
        inside = (code < _REGIONS).unsqueeze(2).to(x)
        known = self.features[code].expand(batch, -1, -1, -1)
        known = torch.cat([x.flatten(1, 2)[:, read] * inside, known], dim=3)
        values = value.chunk(2, dim=3)[self.which].flatten(1, 2)[:, read] * inside
        query, key, values = (self._heads(part) for part in (known @ self.query, known @ self.key, values))
        y = (query @ key.transpose(3, 4) + self._bias()).softmax(dim=4) @ values  # (B,rectangles,heads,h·w,head)
        pixels = y.transpose(2, 3).reshape(batch, -1, dim // 2)
        per_row = read.shape[1]
        place = (row_place[0] * per_row + row_place[1] * w).unsqueeze(1) + column_place[0] * (h * w) + column_place[1]
        return pixels[:, place]

    def _heads(self, x: Tensor) -> Tensor:
        """(B,rows,columns·h·w,heads·c) -> (B,rectangles,heads,h·w,c)."""
        return x.reshape(x.shape[0], -1, self.window[0] * self.window[1], self.heads, x.shape[3] // self.heads).transpose(2, 3)

    def _bias(self) -> Tensor:
        """What is added to the attention logits, (heads,h·w,h·w)."""
        h, w = self.window
        rows, columns = (torch.arange(side).unsqueeze(1) - torch.arange(side) + side - 1 for side in (h, w))
        return self.table[rows][:, :, columns].permute(4, 0, 2, 1, 3).reshape(self.heads, h * w, h * w)


class LocalAttentionInRows(nn.Module):
    """L-SA: (B,H,W,C) -> (B,H,W,C); the same function as what it is made from."""

    def __init__(self, local: LocalAttention) -> None:
        super().__init__()
        self.value = _values(local.qkv)
        self.first, self.second = (
            RectanglesInRows(rectangles, local.qkv, half=half, multiple=local.multiple)
            for half, rectangles in enumerate(local.attns)
            if isinstance(rectangles, RectangleAttention)
        )
        self.get_v = local.get_v
        self.proj = local.proj

    def forward(self, x: Tensor) -> Tensor:
        if exporting():
            return self._call(x)
        value = self.value(x)
        y = torch.cat([attend(x, value) for attend in (self.first, self.second)], dim=3)
        return self.proj(y + conv(self.get_v, value))

    def _call(self, x: Tensor) -> Tensor:
        first, second = self.first, self.second
        layers = (self.value, self.get_v, self.proj)
        inputs: list[Tensor] = [parameter for layer in layers for parameter in layer.parameters()]
        inputs += [first.features, *(tensor for half in (first, second) for tensor in (half.query, half.key, half.table))]
        (h, w), (down, right) = first.window, first.shift
        attributes: dict[str, int | list[int]] = {"h": [h], "w": [w], "down": down, "right": right}
        attributes |= {"multiple": first.multiple, "heads": first.heads, "groups": self.get_v.groups}
        return call("RectangleLocalAttention", (x, *inputs), attributes, like=x, shape=x.shape)


def _values(qkv: nn.Linear) -> nn.Linear:
    """The part of the linear layer that makes values."""
    value = nn.Linear(qkv.in_features, qkv.in_features).to(qkv.weight)
    with torch.no_grad():
        value.weight.copy_(qkv.weight[2 * qkv.in_features :])
        value.bias.copy_(qkv.bias[2 * qkv.in_features :])
    return value


def _positions(length: int, window: int, shift: int, multiple: int, *, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Of each position of the rolled map the pixel to read and its code; of each pixel its window and its place in that.

    The code is 1 for a pixel that the roll moved around the edge, and 4 more for one that the map does not have.
    """
    padded = length + -length % multiple
    position = torch.arange(padded, device=device)
    pixel = (position + shift) % padded
    code = (pixel < position).long() + _REGIONS * (pixel >= length)
    place = (position[:length] - shift) % padded
    return pixel.clamp(max=length - 1), code, torch.stack([place // window, place % window])


def _cut(row: Tensor, column: Tensor, h: int, w: int) -> Tensor:
    """The sums of a term of the row and one of the column, rectangle by rectangle: (rows, columns·h·w)."""
    return (row.reshape(-1, 1, h, 1) + column.reshape(-1, 1, w)).flatten(1)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, LocalAttentionInRows):
        return Refusal(reason="its rectangles are gathered row by row already")
    return LocalAttentionInRows(module) if isinstance(module, LocalAttention) else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for shape, split, shifted in (((2, 5, 9, 128), (2, 4), True), ((1, 8, 4, 96), (4, 4), True), ((2, 7, 13, 96), (3, 6), False)):
        module = LocalAttention(shape[3], split=split, heads=4, shifted=shifted, mask_size=12).double()
        for name, part in module.named_modules():
            if name.endswith("pos3.2"):
                part.register_parameter("bias", None)  # which no output depends on: it moves all scores alike
        seed_weights(module)
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=module, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [LocalAttentionInRows(LocalAttention(32, split=(2, 4), heads=4, shifted=True, mask_size=8))]


REWRITE = Rewrite(
    equation="softmax(s·q·kᵀ + P + M)·v = softmax([s·q, −100·o]·[k, 1 − o]ᵀ + P)·v, o: one-hot regions",
    serves=frozenset({"any_size", "bounded_memory", "fused_attention"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(_POSITIONS, _CUT, _BIAS, _ATTENTION, _LOCAL),
)
