"""ESC's attention in windows: logits of a few rows of queries at a time, window after window, with biases cut from a small table.

    softmax(Q·Kᵀ/√d + B)·V, row by row:   y[q] = Σₖ exp(l[q,k] − m[q])·V[k] / Σₖ exp(l[q,k] − m[q]),   m[q] = maxₖ l[q,k]

for every q by itself, so that queries may be taken in any portions; 1/√d goes into the weights that make Q. Further:

    pixelwise(continue(x)) = continue(pixelwise(x))      a 1×1 convolution commutes with reflection, and with partition into windows
    B[(qy,qx),(ky,kx)] = T[ky − qy + w − 1, kx − qx + w − 1] = E[qx, ky − qy + w − 1, kx],   E[qx,j,kx] = T[j, kx − qx + w − 1]
    softmax([l, −∞])·[V; 0] = softmax(l)·V

for every x (B,C,H,W) with H and W of at least w/2+1 and every table T (2w−1)×(2w−1) of each head. E has w·(2w−1)·w entries where
B has w⁴, and the biases of one row of queries against all keys lie in it side by side: a slice, where the reference gathers.

The logits of all windows are never alive at once: ESC's would take 268 MB at 128×128. Those of one turn stay in the cache. A key of
logit −∞ is added where a row of logits would take a multiple of 4096 bytes, because rows that far apart compete for the same
places in the first cache: the two products take a seventh less time.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._esc_blocks import WindowAttention
from edgesr.seeding import seed_weights

_CACHE_BYTES = 1 << 20
"""What the logits of one turn may take, if one row of queries takes no more: the second-level cache of a core."""
_ALIASING, _SPARE = 1024, 16
"""Rows of a multiple of so many logits get so many keys more that are not there."""

_PARTITION = """ (x, w_query, b_query, w_key, b_key, w_value, b_value, w_out, b_out, shifted, starts, absent) => (y) {
  none = Constant <value_ints = [0]> ()
  one = Constant <value_ints = [1]> ()
  rest = Constant <value_ints = [-1]> ()
  nothing = Constant <value_ints = [0, 0, 0, 0, 0]> ()
  side = Constant <value_ints: ints = @side> ()
  batch = Shape <start = 0, end = 1> (x)
  height = Shape <start = 1, end = 2> (x)
  width = Shape <start = 2, end = 3> (x)
  channels = Shape <start = 3> (x)
  last_row = Sub (height, one)
  last_column = Sub (width, one)
  rows_before = Div (last_row, side)
  columns_before = Div (last_column, side)
  rows = Add (rows_before, one)
  columns = Add (columns_before, one)
  whole_height = Mul (rows, side)
  whole_width = Mul (columns, side)
  down = Sub (whole_height, height)
  right = Sub (whole_width, width)
  continuation = Concat <axis = 0> (nothing, down, right, none)
  whole = Pad <mode = "reflect"> (x, continuation)
  bands = Mul (batch, rows)
  row = Mul (side, channels)
  tiling = Concat <axis = 0> (bands, side, columns, row)
  tiles = Reshape (whole, tiling)
  tiles_in_turn = Transpose <perm = [0, 2, 1, 3]> (tiles)
  list = Concat <axis = 0> (rest, channels)
  pixels = Reshape (tiles_in_turn, list)
  query = Gemm <transB = 1> (pixels, w_query, b_query)
  key = Gemm <transB = 1> (pixels, w_key, b_key)
  value = Gemm <transB = 1> (pixels, w_value, b_value)
"""

_CORE = """
  query_shape = Constant <value_ints: ints = @portions> ()
  key_shape = Constant <value_ints: ints = @windows> ()
  spare = Constant <value_ints: ints = @spare> ()
  bias_shape = Constant <value_ints: ints = @biases> ()
  spare_biases = Constant <value_ints: ints = @spare_biases> ()
  keys_axis = Constant <value_ints = [2]> ()
  query_heads = Reshape (query, query_shape)
  portions = Transpose <perm = [1, 0, 3, 2, 4]> (query_heads)
  key_windows = Reshape (key, key_shape)
  value_windows = Reshape (value, key_shape)
  keys_there = Pad (key_windows, spare)
  values_there = Pad (value_windows, spare)
  keys = Transpose <perm = [0, 2, 3, 1]> (keys_there)
  values = Transpose <perm = [0, 2, 1, 3]> (values_there)
  attended = Scan <num_scan_inputs = 2, body = portion (float[N,A,Q,D] queries, int64[1] start) => (float[N,A,Q,D] answers) {
    end = Add (start, side)
    slice = Slice (shifted, start, end, keys_axis)
    side_by_side = Reshape (slice, bias_shape)
    bias = Pad (side_by_side, spare_biases, absent)
    answers = Scan <num_scan_inputs = 3, body = window (float[A,Q,D] q, float[A,D,K] k, float[A,K,D] v) => (float[A,Q,D] a) {
      products = MatMul (q, k)
      logits = Add (products, bias)
      weights = Softmax <axis = -1> (logits)
      a = MatMul (weights, v)
    }> (queries, keys, values)
  }> (portions, starts)
  answers_in_turn = Transpose <perm = [1, 0, 3, 2, 4]> (attended)
"""

_MERGE = """
  mixed = Reshape (answers_in_turn, list)
  out = Gemm <transB = 1> (mixed, w_out, b_out)
  untiling = Concat <axis = 0> (bands, columns, side, row)
  out_tiles = Reshape (out, untiling)
  out_rows = Transpose <perm = [0, 2, 1, 3]> (out_tiles)
  map = Concat <axis = 0> (batch, whole_height, whole_width, channels)
  out_whole = Reshape (out_rows, map)
  corner = Concat <axis = 0> (height, width)
  origin = Constant <value_ints = [0, 0]> ()
  plane = Constant <value_ints = [1, 2]> ()
  y = Slice (out_whole, origin, corner, plane)
}
"""

_ATTRIBUTES = " <side: ints, portions: ints, windows: ints, spare: ints, biases: ints, spare_biases: ints>"


def function(name: str, core: str) -> str:
    """The ONNX function `name` of a window attention, whose `core` makes answers_in_turn of query, key and value."""
    return name + _ATTRIBUTES + _PARTITION + core + _MERGE


class WindowAttentionInTurn(nn.Module):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the WindowAttention that it is made from."""

    function_name = "WindowAttention"

    def __init__(self, reference: WindowAttention) -> None:
        super().__init__()
        w, heads = reference.window, reference.heads
        self.window, self.heads = w, heads
        self.rows = rows_in_a_turn(w, heads)
        self.spare = _SPARE if w**2 % _ALIASING == 0 else 0
        self.position_bias = reference.relative_position_bias
        weights = reference.to_qkv.weight.detach().flatten(1).chunk(3)
        assert reference.to_qkv.bias is not None
        biases = reference.to_qkv.bias.detach().chunk(3)
        scale = (len(biases[0]) // heads) ** -0.5
        self.query = _linear(weights[0] * scale, biases[0] * scale)
        self.key = _linear(weights[1], biases[1])
        self.value = _linear(weights[2], biases[2])
        assert reference.to_out.bias is not None
        self.out = _linear(reference.to_out.weight.detach().flatten(1), reference.to_out.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        y = self._call(last) if exporting() else self._compute(last)
        return y.permute(0, 3, 1, 2)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """Queries (windows,heads,Q,d), keys and values (windows,heads,K,d), bias (heads,Q,K) -> (windows,heads,Q,d)."""
        return (query @ key.transpose(2, 3) + bias).softmax(dim=3) @ value

    def shifted_tables(self) -> Tensor:
        """E for each row of queries in a turn, moved down by that row, (heads, rows·w, 2w+rows−2, w)."""
        w, rows = self.window, self.rows
        # A row of 2w entries, written over and over and cut into rows of 2w−1, moves on by one entry from row to row.
        table = F.pad(self.position_bias.reshape(self.heads, 2 * w - 1, 1, 2 * w - 1), (0, 1)).expand(-1, -1, w, -1)
        table = table.reshape(self.heads, 2 * w - 1, 2 * w * w)[:, :, : w * (2 * w - 1)]
        table = table.reshape(self.heads, 2 * w - 1, w, 2 * w - 1)[:, :, :, w - 1 :].transpose(1, 2)
        return torch.cat([F.pad(table, (0, 0, row, rows - 1 - row)) for row in range(rows)], dim=1)

    def starts(self) -> Tensor:
        """Where each turn's slice of the shifted tables starts, (turns,1)."""
        return torch.arange(self.window - 1, -1, -self.rows).unsqueeze(1)

    def _compute(self, x: Tensor) -> Tensor:
        """(B,H,W,C) -> (B,H,W,C)."""
        batch, height, width, channels = x.shape
        w, heads, dim = self.window, self.heads, channels // self.heads
        rows, columns = -(-height // w), -(-width // w)
        x = F.pad(x.permute(0, 3, 1, 2), (0, columns * w - width, 0, rows * w - height), mode="reflect").permute(0, 2, 3, 1)
        pixels = x.reshape(batch * rows, w, columns, w * channels).transpose(1, 2).reshape(-1, w * w, channels)
        query, key, value = (
            linear(pixels).reshape(-1, w * w, heads, dim).transpose(1, 2) for linear in (self.query, self.key, self.value)
        )
        key, value = F.pad(key, (0, 0, 0, self.spare)), F.pad(value, (0, 0, 0, self.spare))
        tables, answers = self.shifted_tables(), []
        for portion, start in zip(query.split(self.rows * w, dim=2), self.starts().flatten().tolist(), strict=True):
            bias = F.pad(tables[:, :, start : start + w].flatten(2), (0, self.spare), value=-torch.inf)
            answers.append(self.attend(portion, key, value, bias))
        y = self.out(torch.cat(answers, dim=2).transpose(1, 2).reshape(-1, w * w, channels))
        y = y.reshape(batch * rows, columns, w, w * channels).transpose(1, 2)
        return y.reshape(batch, rows * w, columns * w, channels)[:, :height, :width]

    def _call(self, x: Tensor) -> Tensor:
        w, heads, dim = self.window, self.heads, x.shape[3] // self.heads
        turn = self.rows * w
        attributes = {
            "side": [w],
            "portions": [-1, w // self.rows, turn, heads, dim],
            "windows": [-1, w * w, heads, dim],
            "spare": [0, 0, 0, 0, 0, self.spare, 0, 0],
            "biases": [heads, turn, w * w],
            "spare_biases": [0, 0, 0, 0, 0, self.spare],
        }
        linears = (self.query, self.key, self.value, self.out)
        weights = [tensor for linear in linears for tensor in (linear.weight, linear.bias)]
        absent = torch.full((), -torch.inf, dtype=x.dtype)
        inputs = (x, *weights, self.shifted_tables(), self.starts(), absent)
        return call(self.function_name, inputs, attributes, like=x, shape=x.shape)


def rows_in_a_turn(window: int, heads: int) -> int:
    """As many rows of queries as divide the window, with logits in the cache."""
    row = heads * window**3 * 4
    return max(rows for rows in range(1, window + 1) if window % rows == 0 and (rows == 1 or rows * row <= _CACHE_BYTES))


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
    linear.weight, linear.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return linear


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, WindowAttentionInTurn):
        return Refusal(reason="its queries are taken in portions already")
    return WindowAttentionInTurn(module) if isinstance(module, WindowAttention) else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for window, heads, shape in ((4, 2, (2, 8, 9, 7)), (5, 3, (1, 6, 3, 12)), (32, 2, (1, 4, 33, 32))):
        module = WindowAttention(shape[1], window=window, heads=heads).double()
        seed_weights(module)
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=module, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [WindowAttentionInTurn(WindowAttention(8, window=4, heads=2))]


REWRITE = Rewrite(
    equation="softmax(Q·Kᵀ/√d + B)·V row by row of queries, B[(qy,qx),(ky,kx)] = E[qx, ky − qy + w − 1, kx]",
    serves=frozenset({"any_size", "bounded_memory"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(function("WindowAttention", _CORE),),
)
