"""ESC-FP: ESC with a separable large kernel, for phones (Lee, Yun, Ro, ICCV 2025, arXiv 2503.06671, table 2)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.model import Family, OfficialWeights, Reach, Shapes
from edgesr.models import _esc_blocks as blocks
from edgesr.models._evidence import Evidence
from edgesr.models._layers import ChannelLayerNorm, GlobalMean, PerSampleDepthwise, check_input


@dataclass(frozen=True, kw_only=True)
class ESCFPConfig:
    """Sizes: `dim` channels in `blocks` blocks, each with a window attention (`window` pixels a side, `heads` heads) behind a
    ConvFFN of `first_ffn` hidden channels (1.5·dim) and `conv_blocks` convolutional attentions on `pdim` of the channels, behind
    ConvFFNs of `ffn` hidden channels (1.25·dim). `kernel` is the side of the shared large kernel.
    """

    scale: int
    dim: int = 48
    pdim: int = 16
    kernel: int = 13
    blocks: int = 5
    conv_blocks: int = 5
    window: int = 32
    heads: int = 3
    first_ffn: int = 72
    ffn: int = 60


class SeparableLongRangeConv(nn.Module):
    """ConvAttn's attention with a separable kernel: x (B,pdim,H,W) -> (LK + DK(x)) ⊛ (C ⊛ x), (B,pdim,H,W).

    C mixes channels (1×1) and LK is a depthwise large kernel, both shared by the network; DK is a depthwise 3×3 kernel that each
    sample makes of its own mean, added to the centre of LK.
    """

    def __init__(self, pdim: int, kernel: int) -> None:
        super().__init__()
        self.margin = (kernel - 3) // 2
        self.proj = nn.Sequential(
            GlobalMean(),
            nn.Conv2d(pdim, pdim // 4, 1),
            nn.GELU(),
            nn.Conv2d(pdim // 4, 9 * pdim, 1),
        )
        self.convolve = PerSampleDepthwise(kernel)

    def forward(self, x: Tensor, channel_kernel: Tensor, spatial_kernel: Tensor) -> Tensor:
        dynamic = self.proj(x).reshape(x.shape[0], x.shape[1], 3, 3)
        kernels = spatial_kernel.squeeze(1) + F.pad(dynamic, (self.margin,) * 4)
        return self.convolve(F.conv2d(x, channel_kernel), kernels)


class BicubicTail(nn.Module):
    """details (B,3s²,H,W), x (B,3,H,W) -> (B,3,sH,sW): the shuffled details on top of x enlarged bicubically."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, details: Tensor, x: Tensor) -> Tensor:
        upsampled = F.interpolate(x, scale_factor=self.scale, mode="bicubic", align_corners=False)
        return F.pixel_shuffle(details, self.scale) + upsampled


class ESCFP(nn.Module):
    """x (B,3,H,W) RGB in [0,1] -> (B,3,sH,sW), not clamped; H and W of at least window/2+1 pixels."""

    def __init__(self, config: ESCFPConfig) -> None:
        super().__init__()
        dim, pdim = config.dim, config.pdim
        self.minimum = blocks.minimum_size(config.window)
        self.lk_channel = nn.Parameter(torch.randn(pdim, pdim, 1, 1) / pdim**0.5)
        self.lk_spatial = nn.Parameter(torch.randn(pdim, 1, config.kernel, config.kernel) / config.kernel)
        self.proj = nn.Conv2d(3, dim, 3, padding=1)
        self.blocks = nn.ModuleList(
            blocks.Block(
                dim,
                pdim,
                conv_blocks=config.conv_blocks,
                window=config.window,
                heads=config.heads,
                first_ffn=config.first_ffn,
                ffn=config.ffn,
                plk=lambda: SeparableLongRangeConv(pdim, config.kernel),
                normalise=True,
            )
            for _ in range(config.blocks)
        )
        self.ln_last = ChannelLayerNorm(dim)
        self.last = nn.Conv2d(dim, dim, 3, padding=1)
        self.to_img = nn.Conv2d(dim, 3 * config.scale**2, 3, padding=1)
        self.enlarge = BicubicTail(config.scale)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, minimum=self.minimum)
        shallow = self.proj(x)
        deep = shallow
        for block in self.blocks:
            deep = block(deep, self.lk_channel, self.lk_spatial)
        deep = self.last(self.ln_last(deep)) + shallow
        enlarged: Tensor = self.enlarge(self.to_img(deep), x)
        return enlarged


def _detect(shapes: Shapes) -> ESCFPConfig | None:
    """The two shared kernels tell the family."""
    if "lk_channel" not in shapes or "lk_spatial" not in shapes:
        return None
    evidence = Evidence(shapes, title="ESC-FP")
    pdim, _, kernel, _ = evidence.shape("lk_spatial", rank=4)
    dim = evidence.shape("proj.weight", rank=4)[0]
    window, heads = blocks.attention_sizes(evidence)
    blocks.check_channels(evidence, dim=dim, pdim=pdim, heads=heads, kernel=kernel)
    return ESCFPConfig(
        scale=evidence.scale("to_img.weight"),
        dim=dim,
        pdim=pdim,
        kernel=kernel,
        blocks=evidence.count("blocks"),
        conv_blocks=evidence.count("blocks.0.convffns"),
        window=window,
        heads=heads,
        first_ffn=evidence.shape("blocks.0.proj.proj.weight", rank=4)[0],
        ffn=evidence.shape("blocks.0.convffns.0.proj.weight", rank=4)[0],
    )


MODEL = Family(
    title="ESC-FP",
    paper=blocks.PAPER,
    licence="MIT",
    variants={"esc-fp": {s: ESCFPConfig(scale=s) for s in (2, 3, 4)}},
    build=ESCFP,
    detect=_detect,
    minimum_size=lambda config: blocks.minimum_size(config.window),
    # The dynamic kernels are made of a mean over the whole picture.
    reach=lambda _: Reach(kind="global"),
    weights_page=blocks.REPOSITORY,
    weights=tuple(
        OfficialWeights(file=f"ESC_FP_X{s}.pth", variant="esc-fp", scale=s, url=f"{blocks.RELEASE}/ESC_FP_X{s}.pth")
        for s in (2, 3, 4)
    ),
)
