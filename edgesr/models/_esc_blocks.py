"""The blocks that ESC and ESC-FP share (Lee, Yun, Ro, ICCV 2025, arXiv 2503.06671, section 3)."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.models._evidence import Evidence
from edgesr.models._layers import ChannelLayerNorm

PAPER = "Lee et al., Emulating Self-attention with Convolution for Efficient Image Super-Resolution, ICCV 2025, arXiv 2503.06671"
REPOSITORY = "https://github.com/dslisleedh/ESC"
RELEASE = f"{REPOSITORY}/releases/download/1.0.0"
"""Where the authors publish their checkpoints. The file names are those of their test configurations; nobody could try them."""


class ConvFFN(nn.Module):
    """Feed-forward network with a 3×3 depthwise convolution inside: (B,C,H,W) -> (B,C,H,W), `hidden` channels within."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(dim, hidden, 1)
        self.dwc = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.aggr = nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.proj(x))
        x = F.gelu(self.dwc(x)) + x
        return self.aggr(x)


class WindowAttention(nn.Module):
    """Self-attention in windows of w×w pixels that do not overlap: (B,C,H,W) -> (B,C,H,W).

    The picture is continued by reflection, at the right and at the bottom, to whole windows; the added pixels take part.
    Reflection needs fewer added pixels than there are, so that H and W are at least w/2+1.
    """

    def __init__(self, dim: int, *, window: int, heads: int) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.relative_position_bias = nn.Parameter(0.02 * torch.randn(heads, (2 * window - 1) ** 2))
        self.to_qkv = nn.Conv2d(dim, 3 * dim, 1)
        self.to_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, dim, height, width = x.shape
        w, heads = self.window, self.heads
        rows, columns = (height + w - 1) // w, (width + w - 1) // w
        x = F.pad(x, (0, columns * w - width, 0, rows * w - height), mode="reflect")

        windows = self.to_qkv(x).reshape(batch, 3, heads, dim // heads, rows, w, columns, w)
        windows = windows.permute(1, 0, 4, 6, 2, 5, 7, 3).reshape(3, batch * rows * columns, heads, w * w, dim // heads)
        query, key, value = windows.unbind(0)
        # The layout of the result in memory depends on the kernel that PyTorch picks, which an exporter's guess may miss.
        y = self.attend(query, key, value).clone(memory_format=torch.contiguous_format)

        y = y.reshape(batch, rows, columns, heads, w, w, dim // heads).permute(0, 3, 6, 1, 4, 2, 5)
        y = y.reshape(batch, dim, rows * w, columns * w)[:, :, :height, :width]
        return self.to_out(y)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """softmax(q·kᵀ/√c + bias)·v for each window and head: three times (windows,heads,w²,c) -> (windows,heads,w²,c)."""
        return F.scaled_dot_product_attention(query, key, value, attn_mask=self.position_bias())

    def position_bias(self) -> Tensor:
        """What is added to the attention logits, (1,heads,w²,w²): for query q and key k the table's entry
        (ky − qy + w − 1)·(2w − 1) + (kx − qx + w − 1).
        """
        w = self.window
        along = torch.arange(w, device=self.relative_position_bias.device)
        pixel = (along.unsqueeze(1) * (2 * w - 1) + along).flatten()
        entry = pixel.unsqueeze(0) - pixel.unsqueeze(1) + 2 * w * (w - 1)
        return self.relative_position_bias[:, entry].unsqueeze(0)


class ConvAttention(nn.Module):
    """ConvAttn, convolutional attention: (B,C,H,W) -> (B,C,H,W).

    Long-range `plk`, a module called with the shared large kernels, works on the first `pdim` channels; the others pass by.
    """

    def __init__(self, dim: int, pdim: int, plk: nn.Module) -> None:
        super().__init__()
        self.pdim = pdim
        self.plk = plk
        self.aggr = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor, *kernels: Tensor) -> Tensor:
        attended, passing = x[:, : self.pdim], x[:, self.pdim :]
        return self.aggr(torch.cat([self.plk(attended, *kernels), passing], dim=1))


class Block(nn.Module):
    """One window attention, then `conv_blocks` convolutional attentions that emulate it: (B,C,H,W) -> (B,C,H,W).

    first_ffn, ffn: hidden channels of the ConvFFN before the window attention, and of those before the convolutional ones.
    plk: makes the long-range part of each ConvAttention.
    normalise: whether each convolutional layer begins with a LayerNorm.
    """

    def __init__(
        self,
        dim: int,
        pdim: int,
        *,
        conv_blocks: int,
        window: int,
        heads: int,
        first_ffn: int,
        ffn: int,
        plk: Callable[[], nn.Module],
        normalise: bool,
    ) -> None:
        super().__init__()
        self.ln_proj = ChannelLayerNorm(dim)
        self.proj = ConvFFN(dim, first_ffn)
        self.ln_attn = ChannelLayerNorm(dim)
        self.attn = WindowAttention(dim, window=window, heads=heads)
        self.lns = nn.ModuleList(ChannelLayerNorm(dim) if normalise else nn.Identity() for _ in range(conv_blocks))
        self.convffns = nn.ModuleList(ConvFFN(dim, ffn) for _ in range(conv_blocks))
        self.pconvs = nn.ModuleList(ConvAttention(dim, pdim, plk()) for _ in range(conv_blocks))
        self.ln_out = ChannelLayerNorm(dim)
        self.conv_out = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor, *kernels: Tensor) -> Tensor:
        y = self.proj(self.ln_proj(x))
        y = y + self.attn(self.ln_attn(y))
        for norm, ffn, conv in zip(self.lns, self.convffns, self.pconvs, strict=True):
            y = y + conv(ffn(norm(y)), *kernels)
        return self.conv_out(self.ln_out(y)) + x


def attention_sizes(evidence: Evidence) -> tuple[int, int]:
    """Window side w and number of heads, from the first block's position bias table (heads, (2w−1)²)."""
    name = "blocks.0.attn.relative_position_bias"
    heads, offsets = evidence.shape(name, rank=2)
    side = math.isqrt(offsets)
    if side**2 != offsets or side % 2 == 0:
        raise evidence.contradiction(f"{name!r} holds {offsets} offsets, which is not (2w−1)² for any window w")
    return (side + 1) // 2, heads


def check_channels(evidence: Evidence, *, dim: int, pdim: int, heads: int, kernel: int) -> None:
    """Raise CheckpointError for channel counts and a kernel that no ESC can have."""
    if dim % heads:
        raise evidence.contradiction(f"its {dim} channels do not divide among {heads} attention heads")
    if pdim > dim:
        raise evidence.contradiction(f"its large kernel takes {pdim} of {dim} channels")
    if kernel % 2 == 0:
        raise evidence.contradiction(f"its large kernel of {kernel}×{kernel} pixels has no centre")


def minimum_size(window: int) -> int:
    """The smallest H and W in pixels whose reflection fills a window."""
    return window // 2 + 1
