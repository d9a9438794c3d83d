"""The ONNX functions of RGT's attention in rectangles (see `rectangle_attention` and `fused_attention`)."""

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
RectangleBias <h: int, w: int, shape: ints> (table) => (bias) {
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  height = Constant <value_int: int = @h> ()
  width = Constant <value_int: int = @w> ()
  bias_shape = Constant <value_ints: ints = @shape> ()
  row = Range (zero, height, one)
  column = Range (zero, width, one)
  row_most = Sub (height, one)
  column_most = Sub (width, one)
  row_up = Add (row, row_most)
  column_up = Add (column, column_most)
  row_first = Unsqueeze (row_up, one)
  column_first = Unsqueeze (column_up, one)
  row_index = Sub (row_first, row)
  column_index = Sub (column_first, column)
  by_row = Gather <axis = 0> (table, row_index)
  by_column = Gather <axis = 2> (by_row, column_index)
  heads_first = Transpose <perm = [4, 0, 2, 1, 3]> (by_column)
  bias = Reshape (heads_first, bias_shape)
}
"""

_FEATURES = """
RectangleFeatures (code) => (feature, inside) {
  four = Constant <value_int = 4> ()
  last = Constant <value_ints = [-1]> ()
  regions = Constant <value_ints = [0, 1, 2, 3]> ()
  within = Less (code, four)
  within_one = Cast <to = 1> (within)
  inside = Unsqueeze (within_one, last)
  region = Mod (code, four)
  region_ = Unsqueeze (region, last)
  same = Equal (region_, regions)
  one_hot = Cast <to = 1> (same)
  feature = Concat <axis = 2> (inside, one_hot)
}
"""

_PLACES = """
RectanglePlaces <area: int, w: ints> (batch, per_row, row_number, row_offset, column_number, column_offset) => (place) {
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  sides = Constant <value_ints = [1, 2]> ()
  pixels = Constant <value_int: int = @area> ()
  width = Constant <value_ints: ints = @w> ()
  of_all = Mul (per_row, batch)
  row_places = Mul (row_number, of_all)
  row_within = Mul (row_offset, width)
  row_place = Add (row_places, row_within)
  column_places = Mul (column_number, pixels)
  column_place = Add (column_places, column_offset)
  row_place_first = Unsqueeze (row_place, one)
  place_in_sample = Add (row_place_first, column_place)
  sample = Range (zero, batch, one)
  sample_places = Mul (sample, per_row)
  sample_place = Unsqueeze (sample_places, sides)
  place = Add (sample_place, place_in_sample)
}
"""

_SIGNATURE = """RectangleAttention
  <h: int, w: int, hs: ints, ws: ints, down: int, right: int, multiple: int, heads: int, half: int, area: int, windows: ints,
   split: ints, bias: ints, channels: ints, half_channels: ints>
  (x, value, batch, height, width, query_weight, key_weight, table) => (y) {
  two = Constant <value_int = 2> ()
  which = Constant <value_int: int = @half> ()
  rest = Constant <value_ints = [-1]> ()
  whole = Constant <value_ints: ints = @channels> ()
  part = Constant <value_ints: ints = @half_channels> ()
  windows_shape = Constant <value_ints: ints = @windows> ()

  row_read, row_code, row_number, row_offset = edgesr.RectanglePositions
    <window: ints = @hs, shift: int = @down, multiple: int = @multiple> (height)
  column_read, column_code, column_number, column_offset = edgesr.RectanglePositions
    <window: ints = @ws, shift: int = @right, multiple: int = @multiple> (width)
  row_start = Mul (row_read, width)
  read = edgesr.RectangleCut <h: ints = @hs, w: ints = @ws> (row_start, column_read)
  row_codes = Mul (row_code, two)
  code = edgesr.RectangleCut <h: ints = @hs, w: ints = @ws> (row_codes, column_code)
  feature, inside = edgesr.RectangleFeatures (code)
"""

# The body of the Scan reads nothing but its slices and constants: not every runtime lets it see what was computed outside.
_STANDARD = """
  one = Constant <value_int = 1> ()
  sides = Constant <value_ints = [1, 2]> ()
  zero = Constant <value_int = 0> ()
  area_of_map = Mul (height, width)
  sample = Range (zero, batch, one)
  sample_start = Mul (sample, area_of_map)
  sample_start_ = Unsqueeze (sample_start, one)
  read_ = Unsqueeze (read, one)
  read_of_all = Add (read_, sample_start_)
  read_twice = Mul (read_of_all, two)
  read_half = Add (read_twice, which)
  pixels_shape = Concat <axis = 0> (rest, whole)
  halves_shape = Concat <axis = 0> (rest, part)
  x_pixels = Reshape (x, pixels_shape)
  value_pixels = Reshape (value, halves_shape)
  x_rows = Gather <axis = 0> (x_pixels, read_of_all)
  value_rows = Gather <axis = 0> (value_pixels, read_half)
  attended = Scan <num_scan_inputs = 4, body = row
      (float[B,L,F] gathered, float[B,L,V] value_gathered, float[L,K] known, float[L,one] factor) => (float[R,P,C] mixed) {
    ones = Constant <value_ints = [1, 1]> ()
    heads_shape = Constant <value_ints: ints = @split> ()
    mixed_shape = Constant <value_ints = [0, 0, -1]> ()
    position_bias = edgesr.RectangleBias <h: int = @h, w: int = @w, shape: ints = @bias> (table)
    kept = Mul (gathered, factor)
    samples = Shape <start = 0, end = 1> (gathered)
    batch_shape = Concat <axis = 0> (samples, ones)
    known_of_all = Expand (known, batch_shape)
    known_too = Concat <axis = 2> (kept, known_of_all)
    value_ = Mul (value_gathered, factor)
    known_windows = Reshape (known_too, windows_shape)
    value_windows = Reshape (value_, windows_shape)
    query_ = MatMul (known_windows, query_weight)
    key_ = MatMul (known_windows, key_weight)
    query_heads = Reshape (query_, heads_shape)
    key_heads = Reshape (key_, heads_shape)
    value_heads = Reshape (value_windows, heads_shape)
    query = Transpose <perm = [0, 2, 1, 3]> (query_heads)
    key = Transpose <perm = [0, 2, 3, 1]> (key_heads)
    values = Transpose <perm = [0, 2, 1, 3]> (value_heads)
    products = MatMul (query, key)
    logits = Add (products, position_bias)
    weights = Softmax <axis = 3> (logits)
    mixed_heads = MatMul (weights, values)
    mixed_pixels = Transpose <perm = [0, 2, 1, 3]> (mixed_heads)
    mixed = Reshape (mixed_pixels, mixed_shape)
  }> (x_rows, value_rows, feature, inside)
"""

_FUSED = """
  ones = Constant <value_ints = [1, 1]> ()
  read_twice = Mul (read, two)
  read_half = Add (read_twice, which)
  batch_ = Reshape (batch, rest)
  batch_shape = Concat <axis = 0> (batch_, ones)
  pixels_shape = Concat <axis = 0> (batch_, rest, whole)
  halves_shape = Concat <axis = 0> (batch_, rest, part)
  x_pixels = Reshape (x, pixels_shape)
  value_pixels = Reshape (value, halves_shape)
  position_bias = edgesr.RectangleBias <h: int = @h, w: int = @w, shape: ints = @bias> (table)
  attended = Scan <num_scan_inputs = 4, body = row
      (int64[L] place, int64[L] half_place, float[L,F] known, float[L,one] factor) => (float[R,P,C] mixed) {
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
  }> (read, read_half, feature, inside)
"""

_PLACED = """
  per_row_ = Shape <start = 1, end = 2> (read)
  per_row = Squeeze (per_row_)
  place_of_pixel = edgesr.RectanglePlaces <area: int = @area, w: ints = @ws>
    (batch, per_row, row_number, row_offset, column_number, column_offset)
  rows_shape = Concat <axis = 0> (rest, part)
  attended_pixels = Reshape (attended, rows_shape)
  y = Gather <axis = 0> (attended_pixels, place_of_pixel)
}
"""

_LOCAL = """RectangleLocalAttention <h: int, w: int, hs: ints, ws: ints, down: int, right: int, multiple: int, heads: int,
                         groups: int, area: int, windows: ints, split: ints, bias: ints, channels: ints, half_channels: ints>
    (x, batch, height, width, value_weight, value_bias, conv_weight, conv_bias, proj_weight, proj_bias,
     query_weight_0, key_weight_0, table_0, query_weight_1, key_weight_1, table_1) => (y) {
  rest = Constant <value_ints = [-1]> ()
  whole = Constant <value_ints: ints = @channels> ()
  flat = Concat <axis = 0> (rest, whole)
  batch_ = Reshape (batch, rest)
  height_ = Reshape (height, rest)
  width_ = Reshape (width, rest)
  shape = Concat <axis = 0> (batch_, height_, width_, whole)
  pixels = Reshape (x, flat)
  value_pixels = Gemm <transB = 1> (pixels, value_weight, value_bias)
  value = Reshape (value_pixels, shape)
  half_0 = edgesr.RectangleAttention <h: int = @h, w: int = @w, hs: ints = @hs, ws: ints = @ws, down: int = @down,
    right: int = @right, multiple: int = @multiple, heads: int = @heads, half = 0, area: int = @area, windows: ints = @windows,
    split: ints = @split, bias: ints = @bias, channels: ints = @channels, half_channels: ints = @half_channels>
    (x, value, batch, height, width, query_weight_0, key_weight_0, table_0)
  half_1 = edgesr.RectangleAttention <h: int = @w, w: int = @h, hs: ints = @ws, ws: ints = @hs, down: int = @right,
    right: int = @down, multiple: int = @multiple, heads: int = @heads, half = 1, area: int = @area, windows: ints = @windows,
    split: ints = @split, bias: ints = @bias, channels: ints = @channels, half_channels: ints = @half_channels>
    (x, value, batch, height, width, query_weight_1, key_weight_1, table_1)
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

FUNCTIONS = (_POSITIONS, _CUT, _BIAS, _FEATURES, _PLACES, _SIGNATURE + _STANDARD + _PLACED, _LOCAL)
"""Of standard operators."""
FUSED_FUNCTIONS = (
    f"Fused{_SIGNATURE}{_FUSED}{_PLACED}",
    "Fused" + _LOCAL.replace("edgesr.RectangleAttention", "edgesr.FusedRectangleAttention"),
)
"""The same attention as one operator of ONNX Runtime's own; the other functions are those above."""
