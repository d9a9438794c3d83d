"""ESC's attention in windows: logits of a few rows of queries at a time, window after window, with biases cut from a small table.

    softmax(Q·Kᵀ + B)·V, row by row:   y[q] = Σₖ exp(l[q,k] − m[q])·V[k] / Σₖ exp(l[q,k] − m[q]),   m[q] = maxₖ l[q,k]

for every q by itself, so that queries may be taken in any portions. Further:

    B[(qy,qx),(ky,kx)] = T[ky − qy + w − 1, kx − qx + w − 1] = E[qx, ky − qy + w − 1, kx],   E[qx,j,kx] = T[j, kx − qx + w − 1]

for every map (B,C,H,W) with H and W of at least w/2+1 and every table T (2w−1)×(2w−1) of each head. E has w·(2w−1)·w entries
where B has w⁴, and the biases of one row of queries against all keys lie in it side by side: a slice of it.

The logits of one turn stay in the caches. The biases of a turn are those of all windows: so portions come first, then windows, in
two Scans. com.microsoft.MultiHeadAttention gives each thread whole heads, from the biases to the product with the values, where
the operators by themselves share every product out among the threads and wait for both. An odd number of heads is made even by
taking the two halves of a turn's columns as heads of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites import window_attention
from edgesr.export.rewrites._window_attention import ATTRIBUTES, INPUTS, MERGE, PARTITION, ProjectedWindows
from edgesr.export.rewrites.window_attention import WindowAttentionInTurn

_TURN_BYTES = 1 << 21
"""What the logits of one turn take at most, all heads together."""


def _function(name: str, *, folded: bool) -> str:
    """The ONNX function; `folded`: the queries of a turn in two halves, as if they were of twice as many heads."""
    return f"""
{name}
<{ATTRIBUTES}, heads: int, query_parts: ints, query_turns: ints, pixels_of_heads: ints, copies: ints, biases_of_turn: ints,
  answer_parts: ints>
({INPUTS}, biases, starts, offsets) => (y) {{
{PARTITION}
  query_parts = Constant <value_ints: ints = @query_parts> ()
  query_turns = Constant <value_ints: ints = @query_turns> ()
  pixels_of_heads = Constant <value_ints: ints = @pixels_of_heads> ()
  copies = Constant <value_ints: ints = @copies> ()
  biases_of_turn = Constant <value_ints: ints = @biases_of_turn> ()
  answer_parts = Constant <value_ints: ints = @answer_parts> ()
  in_parts = Reshape (query, query_parts)
  columns_first = Transpose <perm = [0, 3, 1, 2, 4]> (in_parts)
  queries = Reshape (columns_first, query_turns)
  key_pixels = Reshape (key, pixels_of_heads)
  key_heads = Transpose <perm = [0, 1, 3, 2, 4]> (key_pixels)
  value_pixels = Reshape (value, pixels_of_heads)
  value_heads = Transpose <perm = [0, 1, 3, 2, 4]> (value_pixels)
{_FOLD if folded else _NO_FOLD}
  attended = Scan <num_scan_inputs = 2, scan_input_axes = [1, 0], scan_output_axes = [1], body = portion (
    float[N,B,Q,C] some, int64[1,1] start
  ) => (float[N,B,Q,C] answers) {{
    differences = Add (start, offsets)
    of_rows = Gather <axis = 2> (biases, differences)
    mask = Reshape (of_rows, biases_of_turn)
    answers = Scan <num_scan_inputs = 3, body = window (
      float[B,Q,C] q, float[B,A,K,D] k, float[B,A,K,D] v
    ) => (float[B,Q,C] answer) {{
      answer = com.microsoft.MultiHeadAttention <num_heads: int = @heads, scale = 1.0> (q, k, v, , , mask)
    }}> (some, keys, values)
  }}> (queries, starts)
  answered = Reshape (attended, answer_parts)
  windows = Transpose <perm = [0, 2, 3, 1, 4]> (answered)
{MERGE}"""


_NO_FOLD = """
  keys = Identity (key_heads)
  values = Identity (value_heads)
"""
_FOLD = """
  keys = Tile (key_heads, copies)
  values = Tile (value_heads, copies)
"""


@dataclass(frozen=True)
class Portions:
    """How the queries of a window of w×w pixels are taken: in `turns` turns of `rows` rows, their columns in `folds` parts."""

    folds: int
    rows: int
    turns: int


def portions(window: int, heads: int) -> Portions:
    """As many rows at a time as divide the window and whose logits fit, and at least one; an odd number of heads is doubled."""
    row = 4 * heads * window**3
    rows = max(rows for rows in range(1, window + 1) if window % rows == 0 and (rows == 1 or rows * row <= _TURN_BYTES))
    return Portions(folds=2 if heads % 2 and window % 2 == 0 else 1, rows=rows, turns=window // rows)


class WindowAttentionInPortions(ProjectedWindows):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the WindowAttentionInTurn that it is made from."""

    def __init__(
        self, *, window: int, heads: int, table: nn.Parameter, query: nn.Linear, key: nn.Linear, value: nn.Linear, out: nn.Linear
    ) -> None:
        super().__init__(window=window, heads=heads, table=table, query=query, key=key, value=value, out=out)
        self.portions = portions(window, heads)

    @property
    def function(self) -> str:
        """The ONNX function that fits."""
        return "FoldedAttentionInPortions" if self.portions.folds == 2 else "WindowAttentionInPortions"

    def biases(self) -> Tensor:
        """E, (folds·heads, w/folds, 2w−1, w): for each part of the columns the heads."""
        w, folds = self.window, self.portions.folds
        # A row of 2w entries, written over and over and cut into rows of 2w−1, moves on by one entry from row to row.
        biases = self.table.expand(-1, -1, w, -1).reshape(self.heads, 2 * w - 1, 2 * w * w)[:, :, : w * (2 * w - 1)]
        biases = biases.reshape(self.heads, 2 * w - 1, folds, w // folds, 2 * w - 1)[..., w - 1 :]
        return biases.permute(2, 0, 3, 1, 4).flatten(0, 1)

    def starts(self) -> Tensor:
        """The difference ky − qy + w − 1 for the first row of each turn and ky = 0, (turns,1,1)."""
        return torch.arange(self.window - 1, -1, -self.portions.rows).reshape(-1, 1, 1)

    def offsets(self) -> Tensor:
        """What to add to it for the rows of a turn and all ky, (rows,w)."""
        return torch.arange(self.window) - torch.arange(self.portions.rows).unsqueeze(1)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        w, rows, biases, offsets = self.window, self.portions.rows, self.biases(), self.offsets()
        answers = []
        for turn, start in zip(query.chunk(self.portions.turns, dim=2), self.starts(), strict=True):
            columns_first = turn.unflatten(2, (rows, w)).transpose(2, 3).flatten(2, 3)  # type: ignore[no-untyped-call]  # torch's
            mask = biases[:, :, start + offsets].unflatten(0, (self.portions.folds, self.heads))  # type: ignore[no-untyped-call]  # torch's
            mask = mask.transpose(0, 1).reshape(self.heads, w * rows, w * w)
            answer = (columns_first @ key.transpose(2, 3) + mask).softmax(dim=3) @ value
            answers.append(answer.reshape(*answer.shape[:2], w, rows, -1).transpose(2, 3).flatten(2, 3))
        return torch.cat(answers, dim=2)

    def tables(self) -> tuple[Tensor, ...]:
        return self.biases(), self.starts(), self.offsets()

    def attributes(self, channels: int) -> dict[str, int | list[int]]:
        w, heads, folds, rows, turns = self.window, self.heads, self.portions.folds, self.portions.rows, self.portions.turns
        queries, width = rows * w // folds, channels // heads
        return super().attributes(channels) | {
            "heads": folds * heads,
            "query_parts": [-1, rows, folds, w // folds, channels],
            "query_turns": [-1, turns, 1, queries, folds * channels],
            "pixels_of_heads": [-1, 1, w * w, heads, width],
            "copies": [1, 1, folds, 1, 1],
            "biases_of_turn": [1, folds * heads, queries, w * w],
            "answer_parts": [-1, w // folds, rows, folds, channels],
        }


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
    return in_portions(module) if type(module) is WindowAttentionInTurn else None


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
    functions=(_function("WindowAttentionInPortions", folded=False), _function("FoldedAttentionInPortions", folded=True)),
)
