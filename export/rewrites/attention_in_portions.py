"""ESC's attention in windows: logits of a few rows of queries at a time, window after window, with biases cut from a small table.

    softmax(Q·Kᵀ + B)·V, row by row:   y[q] = Σₖ exp(l[q,k] − m[q])·V[k] / Σₖ exp(l[q,k] − m[q]),   m[q] = maxₖ l[q,k]

for every q by itself, so that queries may be taken in any portions. Further:

    B[(qy,qx),(ky,kx)] = T[ky − qy + w − 1, kx − qx + w − 1] = E[qx, ky − qy + w − 1, kx],   E[qx,j,kx] = T[j, kx − qx + w − 1]
    softmax([l, −∞])·[V; 0] = softmax(l)·V

for every map (B,C,H,W) with H and W of at least w/2+1 and every table T (2w−1)×(2w−1) of each head. E has w·(2w−1)·w entries
where B has w⁴, and the biases of one row of queries against all keys lie in it side by side: a slice of it.

The logits of one turn stay in the cache, and so do its biases, from which the product of one head starts (Gemm) and which all
windows share: so heads come first, then portions, then windows, in Scans that stand in one another. Keys of logit −∞ are added
where a row of logits would take a multiple of 4096 bytes, because rows that far apart compete for the same places in the first
cache: the two products take a seventh less time. com.microsoft.MultiHeadAttention in place of the standard operators won nothing.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites import window_attention
from edgesr.export.rewrites._window_attention import ATTRIBUTES, INPUTS, MERGE, PARTITION, ProjectedWindows
from edgesr.export.rewrites.window_attention import WindowAttentionInTurn

_TURN_BYTES = 1 << 19
"""What the logits of one turn take at most: with their biases they fill the second-level cache of a core."""
_ALIASING, _SPARE = 1024, 16
"""Rows of a multiple of so many logits get so many keys more that are not there."""

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

_HEAD = f"""
WindowAttentionInPortions
<{ATTRIBUTES}, portions: ints, keys: ints, spare_keys: ints, spare_biases: ints, logits: ints>
({INPUTS}, shifted, starts, absent) => (y) {{
"""


class WindowAttentionInPortions(ProjectedWindows):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the WindowAttentionInTurn that it is made from."""

    function = "WindowAttentionInPortions"

    def __init__(
        self, *, window: int, heads: int, table: nn.Parameter, query: nn.Linear, key: nn.Linear, value: nn.Linear, out: nn.Linear
    ) -> None:
        super().__init__(window=window, heads=heads, table=table, query=query, key=key, value=value, out=out)
        self.rows = rows_in_a_turn(window)
        self.spare = _SPARE if window**2 % _ALIASING == 0 else 0

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

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        w, turn = self.window, self.rows * self.window
        key, value = F.pad(key, (0, 0, 0, self.spare)), F.pad(value, (0, 0, 0, self.spare))
        tables, answers = self.shifted_tables(), []
        for number, start in enumerate(self.starts().flatten().tolist()):
            portion = query[:, :, number * turn : (number + 1) * turn]
            bias = F.pad(tables[:, :, start : start + w].flatten(2), (0, self.spare), value=-torch.inf)
            answers.append((portion @ key.transpose(2, 3) + bias).softmax(dim=3) @ value)
        return torch.cat(answers, dim=2)

    def tables(self) -> tuple[Tensor, ...]:
        return self.shifted_tables(), self.starts(), torch.full((), -torch.inf, dtype=self.table.dtype)

    def attributes(self, channels: int) -> dict[str, int | list[int]]:
        w, heads, turn = self.window, self.heads, self.rows * self.window
        return super().attributes(channels) | {
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


def in_portions(whole: WindowAttentionInTurn) -> WindowAttentionInPortions:
    """The replacement of `whole`."""
    return WindowAttentionInPortions(
        window=whole.window,
        heads=whole.heads,
        table=nn.Parameter(whole.table.detach()[:, :-1].clone()),
        query=whole.query,
        key=whole.key,
        value=whole.value,
        out=whole.out,
    )


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, WindowAttentionInPortions):
        return Refusal(reason="its queries are taken in portions already")
    return in_portions(module) if isinstance(module, WindowAttentionInTurn) else None


def _witnesses() -> Sequence[Witness]:
    witnesses = []
    for witness in window_attention.REWRITE.witnesses():
        whole = window_attention.REWRITE.replace(witness.module)
        assert isinstance(whole, WindowAttentionInTurn)
        witnesses.append(Witness(module=whole, inputs=witness.inputs))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [in_portions(witness.module) for witness in _witnesses() if isinstance(witness.module, WindowAttentionInTurn)]


REWRITE = Rewrite(
    equation="softmax(Q·Kᵀ + B)·V row by row of queries, B[(qy,qx),(ky,kx)] = E[qx, ky − qy + w − 1, kx]",
    serves=frozenset({"cache_sized_attention"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    after=("window-attention",),
    functions=(_HEAD + PARTITION + _CORE + MERGE,),
)
