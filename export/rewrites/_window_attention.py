"""What the two forms of ESC's attention in windows share: maps and windows, and the projections between them.

pixelwise(continue(x)) = continue(pixelwise(x)): a 1×1 convolution commutes with reflection and with partition into windows
"""

import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting, sizes

INPUTS = "x, height, width, w_query, b_query, w_key, w_value, b_value, w_out, b_out"
ATTRIBUTES = "side: ints, list: ints, row: ints, last: ints"
"""Of both ONNX functions, which begin with PARTITION, end with MERGE, and make `windows` of query, key and value in between.

All that depends on the sizes alone is the same in every block, so that a file has it once.
"""

PARTITION = """
  none = Constant <value_ints = [0]> ()
  nothing = Constant <value_ints = [0, 0, 0, 0, 0]> ()
  origin = Constant <value_ints = [0, 0]> ()
  plane = Constant <value_ints = [1, 2]> ()
  rest = Constant <value_ints = [-1]> ()
  side = Constant <value_ints: ints = @side> ()
  list = Constant <value_ints: ints = @list> ()
  row = Constant <value_ints: ints = @row> ()
  last = Constant <value_ints: ints = @last> ()
  rows = Reshape (height, rest)
  columns = Reshape (width, rest)
  size = Concat <axis = 0> (rows, columns)
  minus_size = Neg (size)
  missing = Mod (minus_size, side)
  continuation = Concat <axis = 0> (nothing, missing, none)
  whole_size = Add (size, missing)
  map = Concat <axis = 0> (rest, whole_size, last)
  minus_columns = Neg (columns)
  missing_columns = Mod (minus_columns, side)
  whole_columns = Add (columns, missing_columns)
  windows_in_row = Div (whole_columns, side)
  tiling = Concat <axis = 0> (rest, side, windows_in_row, row)
  untiling = Concat <axis = 0> (rest, windows_in_row, side, row)
  whole = Pad <mode = "reflect"> (x, continuation)
  tiles = Reshape (whole, tiling)
  tiles_in_turn = Transpose <perm = [0, 2, 1, 3]> (tiles)
  pixels = Reshape (tiles_in_turn, list)
  query = Gemm <transB = 1> (pixels, w_query, b_query)
  key = Gemm <transB = 1> (pixels, w_key)
  value = Gemm <transB = 1> (pixels, w_value, b_value)
"""

MERGE = """
  mixed = Reshape (windows, list)
  out = Gemm <transB = 1> (mixed, w_out, b_out)
  out_tiles = Reshape (out, untiling)
  out_rows = Transpose <perm = [0, 2, 1, 3]> (out_tiles)
  out_whole = Reshape (out_rows, map)
  y = Slice (out_whole, origin, size, plane)
}
"""


class ProjectedWindows(nn.Module):
    """x (B,C,H,W) -> (B,C,H,W): queries, keys and values of each window, what `attend` makes of them, and its projection.

    table: the biases T of each head with a column of zeros more and as many rows as the form asks for, (heads,≥2w−1,1,2w).
    query: brings 1/√d along.
    """

    def __init__(
        self, *, window: int, heads: int, table: nn.Parameter, query: nn.Linear, key: nn.Linear, value: nn.Linear, out: nn.Linear
    ) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.table = table
        self.query, self.key, self.value, self.out = query, key, value, out

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        y = self._call(last) if exporting() else self._compute(last)
        return y.permute(0, 3, 1, 2)

    @property
    def function(self) -> str:
        """The name of the ONNX function that the whole is exported as."""
        raise NotImplementedError

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Three of (windows,heads,w²,d) -> (windows,heads,w²,d)."""
        raise NotImplementedError

    def tables(self) -> tuple[Tensor, ...]:
        """The ONNX function's inputs after `INPUTS`."""
        raise NotImplementedError

    def attributes(self, channels: int) -> dict[str, int | list[int]]:
        """The numbers in the ONNX function."""
        return {"side": [self.window], "list": [-1, channels], "row": [self.window * channels], "last": [channels]}

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
        y = self.out(self.attend(query, key, value).transpose(1, 2).reshape(-1, w * w, channels))
        y = y.reshape(batch * rows, columns, w, w * channels).transpose(1, 2)
        return y.reshape(batch, rows * w, columns * w, channels)[:, :height, :width]

    def _call(self, x: Tensor) -> Tensor:
        linears = (self.query, self.key, self.value, self.out)
        weights = [tensor for linear in linears for tensor in linear.parameters()]
        _, height, width = sizes(x)
        return call(
            self.function, (x, height, width, *weights, *self.tables()), self.attributes(x.shape[3]), like=x, shape=x.shape
        )
