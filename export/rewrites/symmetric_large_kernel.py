"""ESC's large kernel, convolved along the rows axis in the frequency domain, tile by tile.

    x ⊛ K = Bᵀ (K̂ ⊛ (B x))  row by row in every tile, with K̂[f,o,c,·] = Σ_d K[o,c,d,·] cos(π(2f+1)(d−m)/N)

for x (B,C,H,W) and kernels K (O,C,k,k), k = 2m+1, that are invariant under flips, with zero padding m. A tile is N = V+2m rows,
of which the V in the middle are kept. The rows of B (N×N, orthonormal) are cosines and sines of the frequencies (2f+1)/2N,
f < N/2. They diagonalise the convolution that is negacyclic (continued with the opposite sign) in N rows, and because
K[d] = K[−d] its eigenvalues K̂ are real and the same for cosine and sine. What is wrapped around reaches the m outermost rows of a
tile only, which are left out. So every frequency is a 1×k convolution of its own, all of them one grouped convolution.

A direct convolution takes k²·C = 2704 multiplications for a pixel of each of ESC's maps, this one N/V·k·C + N²/V + N = 391.
Transforms along the columns too would save less than they cost in moved data. B x is a strided convolution, its inverse a
transposed one, so no tile is cut out: the number of tiles need not be known.
"""

import math
from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting, sizes
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models.esc import SymmetricConv, mean_of_symmetries
from edgesr.models.esc_fp import SeparableLongRangeConv

_KEPT = 32
"""Rows that a tile gives (V); as long as ESC's windows, so that whole windows are whole tiles."""
_SMALLEST_SIDE = 7
"""Below this the padding of the channels and the transforms take more than the shorter kernel saves."""

_ROW_TILES = """
ConvInRowTiles <into: int, outof: int, frequencies: int, stride: ints, before: ints, along: ints> (
  x, analysis, by_frequency, spectrum, by_channel, synthesis
) => (y) {
  waves = Conv <group: int = @into, strides: ints = @stride, pads: ints = @before> (x, analysis)
  sorted = Gather <axis: int = 1> (waves, by_frequency)
  products = Conv <group: int = @frequencies, pads: ints = @along> (sorted, spectrum)
  ordered = Gather <axis: int = 1> (products, by_channel)
  y = ConvTranspose <group: int = @outof, strides: ints = @stride> (ordered, synthesis)
}
"""
_CROP = """
FirstRows (tiles, height) => (y) {
  rest = Constant <value_ints = [-1]> ()
  top = Constant <value_ints = [0]> ()
  rows = Constant <value_ints = [2]> ()
  end = Reshape (height, rest)
  y = Slice (tiles, top, end, rows)
}
"""


@cache
def _waves(side: int) -> tuple[Tensor, Tensor]:
    """The orthonormal basis B (N,N), cosine and sine of one frequency next to each other, and what takes K to K̂ (N,k); float64.

    The same tensors for every module, so that a file holds them once.
    """
    rows = _KEPT + side - 1
    frequency = torch.arange(rows // 2, dtype=torch.int64).unsqueeze(1) * 2 + 1

    def turns(offsets: Tensor) -> Tensor:
        """The angles of (2f+1)/2N at the offsets, reduced to one turn."""
        return (frequency * offsets % (2 * rows)).double() * (math.pi / rows)

    angles = turns(torch.arange(rows))
    basis = torch.stack([angles.cos(), angles.sin()], dim=1).reshape(rows, rows) * math.sqrt(2 / rows)
    eigenvalues = turns(torch.arange(side) - side // 2).cos().repeat_interleave(2, dim=0)
    return basis, eigenvalues


class RowTiledConv(nn.Module):
    """x (B,C,H,W) ⊛ kernel (O,C,k,k) -> (B,O,H,W), k = `side`, for kernels that flips leave as they are."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.basis: Tensor
        self.eigenvalues: Tensor
        for name, table in zip(("basis", "eigenvalues"), _waves(side), strict=True):
            self.register_buffer(name, table, persistent=False)

    def forward(self, x: Tensor, kernel: Tensor) -> Tensor:
        outof, into = kernel.shape[:2]
        margin, rows = self.side // 2, _KEPT + self.side - 1
        basis, eigenvalues = self.basis.to(x.dtype), self.eigenvalues.to(x.dtype)
        # (N,k)·(k,O·C·k) -> (N·O,C,1,k): the kernels of frequency 0 for every output channel, then of frequency 1, …
        spectrum = (eigenvalues @ kernel.permute(2, 0, 1, 3).reshape(self.side, -1)).reshape(rows * outof, into, 1, self.side)
        analysis = basis.reshape(rows, 1, rows, 1).repeat(into, 1, 1, 1)
        synthesis = basis[:, margin : margin + _KEPT].reshape(rows, 1, _KEPT, 1).repeat(outof, 1, 1, 1)
        by_frequency = torch.arange(into * rows).reshape(into, rows).transpose(0, 1).flatten()
        by_channel = torch.arange(outof * rows).reshape(rows, outof).transpose(0, 1).flatten()
        if exporting():
            constants = (analysis, by_frequency, spectrum, by_channel, synthesis)
            return self._exported(x, constants)
        waves = F.conv2d(F.pad(x, (0, 0, margin, margin + _KEPT - 1)), analysis, stride=(_KEPT, 1), groups=into)
        products = F.conv2d(waves[:, by_frequency], spectrum, padding=(0, margin), groups=rows)
        tiles = F.conv_transpose2d(products[:, by_channel], synthesis, stride=(_KEPT, 1), groups=outof)
        return tiles[:, :, : x.shape[2]]

    def _exported(self, x: Tensor, constants: tuple[Tensor, ...]) -> Tensor:
        """The same by ONNX functions: PyTorch pads alike on both sides only, and guards that the tiles reach over the map."""
        margin, rows = self.side // 2, _KEPT + self.side - 1
        height: int | torch.SymInt = x.shape[2]
        batch, into, _, width = x.shape
        outof = len(constants[-1]) // rows
        attributes: dict[str, int | list[int]] = {
            "into": into,
            "outof": outof,
            "frequencies": rows,
            "stride": [_KEPT, 1],
            "before": [margin, 0, margin + _KEPT - 1, 0],
            "along": [0, margin, 0, margin],
        }
        shape = (batch, outof, (height + _KEPT - 1) // _KEPT * _KEPT, width)
        tiles = call("ConvInRowTiles", (x, *constants), attributes, like=x, shape=shape)
        if isinstance(height, int):
            return tiles[:, :, :height]
        return call("FirstRows", (tiles, sizes(x.permute(0, 2, 3, 1))[1]), like=x, shape=(batch, outof, height, width))


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, SeparableLongRangeConv):
        return Refusal(reason="its large kernel is depthwise and need not be symmetric")
    if isinstance(module, RowTiledConv):
        return Refusal(reason="its kernel is convolved in tiles of rows already")
    if type(module) is not SymmetricConv:
        return None
    if module.side % 2 == 0:
        return Refusal(reason=f"a kernel of {module.side} rows has no middle row")
    if module.side < _SMALLEST_SIDE:
        return Refusal(reason=f"a kernel of {module.side} rows takes no fewer multiplications in tiles")
    return RowTiledConv(module.side)


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    # Heights below, at and above a tile, several tiles, and maps narrower than the kernel.
    for batch, channels, side, height, width in ((1, 4, 13, 32, 9), (2, 3, 13, 33, 17), (1, 2, 7, 5, 1), (3, 2, 9, 97, 4)):
        x = torch.randn(batch, channels, height, width, generator=generator, dtype=torch.float64)
        kernel = torch.randn(channels + 1, channels, side, side, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=SymmetricConv(side), inputs=(x, mean_of_symmetries(kernel))))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [SymmetricConv(8), SymmetricConv(3), SeparableLongRangeConv(8, 13), RowTiledConv(13)]


REWRITE = Rewrite(
    equation="x ⊛ K = Bᵀ(K̂ ⊛ Bx) in tiles of rows, B orthonormal and K̂ the real spectrum of a kernel that is even in rows",
    serves=frozenset({"few_multiplications"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=(_ROW_TILES, _CROP),
)
