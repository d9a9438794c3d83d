"""RGT: "Recursive Generalization Transformer for Image Super-Resolution", Chen et al., ICLR 2024, arXiv 2303.06373."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.errors import SizeError
from edgesr.model import Family, Reach, Shapes
from edgesr.models._evidence import Evidence
from edgesr.models._layers import check_input
from edgesr.models._rgt_attention import LocalAttention, RecursiveGeneralizationAttention, conv, recursions

_RGB_MEAN = (0.4488, 0.4371, 0.4040)
_MINIMUM = 16  # two reductions by 4 leave one pixel


@dataclass(frozen=True, kw_only=True)
class RGTConfig:
    """Sizes: `dim` channels in groups of `depths` blocks; `heads` attention heads; `mlp` hidden channels of the MLPs, `reduced`
    channels of the queries and keys of RG-SA (c_ratio·dim), `split` the sides in pixels of L-SA's rectangles, `mask_size` the
    side in pixels of the map that the checkpoint's masks were made for.
    """

    scale: int
    depths: tuple[int, ...]
    dim: int = 180
    heads: int = 6
    mlp: int = 360
    reduced: int = 90
    split: tuple[int, int] = (8, 32)
    mask_size: int = 64


class SpatialGate(nn.Module):
    """(B,H,W,2C) -> (B,H,W,C): one half of the channels times a depthwise 3×3 convolution of the other, normalised."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        kept, gate = x.chunk(2, dim=3)
        return kept * conv(self.conv, self.norm(gate))


class GatedMLP(nn.Module):
    """(B,H,W,C) -> (B,H,W,C), `hidden` channels before the gate."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.sg = SpatialGate(hidden // 2)
        self.fc2 = nn.Linear(hidden // 2, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.sg(F.gelu(self.fc1(x))))


class Block(nn.Module):
    """Attention and MLP, (B,H,W,C) -> (B,H,W,C). Hybrid adaptive integration (HAI) adds the input again, weighted."""

    def __init__(self, config: RGTConfig, attention: nn.Module) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(config.dim))
        self.norm1 = nn.LayerNorm(config.dim)
        self.attn = attention
        self.norm2 = nn.LayerNorm(config.dim)
        self.mlp = GatedMLP(config.dim, config.mlp)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.attn(self.norm1(x))
        y = y + self.mlp(self.norm2(y))
        return y + x * self.gamma


class ResidualGroup(nn.Module):
    """Blocks of L-SA and RG-SA by turns, and a 3×3 convolution: (B,H,W,C) -> (B,H,W,C)."""

    def __init__(self, config: RGTConfig, group: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(config, _attention(config, group, i)) for i in range(config.depths[group])))
        self.conv = nn.Conv2d(config.dim, config.dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return conv(self.conv, self.blocks(x)) + x


class RGT(nn.Module):
    """x (B,3,H,W) RGB in [0,1] -> (B,3,sH,sW), not clamped; H and W of at least 16, and of at least 4^T (see `recursions`)."""

    mean: Tensor

    def __init__(self, config: RGTConfig) -> None:
        super().__init__()
        dim = config.dim
        self.register_buffer("mean", torch.tensor(_RGB_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.conv_first = nn.Conv2d(3, dim, 3, padding=1)
        self.before_RG = nn.Sequential(nn.Identity(), nn.LayerNorm(dim))
        self.layers = nn.Sequential(*(ResidualGroup(config, group) for group in range(len(config.depths))))
        self.norm = nn.LayerNorm(dim)
        self.conv_after_body = nn.Conv2d(dim, dim, 3, padding=1)
        self.conv_before_upsample = nn.Sequential(nn.Conv2d(dim, 64, 3, padding=1), nn.LeakyReLU(0.01))
        self.upsample = _upsample(config.scale)
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        _check_input(x)
        shallow = self.conv_first(x - self.mean)
        deep = self.norm(self.layers(self.before_RG(shallow.permute(0, 2, 3, 1))))
        deep = self.conv_after_body(deep.permute(0, 3, 1, 2)) + shallow
        y: Tensor = self.conv_last(self.upsample(self.conv_before_upsample(deep)))
        return y + self.mean


def _attention(config: RGTConfig, group: int, block: int) -> nn.Module:
    """L-SA in even blocks, RG-SA in odd ones. Every other L-SA is shifted, the first of a group only in odd groups."""
    if block % 2:
        return RecursiveGeneralizationAttention(config.dim, config.reduced, heads=config.heads)
    shifted = block % 4 == (0 if group % 2 else 2)
    return LocalAttention(config.dim, split=config.split, heads=config.heads, shifted=shifted, mask_size=config.mask_size)


def _upsample(scale: int) -> nn.Sequential:
    """(B,64,H,W) -> (B,64,sH,sW): one PixelShuffle for ×2 and ×3, two of factor 2 for ×4."""
    factors = (2, 2) if scale == 4 else (scale,)
    return nn.Sequential(*(layer for r in factors for layer in (nn.Conv2d(64, 64 * r**2, 3, padding=1), nn.PixelShuffle(r))))


def _check_input(x: Tensor) -> None:
    """Raise SizeError for a picture that is too small, or so narrow that the reductions its longer side asks for eat it up."""
    check_input(x, minimum=_MINIMUM)
    if torch.compiler.is_exporting():
        return
    height, width = x.shape[2:]
    needed = 4 ** recursions(height, width)
    if min(height, width) < needed:
        raise SizeError(
            f"a picture of {height}×{width} (H×W) is too narrow: at its length this network needs at least {needed} pixels",
            hint="Cut the picture into shorter tiles, or pad it.",
        )


def _detect(shapes: Shapes) -> RGTConfig | None:
    """The recursive reduction in the second block tells the family; a second upsampling step tells ×4."""
    if "layers.0.blocks.1.attn.reduction1.weight" not in shapes:
        return None
    evidence = Evidence(shapes, title="RGT")
    dim = evidence.shape("conv_first.weight", rank=4)[0]
    heads = 2 * evidence.shape("layers.0.blocks.0.attn.attns.0.pos.pos3.2.weight", rank=2)[0]
    if dim % (2 * heads):
        raise evidence.contradiction(f"its {dim} channels do not divide among {heads} heads in two halves")
    steps = [evidence.shape(name, rank=4)[0] for name in ("upsample.0.weight", "upsample.2.weight") if name in shapes]
    scale = {(256,): 2, (576,): 3, (256, 256): 4}.get(tuple(steps))
    if scale is None:
        raise evidence.contradiction("its upsampling is of no known scale (×2, ×3, ×4)")
    split = _split(evidence)
    return RGTConfig(
        scale=scale,
        depths=tuple(evidence.count(f"layers.{group}.blocks") for group in range(evidence.count("layers"))),
        dim=dim,
        heads=heads,
        mlp=evidence.shape("layers.0.blocks.0.mlp.fc1.weight", rank=2)[0],
        reduced=evidence.shape("layers.0.blocks.1.attn.conv.weight", rank=4)[0],
        split=split,
        mask_size=_mask_size(evidence, shapes, split),
    )


def _split(evidence: Evidence) -> tuple[int, int]:
    """The rectangles' sides h and w, from their product and from the number (2h−1)(2w−1) of offsets.

    Shapes cannot tell which of them is the height of the first half's rectangles; the published networks take the smaller one.
    Both tables are constants that a checkpoint may lack; it is then taken for one of the published networks.
    """
    prefix = "layers.0.blocks.0.attn.attns.0"
    if not evidence.has(f"{prefix}.relative_position_index") or not evidence.has(f"{prefix}.rpe_biases"):
        return 8, 32
    pixels = evidence.shape(f"{prefix}.relative_position_index", rank=2)[0]
    offsets = evidence.shape(f"{prefix}.rpe_biases", rank=2)[0]
    total = (4 * pixels + 1 - offsets) // 2  # h + w
    difference = math.isqrt(max(0, total**2 - 4 * pixels))  # w − h
    h, w = (total - difference) // 2, (total + difference) // 2
    if h < 1 or h * w != pixels or (2 * h - 1) * (2 * w - 1) != offsets:
        raise evidence.contradiction(f"no rectangle has {pixels} pixels and {offsets} offsets between them")
    return h, w


def _mask_size(evidence: Evidence, shapes: Shapes, split: tuple[int, int]) -> int:
    """The side of the square map whose masks are registered, from their number of windows; 64 where no block is shifted."""
    name = next((name for name in sorted(shapes) if name.endswith(".attn.attn_mask_0")), None)
    if name is None:
        return 64
    windows, pixels, _ = evidence.shape(name, rank=3)
    side = math.isqrt(windows * pixels)
    if side**2 != windows * pixels or side % split[0] or side % split[1]:
        raise evidence.contradiction(f"{name!r} is not the mask of a square map of whole rectangles")
    return side


MODEL = Family(
    title="RGT",
    paper="Chen et al., Recursive Generalization Transformer for Image Super-Resolution, ICLR 2024, arXiv 2303.06373",
    licence="Apache-2.0",
    variants={
        "rgt-s": {s: RGTConfig(scale=s, depths=(6,) * 6) for s in (2, 3, 4)},
        "rgt": {s: RGTConfig(scale=s, depths=(6,) * 8) for s in (2, 3, 4)},
    },
    build=RGT,
    detect=_detect,
    minimum_size=lambda _: _MINIMUM,
    maximum_size=1023,  # from 1024 on the map is reduced three times
    # Every second block attends to a reduced map of the whole picture.
    reach=lambda _: Reach(kind="global"),
    weights_page="https://github.com/zhengchen1999/RGT",  # which links to a cloud folder, without an address for each file
)
