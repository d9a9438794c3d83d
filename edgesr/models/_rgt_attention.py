"""RGT's two attentions: in rectangles, and through a recursively reduced map (Chen et al., ICLR 2024, section 3).

Maps are channels-last here, (B,H,W,C), as the linear layers take them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REGIONS_APART = -100.0
"""What the mask adds to the logits of two pixels that share a window only because the map was rolled."""


class PositionBias(nn.Module):
    """A small MLP from the offsets between two pixels to a bias for each head: (N,2) -> (N,heads)."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.pos_proj = nn.Linear(2, hidden)
        self.pos1 = _stage(hidden, hidden)
        self.pos2 = _stage(hidden, hidden)
        self.pos3 = _stage(hidden, heads)

    def forward(self, offsets: Tensor) -> Tensor:
        return self.pos3(self.pos2(self.pos1(self.pos_proj(offsets))))


def _stage(dim: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(dim), nn.ReLU(), nn.Linear(dim, out))


class RectangleAttention(nn.Module):
    """Self-attention inside h×w rectangles: queries, keys and values (B,H,W,3,C) -> (B,H,W,C); h divides H, w divides W.

    shifted: the rectangles' grid lies half a rectangle further right and down. The map is rolled for it, and a mask keeps
    the pixels apart that only the roll made neighbours.
    """

    rpe_biases: Tensor
    relative_position_index: Tensor

    def __init__(self, dim: int, *, window: tuple[int, int], heads: int, shifted: bool) -> None:
        super().__init__()
        self.window, self.heads, self.shifted = window, heads, shifted
        self.pos = PositionBias(dim // 16, heads)
        offsets, index = _relative_positions(*window)
        self.register_buffer("rpe_biases", offsets)
        self.register_buffer("relative_position_index", index)

    def forward(self, qkv: Tensor) -> Tensor:
        batch, height, width, _, dim = qkv.shape
        h, w = self.window
        rows, columns, heads = height // h, width // w, self.heads
        if self.shifted:
            qkv = qkv.roll((-(h // 2), -(w // 2)), dims=(1, 2))

        windows = qkv.reshape(batch, rows, h, columns, w, 3, heads, dim // heads).permute(5, 0, 1, 3, 6, 2, 4, 7)
        query, key, value = windows.reshape(3, batch, rows * columns, heads, h * w, dim // heads).unbind(0)
        bias = self.position_bias()
        if self.shifted:
            bias = bias + roll_mask(height, width, self.window, device=bias.device).unsqueeze(1).to(bias.dtype)
        logits = (query * (dim // heads) ** -0.5) @ key.transpose(3, 4) + bias

        y: Tensor = (logits.softmax(dim=4) @ value).reshape(batch, rows, columns, heads, h, w, dim // heads)
        y = y.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, height, width, dim)
        return y.roll((h // 2, w // 2), dims=(1, 2)) if self.shifted else y

    def position_bias(self) -> Tensor:
        """What is added to the attention logits, (heads,h·w,h·w)."""
        pixels = self.window[0] * self.window[1]
        biases = self.pos(self.rpe_biases)[self.relative_position_index.flatten()]
        return biases.reshape(pixels, pixels, self.heads).permute(2, 0, 1)


class LocalAttention(nn.Module):
    """L-SA: (B,H,W,C) -> (B,H,W,C). Half of the channels attends in h×w rectangles, half in w×h ones.

    Queries, keys and values are continued by zeros, at the right and at the bottom, to whole rectangles; the zeros take part.
    A depthwise 3×3 convolution of the values is added.
    """

    def __init__(self, dim: int, *, split: tuple[int, int], heads: int, shifted: bool, mask_size: int) -> None:
        super().__init__()
        windows = (split, (split[1], split[0]))
        self.multiple = max(split)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.attns = nn.ModuleList(RectangleAttention(dim // 2, window=w, heads=heads // 2, shifted=shifted) for w in windows)
        self.get_v = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.proj = nn.Linear(dim, dim)
        if shifted:  # part of the checkpoints, but of one size only; a forward pass makes the mask of its own size
            for i, window in enumerate(windows):
                self.register_buffer(f"attn_mask_{i}", roll_mask(mask_size, mask_size, window))

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        qkv = self.qkv(x)
        local = conv(self.get_v, qkv[..., 2 * dim :])

        m = self.multiple
        rows, columns = (height + m - 1) // m, (width + m - 1) // m
        qkv = F.pad(qkv, (0, 0, 0, columns * m - width, 0, rows * m - height))
        halves = qkv.reshape(batch, rows * m, columns * m, 3, 2, dim // 2).unbind(4)
        y = torch.cat([attend(half) for attend, half in zip(self.attns, halves, strict=True)], dim=3)
        return self.proj(y[:, :height, :width] + local)


class RecursiveGeneralizationAttention(nn.Module):
    """RG-SA: (B,H,W,C) -> (B,H,W,C). Every pixel attends to a map reduced until a few pixels stand for the picture.

    The reduction by 4 is applied `recursions` times with the same weights. Queries and keys have `reduced` channels.
    """

    def __init__(self, dim: int, reduced: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.reduction1 = nn.Conv2d(dim, dim, 4, stride=4, groups=dim)
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.conv = nn.Conv2d(dim, reduced, 1)
        self.norm_act = nn.Sequential(nn.LayerNorm(reduced), nn.GELU())
        self.q = nn.Linear(dim, reduced)
        self.k = nn.Linear(reduced, reduced)
        self.v = nn.Linear(reduced, dim)
        self.cpe = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        small = x.permute(0, 3, 1, 2)
        for _ in range(recursions(*x.shape[1:3])):
            small = self.reduction1(small)
        small = self.norm_act(self.conv(self.dwconv(small)).permute(0, 2, 3, 1))
        value = self.v(small)
        value = value + conv(self.cpe, value)
        y = F.scaled_dot_product_attention(self._heads(self.q(x)), self._heads(self.k(small)), self._heads(value))
        return self.proj(y.transpose(1, 2).reshape(x.shape))

    def _heads(self, x: Tensor) -> Tensor:
        """(B,H,W,C) -> (B,heads,H·W,C/heads)."""
        return x.reshape(x.shape[0], x.shape[1] * x.shape[2], self.heads, -1).transpose(1, 2)


def recursions(height: int, width: int) -> int:
    """T, how often a map of H×W is reduced by 4: twice, or as often as leaves 16 to 63 pixels of its longer side."""
    steps = 2
    while height // 16 >= 4 ** (steps + 1) or width // 16 >= 4 ** (steps + 1):
        steps += 1
    return steps


def conv(layer: nn.Module, x: Tensor) -> Tensor:
    """A convolution of a channels-last map, (B,H,W,C) -> (B,H,W,C')."""
    return layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def roll_mask(height: int, width: int, window: tuple[int, int], *, device: torch.device | None = None) -> Tensor:
    """The mask for a map of H×W pixels rolled by half a window h×w: (windows, h·w, h·w) of 0 and REGIONS_APART."""
    h, w = window
    region = 3 * _bands(height, h, device).unsqueeze(1) + _bands(width, w, device)
    region = region.reshape(height // h, h, width // w, w).transpose(1, 2).reshape(-1, h * w)
    return torch.where(region.unsqueeze(1) == region.unsqueeze(2), 0.0, REGIONS_APART)


def _bands(length: int, window: int, device: torch.device | None) -> Tensor:
    """Which of three bands each of `length` positions lies in: before the last window, and that window's two halves."""
    position = torch.arange(length, device=device)
    return (position >= length - window).long() + (position >= length - window // 2).long()


def _relative_positions(h: int, w: int) -> tuple[Tensor, Tensor]:
    """All offsets between two pixels of h×w, ((2h−1)(2w−1),2) float, and the index of each pair's offset, (h·w,h·w) int64."""
    offsets = torch.cartesian_prod(torch.arange(1 - h, h), torch.arange(1 - w, w)).float()
    pixels = torch.cartesian_prod(torch.arange(h), torch.arange(w))
    between = pixels.unsqueeze(1) - pixels.unsqueeze(0) + torch.tensor([h - 1, w - 1])
    return offsets, between[..., 0] * (2 * w - 1) + between[..., 1]
