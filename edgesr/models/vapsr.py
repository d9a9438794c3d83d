"""VapSR: "Efficient Image Super-Resolution using Vast-Receptive-Field Attention", Zhou et al., ECCVW 2022, arXiv 2210.05960."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.model import Family, OfficialWeights, Reach, Shapes
from edgesr.models._evidence import Evidence
from edgesr.models._layers import ChannelLayerNorm, check_input


@dataclass(frozen=True, kw_only=True)
class VapSRConfig:
    """Sizes: `feat` channels outside and `attention` channels inside each of `blocks` blocks; `body_groups` of `conv_body`."""

    feat: int
    attention: int
    blocks: int
    scale: int
    body_groups: int = 1


class VastAttention(nn.Module):
    """Large-kernel attention (section 3.2): x (B,C,H,W) -> x · DW5dilated3(DW5(PW(x))), a 17×17 receptive field."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.depthwise_dilated = nn.Conv2d(channels, channels, 5, padding=6, dilation=3, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        attention: Tensor = self.depthwise_dilated(self.depthwise(self.pointwise(x)))
        return x * attention


class VastAttentionBlock(nn.Module):
    """VAB (figure 2): expand, attend, project, add the input, normalise every pixel; (B,feat,H,W) -> (B,feat,H,W)."""

    def __init__(self, feat: int, attention: int) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(feat, attention, 1)
        self.atten_branch = VastAttention(attention)
        self.proj_2 = nn.Conv2d(attention, feat, 1)
        self.pixel_norm = ChannelLayerNorm(feat, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.proj_2(self.atten_branch(F.gelu(self.proj_1(x))))
        return self.pixel_norm(y + x)


class VapSR(nn.Module):
    """x (B,3,H,W) RGB in [0,1] -> (B,3,sH,sW), not clamped."""

    def __init__(self, config: VapSRConfig) -> None:
        super().__init__()
        feat = config.feat
        self.conv_first = nn.Conv2d(3, feat, 3, padding=1)
        self.body = nn.Sequential(*(VastAttentionBlock(feat, config.attention) for _ in range(config.blocks)))
        self.conv_body = nn.Conv2d(feat, feat, 3, padding=1, groups=config.body_groups)
        self.upsampler = _upsampler(feat, config.scale)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, minimum=1)
        shallow = self.conv_first(x)
        return self.upsampler(shallow + self.conv_body(self.body(shallow)))


def _upsampler(feat: int, scale: int) -> nn.Sequential:
    """(B,feat,H,W) -> (B,3,sH,sW): one PixelShuffle for ×2 and ×3, two for ×4."""
    if scale == 4:
        return nn.Sequential(
            nn.Conv2d(feat, 64, 3, padding=1),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(16, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )
    return nn.Sequential(
        nn.Conv2d(feat, 56, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(56, 3 * scale**2, 3, padding=1),
        nn.PixelShuffle(scale),
    )


def _detect(shapes: Shapes) -> VapSRConfig | None:
    """The dilated convolution inside a block names the family; ×4 has the tail with a convolution between two PixelShuffles."""
    if not any(name.startswith("body.0.atten_branch.") for name in shapes):
        return None
    evidence = Evidence(shapes, title="VapSR")
    attention, feat = evidence.shape("body.0.proj_1.weight", rank=4)[:2]
    doubled = "upsampler.3.weight" in shapes
    scale = 2 * evidence.scale("upsampler.3.weight") if doubled else evidence.scale("upsampler.2.weight")
    if scale not in (2, 3, 4):
        raise evidence.contradiction(f"its upsampler is of scale ×{scale}, where ×2, ×3 and ×4 exist")
    per_group = evidence.shape("conv_body.weight", rank=4)[1]
    if feat % per_group:
        raise evidence.contradiction(f"'conv_body.weight' takes {per_group} channels per group, which do not divide {feat}")
    return VapSRConfig(feat=feat, attention=attention, blocks=evidence.count("body"), scale=scale, body_groups=feat // per_group)


def _reach(config: VapSRConfig) -> Reach:
    """Radius: `conv_first` 1, each block 2 (DW5) + 6 (dilated), `conv_body` 1, and the tail's two 3×3 convolutions.

    At ×4 the second of them works on the doubled grid, where its reach of half a pixel rounds up to one.
    """
    return Reach(kind="local", radius=4 + 8 * config.blocks)


_ROOT = "https://github.com/zhoumumu/VapSR/raw/main"

MODEL = Family(
    title="VapSR",
    paper="Zhou et al., Efficient Image Super-Resolution using Vast-Receptive-Field Attention, ECCVW 2022, arXiv 2210.05960",
    licence="not stated by the authors",
    variants={
        "vapsr": {s: VapSRConfig(feat=48, attention=64, blocks=21 if s == 4 else 20, scale=s) for s in (2, 3, 4)},
        "vapsr-s": {4: VapSRConfig(feat=32, attention=64, blocks=11, body_groups=2, scale=4)},
    },
    build=VapSR,
    detect=_detect,
    minimum_size=lambda _: 1,
    reach=_reach,
    weights_page="https://github.com/zhoumumu/VapSR",
    weights=(
        OfficialWeights(
            file="VapSR_X2.pth",
            variant="vapsr",
            scale=2,
            url=f"{_ROOT}/VapSR_X2.pth",
            sha256="6cbe6af3c18c16c8a2c9b83f484761693884f972e29a4a20e84f64b84d0a10cc",
        ),
        OfficialWeights(
            file="VapSR_X3.pth",
            variant="vapsr",
            scale=3,
            url=f"{_ROOT}/VapSR_X3.pth",
            sha256="5c0052ea719174ea43e55f337655196fa1564ba2e0b04c3220a1312a18405a09",
        ),
        OfficialWeights(
            file="VapSR_X4.pth",
            variant="vapsr",
            scale=4,
            url=f"{_ROOT}/VapSR_X4.pth",
            sha256="fa6b84a174d8994eaaaa38156c9d751109b27c833bceeeb6018523e4d8a48ea0",
        ),
        OfficialWeights(
            file="VapSR-S.pth",
            variant="vapsr-s",
            scale=4,
            url=f"{_ROOT}/VapSR-S.pth",
            sha256="4ca434fcdd4abb327e281b3f7930fe9802b36d3d6acfbe785843fee5db7e0cfe",
        ),
    ),
)
