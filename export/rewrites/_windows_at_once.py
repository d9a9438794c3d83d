"""What attentions share whose windows are all attended to at once, in the form that TensorRT fuses: windows, heads, two products.

TensorRT makes one kernel of MatMul, Add, Softmax and MatMul on (windows,heads,pixels,channels) in half precision where a head has
16 to 256 channels, a multiple of 8, the same for queries, keys and values; the scores are then never in memory. (Its developer
guide, "Multi-Head Attention Fusion", and docs.nvidia.com/deeplearning/tensorrt, "Fused Attention".)
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting, sizes
from edgesr.export.rewrites._planes import spread

_ALIGNED = 8
_FEWEST = 16


def head_channels(channels: int) -> int:
    """How many channels a head of so many has when it is filled up with zeros for TensorRT's fused kernels."""
    return max(_FEWEST, -(-channels // _ALIGNED) * _ALIGNED)


def filled(weight: Tensor, heads: int, channels: int) -> Tensor:
    """Rows of a weight or bias (heads·c,…), head by head, each with rows of zeros behind it: (heads·channels,…)."""
    weight = weight.detach().reshape(heads, -1, *weight.shape[1:])
    more = weight.new_zeros(heads, channels - weight.shape[1], *weight.shape[2:])
    return torch.cat([weight, more], dim=1).flatten(0, 1)


def linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """The linear layer of a weight (out,in) and a bias (out)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    layer.weight = nn.Parameter(weight.clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.clone())
    return layer


def depthwise(layer: nn.Conv2d, heads: int, channels: int) -> nn.Conv2d:
    """A depthwise 3×3 convolution of heads of more channels, of which the added ones stay 0."""
    assert layer.bias is not None
    more = nn.Conv2d(heads * channels, heads * channels, 3, padding=1, groups=heads * channels, dtype=layer.weight.dtype)
    more.weight = nn.Parameter(filled(layer.weight, heads, channels))
    more.bias = nn.Parameter(filled(layer.bias, heads, channels))
    return more


def in_heads(x: Tensor, heads: int) -> Tensor:
    """(windows,pixels,heads·d) -> (windows,heads,pixels,d)."""
    return x.reshape(x.shape[0], x.shape[1], heads, x.shape[2] // heads).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(Q·Kᵀ + B)·V: three of (windows,heads,pixels,d), bias (heads,pixels,pixels) -> (windows,pixels,heads·d)."""
    scores = query @ key.transpose(2, 3)
    y: Tensor = (scores if bias is None else scores + bias).softmax(dim=3) @ value
    return y.transpose(1, 2).flatten(2)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of h×w pixels on a map that is continued, at the right and at the bottom, to whole `multiple`s of pixels.

    reflected: whether by reflection, otherwise by zeros. down, right: the window grid's offset; the map is rolled by it.
    """

    h: int
    w: int
    multiple: int
    reflected: bool = False
    down: int = 0
    right: int = 0

    def whole(self, x: Tensor) -> tuple[int, int]:
        """Height and width of the map x (B,H,W,…) when it is continued."""
        # Not as −(−side // multiple): ONNX divides towards zero.
        height, width = ((side + self.multiple - 1) // self.multiple * self.multiple for side in x.shape[1:3])
        return height, width

    def cut(self, x: Tensor) -> Tensor:
        """(B,H,W,C) -> (B·windows, h·w, C)."""
        batch, height, width, channels = x.shape
        rows, columns = self.whole(x)
        number = batch * (rows // self.h) * (columns // self.w)
        if exporting():
            return self._call("Cut", x, sizes(x), shape=(number, self.h * self.w, channels))
        missing = (0, columns - width, 0, rows - height)
        x = F.pad(x.permute(0, 3, 1, 2), missing, mode="reflect" if self.reflected else "constant").permute(0, 2, 3, 1)
        x = x.roll((-self.down, -self.right), dims=(1, 2))
        x = x.reshape(-1, self.h, columns // self.w, self.w * channels).transpose(1, 2)
        return x.reshape(number, self.h * self.w, channels)

    def joined(self, windows: Tensor, like: Tensor) -> Tensor:
        """(B·windows, h·w, C) -> (B,H,W,C), with B, H and W of the map `like` (B,H,W,…) that was cut."""
        batch, height, width = like.shape[:3]
        channels = windows.shape[2]
        if exporting():
            return self._call("Join", windows, sizes(like), shape=(batch, height, width, channels))
        rows, columns = self.whole(like)
        x = windows.reshape(-1, columns // self.w, self.h, self.w * channels).transpose(1, 2)
        x = x.reshape(batch, rows, columns, channels).roll((self.down, self.right), dims=(1, 2))
        return x[:, :height, :width]

    def _call(self, name: str, x: Tensor, lengths: list[Tensor], *, shape: tuple[int | torch.SymInt, ...]) -> Tensor:
        channels = x.shape[-1]
        attributes: dict[str, list[int]] = {
            "multiple": [self.multiple],
            "less": [self.multiple - 1],
            "side": [self.h],
            "across": [self.w],
            "row": [self.w * channels],
            "list": [-1, self.h * self.w, channels],
            "last": [channels],
            "down": [self.down],
            "right": [self.right],
            "up": [-self.down],
            "left": [-self.right],
        }
        rolled = "Rolled" if self.down or self.right else ""
        kind = "Windows" if name == "Join" else "Reflected" if self.reflected else "Continued"
        return call(f"{name}{rolled}{kind}", (x, *lengths[1:]), attributes, like=x, shape=shape)


def biases(table: Tensor, windows: Windows) -> Tensor:
    """`spread(table, h, w)` as a function of ONNX: as a dozen operators for each attention it would take long to trace."""
    h, w, heads = windows.h, windows.w, table.shape[0]
    if not exporting():
        return spread(table, h, w)
    wide, high = 2 * w - 1, 2 * h - 1
    attributes: dict[str, list[int]] = {
        "copies_x": [1, 1, w],
        "end_x": [w * wide],
        "lines_x": [heads, 2 * h, w, wide],
        "start_x": [w - 1],
        "copies_y": [1, h, 1, 1],
        "end_y": [h * high],
        "lines_y": [heads, h, high, w, w],
        "start_y": [h - 1],
        "square": [heads, h * w, h * w],
    }
    return call("SpreadBiases", (table,), attributes, like=table, shape=(heads, h * w, h * w))


_SPREAD = """
SpreadBiases <copies_x: ints, end_x: ints, lines_x: ints, start_x: ints,
  copies_y: ints, end_y: ints, lines_y: ints, start_y: ints, square: ints> (table) => (y) {
  none = Constant <value_ints = [0]> ()
  first = Constant <value_ints = [1]> ()
  second = Constant <value_ints = [2]> ()
  third = Constant <value_ints = [3]> ()
  far = Constant <value_ints = [1048576]> ()
  copies_x = Constant <value_ints: ints = @copies_x> ()
  end_x = Constant <value_ints: ints = @end_x> ()
  lines_x = Constant <value_ints: ints = @lines_x> ()
  start_x = Constant <value_ints: ints = @start_x> ()
  copies_y = Constant <value_ints: ints = @copies_y> ()
  end_y = Constant <value_ints: ints = @end_y> ()
  lines_y = Constant <value_ints: ints = @lines_y> ()
  start_y = Constant <value_ints: ints = @start_y> ()
  square = Constant <value_ints: ints = @square> ()
  written_x = Tile (table, copies_x)
  enough_x = Slice (written_x, none, end_x, second)
  in_lines_x = Reshape (enough_x, lines_x)
  moved_x = Slice (in_lines_x, start_x, far, third)
  written_y = Tile (moved_x, copies_y)
  enough_y = Slice (written_y, none, end_y, first)
  in_lines_y = Reshape (enough_y, lines_y)
  moved_y = Slice (in_lines_y, start_y, far, second)
  of_queries = Transpose <perm = [0, 1, 3, 2, 4]> (moved_y)
  y = Reshape (of_queries, square)
}
"""
_ATTRIBUTES = """multiple: ints, less: ints, side: ints, across: ints, row: ints, list: ints, last: ints, down: ints, right: ints,
  up: ints, left: ints"""
_SIZES = """
  none = Constant <value_ints = [0]> ()
  first = Constant <value_ints = [1]> ()
  second = Constant <value_ints = [2]> ()
  rest = Constant <value_ints = [-1]> ()
  far = Constant <value_ints = [1048576]> ()
  multiple = Constant <value_ints: ints = @multiple> ()
  less = Constant <value_ints: ints = @less> ()
  side = Constant <value_ints: ints = @side> ()
  across = Constant <value_ints: ints = @across> ()
  row = Constant <value_ints: ints = @row> ()
  rows = Reshape (height, rest)
  columns = Reshape (width, rest)
  size = Concat <axis = 0> (rows, columns)
  more = Add (size, less)
  multiples = Div (more, multiple)
  whole_size = Mul (multiples, multiple)
  more_columns = Add (columns, less)
  multiples_across = Div (more_columns, multiple)
  whole_columns = Mul (multiples_across, multiple)
  windows_in_row = Div (whole_columns, across)
"""


def _rolled(x: str, y: str, down: str, right: str) -> str:
    """The nodes that roll the map `x` into `y`: from row `down` and column `right` on, and what is before them behind it."""
    return f"""
  down = Constant <value_ints: ints = @{down}> ()
  right = Constant <value_ints: ints = @{right}> ()
  lower = Slice ({x}, down, far, first)
  upper = Slice ({x}, none, down, first)
  by_rows = Concat <axis = 1> (lower, upper)
  behind = Slice (by_rows, right, far, second)
  before = Slice (by_rows, none, right, second)
  {y} = Concat <axis = 2> (behind, before)
"""


def _cut(name: str, mode: str, *, rolled: bool) -> str:
    return f"""
{name} <{_ATTRIBUTES}> (x, height, width) => (y) {{
{_SIZES}
  nothing = Constant <value_ints = [0, 0, 0, 0, 0]> ()
  list = Constant <value_ints: ints = @list> ()
  missing = Sub (whole_size, size)
  continuation = Concat <axis = 0> (nothing, missing, none)
  whole = Pad <mode = "{mode}"> (x, continuation)
{_rolled("whole", "map", "down", "right") if rolled else "  map = Identity (whole)"}
  tiling = Concat <axis = 0> (rest, side, windows_in_row, row)
  tiles = Reshape (map, tiling)
  in_turn = Transpose <perm = [0, 2, 1, 3]> (tiles)
  y = Reshape (in_turn, list)
}}
"""


def _join(name: str, *, rolled: bool) -> str:
    return f"""
{name} <{_ATTRIBUTES}> (x, height, width) => (y) {{
{_SIZES}
  last = Constant <value_ints: ints = @last> ()
  both = Constant <value_ints = [1, 2]> ()
  origin = Constant <value_ints = [0, 0]> ()
  untiling = Concat <axis = 0> (rest, windows_in_row, side, row)
  tiles = Reshape (x, untiling)
  in_rows = Transpose <perm = [0, 2, 1, 3]> (tiles)
  shape = Concat <axis = 0> (rest, whole_size, last)
  map = Reshape (in_rows, shape)
{_rolled("map", "whole", "up", "left") if rolled else "  whole = Identity (map)"}
  y = Slice (whole, origin, size, both)
}}
"""


REFLECTED = (_SPREAD, _cut("CutReflected", "reflect", rolled=False), _join("JoinWindows", rolled=False))
"""The ONNX functions of windows of a map that is continued by reflection and not rolled."""
CONTINUED = (
    _SPREAD,
    _cut("CutContinued", "constant", rolled=False),
    _join("JoinWindows", rolled=False),
    _cut("CutRolledContinued", "constant", rolled=True),
    _join("JoinRolledWindows", rolled=True),
)
"""Those of a map that is continued by zeros."""
