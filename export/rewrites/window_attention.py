"""ESC's attention in windows: one window at a time, with biases that are spread from a small table.

    softmax(Q·Kᵀ/√d + B)·V, window by window, where 1/√d goes into the weights that make Q. Further:

    Q·(K + 1·bᵀ)ᵀ = Q·Kᵀ + (Q·b)·1ᵀ, and softmax(l + c) = softmax(l) for every number c: the bias of the keys has no effect
    pixelwise(continue(x)) = continue(pixelwise(x)): a 1×1 convolution commutes with reflection and with partition into windows
    B[(qy,qx),(ky,kx)] = T[ky − qy + w − 1, kx − qx + w − 1]
    T[k − q + w − 1] = [T; 0; T; 0; …][(2w − 1)·q + k + w − 1] in each direction, for 0 ≤ q, k < w

for every x (B,C,H,W) with H and W of at least w/2+1 and every table T (2w−1)×(2w−1) of each head. So B follows from T by
repetition and cuts, and the file holds neither the w⁴ biases of a head nor the indices that the reference gathers them by.

The logits of all windows are never alive at once: ESC's would take 268 MB at 128×128. The body of the Scan reads nothing but its
slices and constants, B is made in it, and it holds no other Scan: runtimes that know Scan demand that, and make B when they load.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites._window_attention import ATTRIBUTES, INPUTS, MERGE, PARTITION, ProjectedWindows
from edgesr.models._esc_blocks import WindowAttention
from edgesr.seeding import seed_weights

_HEAD = f"""
WindowAttention <{ATTRIBUTES}, heads: ints,
  repeated_x: ints, line_x: ints, cut_x: ints, rows_x: ints, repeated_y: ints, line_y: ints, cut_y: ints, rows_y: ints,
  offset: ints, square: ints>
({INPUTS}, table) => (y) {{
"""

_CORE = """
  pixels_of_heads = Constant <value_ints: ints = @heads> ()
  query_heads = Reshape (query, pixels_of_heads)
  key_heads = Reshape (key, pixels_of_heads)
  value_heads = Reshape (value, pixels_of_heads)
  queries = Transpose <perm = [0, 2, 1, 3]> (query_heads)
  keys = Transpose <perm = [0, 2, 3, 1]> (key_heads)
  values = Transpose <perm = [0, 2, 1, 3]> (value_heads)
  attended = Scan <num_scan_inputs = 3, body = window (float[A,Q,D] q, float[A,D,K] k, float[A,K,D] v) => (float[A,Q,D] answer) {
    start = Constant <value_ints = [0]> ()
    offset = Constant <value_ints: ints = @offset> ()
    far = Constant <value_ints = [1048576]> ()
    second = Constant <value_ints = [1]> ()
    third = Constant <value_ints = [2]> ()
    last = Constant <value_ints = [3]> ()
    repeated_x = Constant <value_ints: ints = @repeated_x> ()
    line_x = Constant <value_ints: ints = @line_x> ()
    cut_x = Constant <value_ints: ints = @cut_x> ()
    rows_x = Constant <value_ints: ints = @rows_x> ()
    repeated_y = Constant <value_ints: ints = @repeated_y> ()
    line_y = Constant <value_ints: ints = @line_y> ()
    cut_y = Constant <value_ints: ints = @cut_y> ()
    rows_y = Constant <value_ints: ints = @rows_y> ()
    square = Constant <value_ints: ints = @square> ()
    written_x = Expand (table, repeated_x)
    in_line_x = Reshape (written_x, line_x)
    enough_x = Slice (in_line_x, start, cut_x, third)
    moved_x = Reshape (enough_x, rows_x)
    biases_x = Slice (moved_x, offset, far, last)
    again = Unsqueeze (biases_x, second)
    written_y = Expand (again, repeated_y)
    in_line_y = Reshape (written_y, line_y)
    enough_y = Slice (in_line_y, start, cut_y, second)
    moved_y = Reshape (enough_y, rows_y)
    biases_y = Slice (moved_y, offset, far, third)
    of_queries = Transpose <perm = [0, 1, 3, 2, 4]> (biases_y)
    biases = Reshape (of_queries, square)
    products = MatMul (q, k)
    logits = Add (products, biases)
    weights = Softmax <axis = -1> (logits)
    answer = MatMul (weights, v)
  }> (queries, keys, values)
  windows = Transpose <perm = [0, 2, 1, 3]> (attended)
"""


class WindowAttentionInTurn(ProjectedWindows):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the WindowAttention that it is made from."""

    @property
    def function(self) -> str:
        return "WindowAttention"

    def biases(self) -> Tensor:
        """B, (heads,w²,w²)."""
        w, heads, odd = self.window, self.heads, 2 * self.window - 1
        # A row of 2w entries, written over and over and cut into rows of 2w−1, moves on by one entry from row to row.
        table = self.table.expand(-1, -1, w, -1).reshape(heads, 2 * w, 2 * w * w)[:, :, : w * odd]
        table = table.reshape(heads, 2 * w, w, odd)[:, :, :, w - 1 :]
        table = table.unsqueeze(1).expand(-1, w, -1, -1, -1).reshape(heads, 2 * w * w, w, w)[:, : w * odd]
        table = table.reshape(heads, w, odd, w, w)[:, :, w - 1 :]
        return table.transpose(2, 3).reshape(heads, w * w, w * w)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return (query @ key.transpose(2, 3) + self.biases()).softmax(dim=3) @ value

    def tables(self) -> tuple[Tensor, ...]:
        return (self.table,)

    def attributes(self, channels: int) -> dict[str, int | list[int]]:
        w, heads, odd = self.window, self.heads, 2 * self.window - 1
        return super().attributes(channels) | {
            "heads": [-1, w * w, heads, channels // heads],
            "repeated_x": [heads, 2 * w, w, 2 * w],
            "line_x": [heads, 2 * w, 2 * w * w],
            "cut_x": [w * odd],
            "rows_x": [heads, 2 * w, w, odd],
            "repeated_y": [heads, w, 2 * w, w, w],
            "line_y": [heads, 2 * w * w, w, w],
            "cut_y": [w * odd],
            "rows_y": [heads, w, odd, w, w],
            "offset": [w - 1],
            "square": [heads, w * w, w * w],
        }


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
        table=nn.Parameter(F.pad(table, (0, 1, 0, 0, 0, 1))),
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
        return Refusal(reason="its windows are taken one by one already")
    return in_turn(module) if type(module) is WindowAttention else None


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
    equation="softmax(Q·Kᵀ/√d + B)·V window by window, B[(qy,qx),(ky,kx)] = T[ky − qy + w − 1, kx − qx + w − 1]",
    serves=frozenset({"any_size", "bounded_memory"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(_HEAD + PARTITION + _CORE + MERGE,),
)
