"""ESC's attention in windows: logits of a few rows of queries at a time, window after window, with biases cut from a small table.

    softmax(Q·Kᵀ + B)·V, row by row:   y[q] = Σₖ exp(l[q,k] − m[q])·V[k] / Σₖ exp(l[q,k] − m[q]),   m[q] = maxₖ l[q,k]

for every q by itself, so that queries may be taken in any portions. Further:

    B[(qy,qx),(ky,kx)] = T[ky − qy + w − 1, kx − qx + w − 1] = E[qx, ky − qy + w − 1, kx],   E[qx,j,kx] = T[j, kx − qx + w − 1]

for every map (B,C,H,W) with H and W of at least w/2+1 and every table T (2w−1)×(2w−1) of each head. E has w·(2w−1)·w entries
where B has w⁴, and the biases of one row of queries against all keys lie in it side by side: a slice of it.

The logits of one turn stay in the caches. The biases of a turn are those of all windows: so portions come first, then windows, in
two Scans. com.microsoft.MultiHeadAttention gives each thread whole heads, from the biases to the product with the values, where
the operators by themselves share every product out among the threads and wait for both; few heads become more by taking two
portions as heads of their own. On two threads that is 0.8 of the time of Gemm, Softmax and MatMul for each head of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites import window_attention
from edgesr.export.rewrites._window_attention import ATTRIBUTES, INPUTS, MERGE, PARTITION, ProjectedWindows
from edgesr.export.rewrites.window_attention import WindowAttentionInTurn

_TURN_BYTES = 1 << 21
"""What the logits of one turn take at most, all heads together."""
_ENOUGH_HEADS = 8
"""Fewer are doubled, so that there is work for several threads."""

_CORE = """
  query_portions = Constant <value_ints: ints = @query_portions> ()
  query_turns = Constant <value_ints: ints = @query_turns> ()
  pixels_of_heads = Constant <value_ints: ints = @pixels_of_heads> ()
  copies = Constant <value_ints: ints = @copies> ()
  biases_of_turn = Constant <value_ints: ints = @biases_of_turn> ()
  answers_of_portions = Constant <value_ints: ints = @answers_of_portions> ()
  axis = Constant <value_ints = [2]> ()
  by_portion = Reshape (query, query_portions)
  in_turn = Transpose <perm = [1, 0, 3, 2, 4]> (by_portion)
  queries = Reshape (in_turn, query_turns)
  key_pixels = Reshape (key, pixels_of_heads)
  key_heads = Transpose <perm = [0, 1, 3, 2, 4]> (key_pixels)
  keys = Tile (key_heads, copies)
  value_pixels = Reshape (value, pixels_of_heads)
  value_heads = Transpose <perm = [0, 1, 3, 2, 4]> (value_pixels)
  values = Tile (value_heads, copies)
  attended = Scan <num_scan_inputs = 2, body = portion (float[N,B,Q,C] some, int64[1] start) => (float[N,B,Q,C] answers) {
    end = Add (start, side)
    slice = Slice (shifted, start, end, axis)
    biases = Reshape (slice, biases_of_turn)
    answers = Scan <num_scan_inputs = 3, body = window (
      float[B,Q,C] q, float[B,A,K,D] k, float[B,A,K,D] v
    ) => (float[B,Q,C] answer) {
      answer = com.microsoft.MultiHeadAttention <num_heads: int = @heads, scale = 1.0> (q, k, v, , , biases)
    }> (some, keys, values)
  }> (queries, starts)
  answered = Reshape (attended, answers_of_portions)
  windows = Transpose <perm = [1, 0, 3, 2, 4]> (answered)
"""

_HEAD = f"""
WindowAttentionInPortions
<{ATTRIBUTES}, heads: int, query_portions: ints, query_turns: ints, pixels_of_heads: ints, copies: ints, biases_of_turn: ints,
  answers_of_portions: ints>
({INPUTS}, shifted, starts) => (y) {{
"""


@dataclass(frozen=True)
class Portions:
    """How the queries of a window of w×w pixels are taken: `turns` turns, in each `folds` portions of `rows` rows."""

    folds: int
    rows: int
    turns: int


def portions(window: int, heads: int) -> Portions:
    """As many rows at a time as divide the window and whose logits fit, and at least one."""
    folds = 2 if heads < _ENOUGH_HEADS and window % 2 == 0 else 1
    row = 4 * heads * window**3
    sides = [side for side in range(folds, window + 1, folds) if window % side == 0]
    side = max(side for side in sides if side == folds or side * row <= _TURN_BYTES)
    return Portions(folds=folds, rows=side // folds, turns=window // side)


class WindowAttentionInPortions(ProjectedWindows):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the WindowAttentionInTurn that it is made from."""

    function = "WindowAttentionInPortions"

    def __init__(
        self, *, window: int, heads: int, table: nn.Parameter, query: nn.Linear, key: nn.Linear, value: nn.Linear, out: nn.Linear
    ) -> None:
        super().__init__(window=window, heads=heads, table=table, query=query, key=key, value=value, out=out)
        self.portions = portions(window, heads)

    def shifted_tables(self) -> Tensor:
        """E for each row of queries in a turn, moved down by that row, (folds·heads, rows·w, 2w−2+folds·rows, w)."""
        w, folds, rows = self.window, self.portions.folds, self.portions.rows
        # A row of n entries, written over and over and cut into rows of n−1, moves on by one entry from row to row.
        high, moves = self.table.shape[1], folds * rows
        along_x = self.table.expand(-1, -1, w, -1).reshape(self.heads, high, 2 * w * w)[:, :, : w * (2 * w - 1)]
        along_x = along_x.reshape(self.heads, 1, high, w, 2 * w - 1)[:, :, :, :, w - 1 :]
        along_y = along_x.expand(-1, moves, -1, -1, -1).reshape(self.heads, moves * high, w, w)[:, : moves * (high - 1)]
        along_y = along_y.reshape(self.heads, folds, rows, high - 1, w, w)
        return along_y.permute(1, 0, 2, 4, 3, 5).reshape(folds * self.heads, rows * w, high - 1, w)

    def starts(self) -> Tensor:
        """Where each turn's slice of the shifted tables starts, (turns,1)."""
        return torch.arange(self.window - 1, -1, -self.portions.folds * self.portions.rows).unsqueeze(1)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        windows, w, heads, folds = len(query), self.window, self.heads, self.portions.folds
        key, value = key.repeat(1, folds, 1, 1), value.repeat(1, folds, 1, 1)
        tables, answers = self.shifted_tables(), []
        for turn, start in zip(query.chunk(self.portions.turns, dim=2), self.starts().flatten().tolist(), strict=True):
            some = turn.reshape(windows, heads, folds, -1, turn.shape[3]).transpose(1, 2).flatten(1, 2)
            biases = tables[:, :, start : start + w].flatten(2)
            answer = (some @ key.transpose(2, 3) + biases).softmax(dim=3) @ value
            answers.append(answer.reshape(windows, folds, heads, -1, answer.shape[3]).transpose(1, 2).flatten(2, 3))
        return torch.cat(answers, dim=2)

    def tables(self) -> tuple[Tensor, ...]:
        return self.shifted_tables(), self.starts()

    def attributes(self, channels: int) -> dict[str, int | list[int]]:
        w, folds, turns = self.window, self.portions.folds, self.portions.turns
        queries, heads = self.portions.rows * w, folds * self.heads
        return super().attributes(channels) | {
            "heads": heads,
            "query_portions": [-1, turns, folds, queries, channels],
            "query_turns": [turns, -1, 1, queries, folds * channels],
            "pixels_of_heads": [-1, 1, w * w, self.heads, channels // self.heads],
            "copies": [1, 1, folds, 1, 1],
            "biases_of_turn": [1, heads, queries, w * w],
            "answers_of_portions": [turns, -1, queries, folds, channels],
        }


def in_portions(whole: WindowAttentionInTurn) -> WindowAttentionInPortions:
    """The replacement of `whole`."""
    turn = portions(whole.window, whole.heads)
    return WindowAttentionInPortions(
        window=whole.window,
        heads=whole.heads,
        table=nn.Parameter(F.pad(whole.table.detach(), (0, 0, 0, 0, 0, turn.folds * turn.rows - 1))),
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
