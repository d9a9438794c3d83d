"""RGT's attention in rectangles, with every rectangle's pixels gathered straight from the map, and without a mask.

    softmax(s·q·kᵀ + P + M)·v = softmax(q'·k'ᵀ + P)·v    with q' = [s·q, −100·o], k' = [k, 1 − o]

for all q, k, v, every position bias P and every mask M of 0 between pixels of one region and −100 between those of two, where
o is the one-hot region of a pixel: o(i)·(1 − o(j)) is 0 when i and j share their region and 1 when they do not. Rolling the map,
continuing it by zeros and cutting it into rectangles only move pixels, and commute with a linear map from pixel to pixel, so one
Gather of whole pixels does all three before it; a pixel outside the map is multiplied by 0, and so is the 1 that meets the bias.

As written, the attention copies queries, keys and values three times, and adds a mask of 256×256 numbers to the scores of every
rectangle. Here a Scan goes over the rows of rectangles, so that the scores of one row alone are alive, and stay in the cache.
The file holds the bias as a table of its value for each offset; ONNX Runtime expands it when it loads the file.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_functions import call, exporting, sizes
from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites._rectangle_functions import FUNCTIONS
from edgesr.models._rgt_attention import REGIONS_APART, LocalAttention, RectangleAttention, conv
from edgesr.seeding import seed_weights

_REGIONS = 4
"""A rectangle of the rolled map has pixels of up to four regions: moved around the lower edge or not, the right edge or not."""


class RectanglesInRows(nn.Module):
    """Self-attention inside rectangles: x (B,H,W,C) normalised, all values (B,H,W,C) -> one half's (B,H,W,C/2)."""

    query: Tensor
    key: Tensor
    table: Tensor

    def __init__(self, rectangles: RectangleAttention, qkv: nn.Linear, *, half: int, multiple: int) -> None:
        super().__init__()
        self.window, self.heads, self.which, self.multiple = rectangles.window, rectangles.heads, half, multiple
        self.shift = (self.window[0] // 2, self.window[1] // 2) if rectangles.shifted else (0, 0)
        apart = torch.eye(_REGIONS)[:, : _REGIONS if rectangles.shifted else 0].to(qkv.weight)
        scale = float((qkv.in_features // 2 // self.heads) ** -0.5)
        self.register_buffer("query", self._weight(qkv, 0, scale, REGIONS_APART * apart))
        self.register_buffer("key", self._weight(qkv, 1, 1.0, 1 - apart))
        sides = [2 * side - 1 for side in self.window]
        with torch.no_grad():
            self.register_buffer("table", rectangles.pos(rectangles.rpe_biases).reshape(*sides, self.heads))

    def _weight(self, qkv: nn.Linear, kind: int, scale: float, of_region: Tensor) -> Tensor:
        """Of queries (0) or keys (1): (C+1+4, heads·c), for a pixel's channels, for 1 and for its one-hot region.

        of_region: (4,n), what a head's n last channels are for each region, after those of the linear layer.
        """
        dim, added = qkv.in_features, of_region.shape[1]
        weight = qkv.weight.detach().reshape(3, 2, self.heads, -1, dim)[kind, self.which]
        bias = qkv.bias.detach().reshape(3, 2, self.heads, -1)[kind, self.which]
        linear = F.pad(scale * torch.cat([weight, bias.unsqueeze(2)], dim=2), (0, _REGIONS))
        apart = F.pad(of_region.t(), (dim + 1, 0)).expand(self.heads, added, -1)
        return torch.cat([linear, apart], dim=1).flatten(0, 1).t().contiguous()

    def forward(self, x: Tensor, value: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        (h, w), (down, right) = self.window, self.shift
        row, row_code, row_place = _positions(height, h, down, self.multiple, device=x.device)
        column, column_code, column_place = _positions(width, w, right, self.multiple, device=x.device)
        read = _cut(row * width, column, h, w)
        code = _cut(2 * row_code, column_code, h, w)
        inside = (code < _REGIONS).unsqueeze(2).to(x)
        region = F.one_hot(code % _REGIONS, _REGIONS).to(x)
        known = torch.cat([inside, region], dim=2).expand(batch, -1, -1, -1)
        known = torch.cat([x.flatten(1, 2)[:, read] * inside, known], dim=3)
        values = value.chunk(2, dim=3)[self.which].flatten(1, 2)[:, read] * inside
        query, key, values = (self._heads(part) for part in (known @ self.query, known @ self.key, values))
        y = (query @ key.transpose(3, 4) + self._bias()).softmax(dim=4) @ values  # (B,rectangles,heads,h·w,head)
        pixels = y.transpose(2, 3).reshape(batch, -1, dim // 2)
        per_row = read.shape[1]
        place = (row_place[0] * per_row + row_place[1] * w).unsqueeze(1) + column_place[0] * (h * w) + column_place[1]
        return pixels[:, place]

    def _heads(self, x: Tensor) -> Tensor:
        """(B,rows,columns·h·w,heads·c) -> (B,rectangles,heads,h·w,c)."""
        return x.reshape(x.shape[0], -1, self.window[0] * self.window[1], self.heads, x.shape[3] // self.heads).transpose(2, 3)

    def _bias(self) -> Tensor:
        """What is added to the attention logits, (heads,h·w,h·w)."""
        h, w = self.window
        rows, columns = (torch.arange(side).unsqueeze(1) - torch.arange(side) + side - 1 for side in (h, w))
        return self.table[rows][:, :, columns].permute(4, 0, 2, 1, 3).reshape(self.heads, h * w, h * w)


class LocalAttentionInRows(nn.Module):
    """L-SA: (B,H,W,C) -> (B,H,W,C); the same function as what it is made from."""

    def __init__(self, local: LocalAttention) -> None:
        super().__init__()
        self.value = _values(local.qkv)
        self.first, self.second = (
            RectanglesInRows(rectangles, local.qkv, half=half, multiple=local.multiple)
            for half, rectangles in enumerate(local.attns)
            if isinstance(rectangles, RectangleAttention)
        )
        self.get_v = local.get_v
        self.proj = local.proj

    def forward(self, x: Tensor) -> Tensor:
        if exporting():
            return self.called(x, "RectangleLocalAttention")
        value = self.value(x)
        y = torch.cat([attend(x, value) for attend in (self.first, self.second)], dim=3)
        return self.proj(y + conv(self.get_v, value))

    def called(self, x: Tensor, function: str) -> Tensor:
        """The call of one of the two functions that compute this, while it is exported."""
        first, second, dim = self.first, self.second, x.shape[3]
        layers = (self.value, self.get_v, self.proj)
        inputs: list[Tensor] = [parameter for layer in layers for parameter in layer.parameters()]
        inputs += [tensor for half in (first, second) for tensor in (half.query, half.key, half.table)]
        (h, w), (down, right), heads, area = first.window, first.shift, first.heads, first.window[0] * first.window[1]
        attributes: dict[str, int | list[int]] = {
            "h": h,
            "w": w,
            "hs": [h],
            "ws": [w],
            "down": down,
            "right": right,
            "area": area,
        }
        attributes |= {"multiple": first.multiple, "heads": heads, "groups": dim, "windows": [-1, area, 0]}
        attributes |= {"split": [0, 0, heads, -1], "bias": [1, heads, area, area], "channels": [dim], "half_channels": [dim // 2]}
        return call(function, (x, *sizes(x), *inputs), attributes, like=x, shape=x.shape)


def _values(qkv: nn.Linear) -> nn.Linear:
    """The part of the linear layer that makes values."""
    value = nn.Linear(qkv.in_features, qkv.in_features).to(qkv.weight)
    with torch.no_grad():
        value.weight.copy_(qkv.weight[2 * qkv.in_features :])
        value.bias.copy_(qkv.bias[2 * qkv.in_features :])
    return value


def _positions(length: int, window: int, shift: int, multiple: int, *, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Of each position of the rolled map the pixel to read and its code; of each pixel its window and its place in that.

    The code is 1 for a pixel that the roll moved around the edge, and 4 more for one that the map does not have.
    """
    padded = length + -length % multiple
    position = torch.arange(padded, device=device)
    pixel = (position + shift) % padded
    code = (pixel < position).long() + _REGIONS * (pixel >= length)
    place = (position[:length] - shift) % padded
    return pixel.clamp(max=length - 1), code, torch.stack([place // window, place % window])


def _cut(row: Tensor, column: Tensor, h: int, w: int) -> Tensor:
    """The sums of a term of the row and one of the column, rectangle by rectangle: (rows, columns·h·w)."""
    return (row.reshape(-1, 1, h, 1) + column.reshape(-1, 1, w)).flatten(1)


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, LocalAttentionInRows):
        return Refusal(reason="its rectangles are gathered row by row already")
    return LocalAttentionInRows(module) if type(module) is LocalAttention else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for shape, split, shifted in (((2, 5, 9, 128), (2, 4), True), ((1, 8, 4, 96), (4, 4), True), ((2, 7, 13, 96), (3, 6), False)):
        module = LocalAttention(shape[3], split=split, heads=4, shifted=shifted, mask_size=12).double()
        for name, part in module.named_modules():
            if name.endswith("pos3.2"):
                part.register_parameter("bias", None)  # which no output depends on: it moves all scores alike
        seed_weights(module)
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=module, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [LocalAttentionInRows(LocalAttention(32, split=(2, 4), heads=4, shifted=True, mask_size=8))]


REWRITE = Rewrite(
    equation="softmax(s·q·kᵀ + P + M)·v = softmax([s·q, −100·o]·[k, 1 − o]ᵀ + P)·v, o: one-hot regions",
    serves=frozenset({"any_size", "bounded_memory"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    functions=FUNCTIONS,
)
