"""ESC's attention in windows: logits of a few rows of queries at a time, window after window, with biases cut from a small table.

    softmax(Q·Kᵀ/√d + B)·V, row by row:   y[q] = Σₖ exp(l[q,k] − m[q])·V[k] / Σₖ exp(l[q,k] − m[q]),   m[q] = maxₖ l[q,k]

for every q by itself, so that queries may be taken in any portions; 1/√d goes into the weights that make Q. Further:

    Q·(K + 1·bᵀ)ᵀ = Q·Kᵀ + (Q·b)·1ᵀ, and softmax(l + c) = softmax(l) for every number c: the bias of the keys has no effect
    pixelwise(continue(x)) = continue(pixelwise(x)): a 1×1 convolution commutes with reflection and with partition into windows
    B[(qy,qx),(ky,kx)] = T[ky − qy + w − 1, kx − qx + w − 1] = E[qx, ky − qy + w − 1, kx],   E[qx,j,kx] = T[j, kx − qx + w − 1]
    softmax([l, −∞])·[V; 0] = softmax(l)·V

for every x (B,C,H,W) with H and W of at least w/2+1 and every table T (2w−1)×(2w−1) of each head. E has w·(2w−1)·w entries where
B has w⁴, and the biases of one row of queries against all keys lie in it side by side: a slice, where the reference gathers.

The logits of all windows are never alive at once: ESC's would take 268 MB at 128×128. Those of one turn stay in the cache, and so
do its biases, from which the product of one head starts (Gemm) and which all windows share. Keys of logit −∞ are added where a
row of logits would take a multiple of 4096 bytes, because rows that far apart compete for the same places in the first cache:
the two products take a seventh less time. com.microsoft.MultiHeadAttention in place of the standard operators won nothing.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models._esc_blocks import WindowAttention
from edgesr.seeding import seed_weights

_TURN_BYTES = 1 << 19
"""What the logits of one turn take at most: with their biases they fill the second-level cache of a core."""
_ALIASING, _SPARE = 1024, 16
"""Rows of a multiple of so many logits get so many keys more that are not there."""

_PARTITION = """ (x, w_query, b_query, w_key, w_value, b_value, w_out, b_out, shifted, starts, absent) => (y) {
  none = Constant <value_ints = [0]> ()
  nothing = Constant <value_ints = [0, 0, 0, 0, 0]> ()
  origin = Constant <value_ints = [0, 0]> ()
  plane = Constant <value_ints = [1, 2]> ()
  rest = Constant <value_ints = [-1]> ()
  side = Constant <value_ints: ints = @side> ()
  list = Constant <value_ints: ints = @list> ()
  row = Constant <value_ints: ints = @row> ()
  size = Shape <start = 1, end = 3> (x)
  minus_size = Neg (size)
  missing = Mod (minus_size, side)
  continuation = Concat <axis = 0> (nothing, missing, none)
  whole = Pad <mode = "reflect"> (x, continuation)
  map = Shape (whole)
  width = Shape <start = 2, end = 3> (whole)
  columns = Div (width, side)
  tiling = Concat <axis = 0> (rest, side, columns, row)
  tiles = Reshape (whole, tiling)
  tiles_in_turn = Transpose <perm = [0, 2, 1, 3]> (tiles)
  pixels = Reshape (tiles_in_turn, list)
  query = Gemm <transB = 1> (pixels, w_query, b_query)
  key = Gemm <transB = 1> (pixels, w_key)
  value = Gemm <transB = 1> (pixels, w_value, b_value)
"""

_CORE = """
  portions_of_heads = Constant <value_ints: ints = @portions> ()
  keys_of_heads = Constant <value_ints: ints = @keys> ()
  spare_keys = Constant <value_ints: ints = @spare_keys> ()
  spare_biases = Constant <value_ints: ints = @spare_biases> ()
  logits_shape = Constant <value_ints: ints = @logits> ()
  second = Constant <value_ints = [1]> ()
  query_portions = Reshape (query, portions_of_heads)
  key_heads = Reshape (key, keys_of_heads)
  value_heads = Reshape (value, keys_of_heads)
  key_rows = Pad (key_heads, spare_keys)
  value_rows = Pad (value_heads, spare_keys)
  head_queries = Transpose <perm = [3, 1, 0, 2, 4]> (query_portions)
  head_keys = Transpose <perm = [2, 0, 3, 1]> (key_rows)
  head_values = Transpose <perm = [2, 0, 1, 3]> (value_rows)
  attended = Scan <num_scan_inputs = 4, body = head (
    float[P,N,Q,D] queries, float[N,D,K] keys, float[N,K,D] values, float[Q,T,W] tables
  ) => (float[P,N,Q,D] head_answers) {
    head_answers = Scan <num_scan_inputs = 2, body = portion (float[N,Q,D] some, int64[1] start) => (float[N,Q,D] answers) {
      end = Add (start, side)
      slice = Slice (tables, start, end, second)
      biases_of_keys = Reshape (slice, logits_shape)
      biases = Pad (biases_of_keys, spare_biases, absent)
      answers = Scan <num_scan_inputs = 3, body = window (float[Q,D] q, float[D,K] k, float[K,D] v) => (float[Q,D] answer) {
        logits = Gemm (q, k, biases)
        weights = Softmax <axis = -1> (logits)
        answer = MatMul (weights, v)
      }> (some, keys, values)
    }> (queries, starts)
  }> (head_queries, head_keys, head_values, shifted)
  windows = Transpose <perm = [2, 1, 3, 0, 4]> (attended)
"""

_MERGE = """
  mixed = Reshape (windows, list)
  out = Gemm <transB = 1> (mixed, w_out, b_out)
  untiling = Concat <axis = 0> (rest, columns, side, row)
  out_tiles = Reshape (out, untiling)
  out_rows = Transpose <perm = [0, 2, 1, 3]> (out_tiles)
  out_whole = Reshape (out_rows, map)
  y = Slice (out_whole, origin, size, plane)
}
"""

_HEAD = (
    "WindowAttention <side: ints, list: ints, row: ints, portions: ints, keys: ints, spare_keys: ints, spare_biases: ints,"
    " logits: ints>"
)


class WindowAttentionInTurn(nn.Module):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the WindowAttention that it is made from."""

    def __init__(
        self, *, window: int, heads: int, table: nn.Parameter, query: nn.Linear, key: nn.Linear, value: nn.Linear, out: nn.Linear
    ) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.rows = rows_in_a_turn(window)
        self.spare = _SPARE if window**2 % _ALIASING == 0 else 0
        self.table = table
        self.query, self.key, self.value, self.out = query, key, value, out

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        y = self._call(last) if exporting() else self._compute(last)
        return y.permute(0, 3, 1, 2)

    def shifted_tables(self) -> Tensor:
        """E for each row of queries in a turn, moved down by that row, (heads, rows·w, 2w+rows−2, w)."""
        w, rows = self.window, self.rows
        # A row of 2w entries, written over and over and cut into rows of 2w−1, moves on by one entry from row to row.
        table = self.table.expand(-1, -1, w, -1).reshape(self.heads, 2 * w - 1, 2 * w * w)[:, :, : w * (2 * w - 1)]
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
            answers.append((portion @ key.transpose(2, 3) + bias).softmax(dim=3) @ value)
        y = self.out(torch.cat(answers, dim=2).transpose(1, 2).reshape(-1, w * w, channels))
        y = y.reshape(batch * rows, columns, w, w * channels).transpose(1, 2)
        return y.reshape(batch, rows * w, columns * w, channels)[:, :height, :width]

    def _call(self, x: Tensor) -> Tensor:
        linears = (self.query, self.key, self.value, self.out)
        weights = [tensor for linear in linears for tensor in linear.parameters()]
        absent = torch.full((), -torch.inf, dtype=x.dtype)
        inputs = (x, *weights, self.shifted_tables(), self.starts(), absent)
        return call("WindowAttention", inputs, self.attributes(x.shape[3]), like=x, shape=x.shape)

    def attributes(self, channels: int) -> dict[str, int | list[int]]:
        """The numbers in the ONNX function."""
        w, heads, turn = self.window, self.heads, self.rows * self.window
        return {
            "side": [w],
            "list": [-1, channels],
            "row": [w * channels],
            "portions": [-1, w // self.rows, turn, heads, channels // heads],
            "keys": [-1, w * w, heads, channels // heads],
            "spare_keys": [0, 0, 0, 0, 0, self.spare, 0, 0],
            "spare_biases": [0, 0, 0, self.spare],
            "logits": [turn, w * w],
        }


def rows_in_a_turn(window: int) -> int:
    """As many rows of queries as divide the window and whose logits of one head fit; one where that is not enough."""
    row = 4 * window**3
    return max(rows for rows in range(1, window + 1) if window % rows == 0 and (rows == 1 or rows * row <= _TURN_BYTES))


def in_turn(reference: WindowAttention) -> WindowAttentionInTurn:
    """The replacement of `reference`."""
    assert reference.to_qkv.bias is not None
    query, key, value = reference.to_qkv.weight.detach().flatten(1).chunk(3)
    query_bias, _, value_bias = reference.to_qkv.bias.detach().chunk(3)
    scale = (len(query) // reference.heads) ** -0.5
    side = 2 * reference.window - 1
    table = reference.relative_position_bias.detach().reshape(reference.heads, side, 1, side)
    return WindowAttentionInTurn(
        window=reference.window,
        heads=reference.heads,
        table=nn.Parameter(F.pad(table, (0, 1))),
        query=_linear(query * scale, query_bias * scale),
        key=_linear(key, None),
        value=_linear(value, value_bias),
        out=_linear(reference.to_out.weight.detach().flatten(1), reference.to_out.bias),
    )


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    linear.weight = nn.Parameter(weight.clone())
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone())
    return linear


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, WindowAttentionInTurn):
        return Refusal(reason="its queries are taken in portions already")
    return in_turn(module) if isinstance(module, WindowAttention) else None


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
    return [in_turn(WindowAttention(8, window=4, heads=2))]


REWRITE = Rewrite(
    equation="softmax(Q·Kᵀ/√d + B)·V row by row of queries, B[(qy,qx),(ky,kx)] = E[qx, ky − qy + w − 1, kx]",
    serves=frozenset({"any_size", "bounded_memory"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(_HEAD + _PARTITION + _CORE + _MERGE,),
)
