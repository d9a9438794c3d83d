"""SRConvNet: "SRConvNet: A Transformer-Style ConvNet for Lightweight Image Super-Resolution", Li, Cong, Wu et al., IJCV 2024."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.model import Family, Reach, Shapes
from edgesr.models._evidence import Evidence
from edgesr.models._layers import ChannelLayerNorm, PerSampleDepthwise, check_input

# What the authors' training data is on average, of 255; their checkpoints hold it in two layers that the network never calls.
_RGB_MEAN = (0.4488, 0.4371, 0.4040)


@dataclass(frozen=True, kw_only=True)
class SRConvNetConfig:
    """Sizes: `dim` channels in `blocks` blocks; `heads` groups of channels with a scale of their own in the attention; `kernels`
    kernels that each dynamic convolution mixes.
    """

    scale: int
    dim: int = 64
    blocks: int = 8
    heads: int = 8
    kernels: int = 16


class FourierUnit(nn.Module):
    """A convolution of the spectrum, which reaches the whole picture: (B,C,H,W) -> (B,C,H,W)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * dim, 2 * dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, dim, height, width = x.shape
        spectrum = torch.view_as_real(torch.fft.rfft2(x, norm="ortho"))  # (B,C,H,W/2+1,2)
        bins = spectrum.shape[3]
        parts = spectrum.permute(0, 1, 4, 2, 3).reshape(batch, 2 * dim, height, bins)  # c0 real, c0 imaginary, c1 real, …
        parts = F.gelu(self.conv_layer(parts)).reshape(batch, dim, 2, height, bins)
        spectrum = parts.permute(0, 1, 3, 4, 2).contiguous()
        y: Tensor = torch.fft.irfft2(torch.view_as_complex(spectrum), s=(height, width), norm="ortho")
        return y


class FourierAttention(nn.Module):
    """FMA, Fourier modulated attention: (B,C,H,W) -> (B,C,H,W).

    The softmax runs over all positions of the picture, channel by channel; every head's logits have a learned scale.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.layer_scale = nn.Parameter(torch.ones(heads))
        self.norm = ChannelLayerNorm(dim)
        self.a = FourierUnit(dim)
        self.v = nn.Conv2d(dim, dim, 1)
        self.CPE = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.proj = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, dim, height, width = x.shape
        normal = self.norm(x)
        logits = self.a(normal) * self.v(normal)
        logits = logits.reshape(batch, len(self.layer_scale), -1, height * width) * self.layer_scale.reshape(-1, 1, 1)
        attention = logits.softmax(dim=3).reshape(batch, dim, height, width)
        return self.proj(attention + self.CPE(x)) + x


class KernelAttention(nn.Module):
    """How much of each kernel a sample takes, from its mean: (B,C,H,W) -> (B,kernels), each in [0,1]."""

    def __init__(self, dim: int, kernels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim // 8, 1)
        self.conv2 = nn.Conv2d(dim // 8, kernels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        return self.conv2(F.gelu(self.conv1(mean))).sigmoid().flatten(1)


class KernelBank(nn.Module):
    """The kernels (K,C,1,k,k) and biases (K,C) that a dynamic convolution mixes: weights (B,K) -> (B,C,k,k) and (B,C)."""

    def __init__(self, dim: int, kernels: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(kernels, dim, 1, side, side) / side)
        self.bias = nn.Parameter(torch.zeros(kernels, dim))

    def forward(self, mix: Tensor) -> tuple[Tensor, Tensor]:
        return torch.einsum("bj,jcxy->bcxy", mix, self.weight.squeeze(2)), mix @ self.bias


class DynamicDepthwise(nn.Module):
    """Depthwise k×k convolution whose kernels each sample mixes for itself: (B,C,H,W) -> (B,C,H,W)."""

    def __init__(self, dim: int, kernels: int, side: int) -> None:
        super().__init__()
        self.attention = KernelAttention(dim, kernels)
        self.aggregation = KernelBank(dim, kernels, side)
        self.convolve = PerSampleDepthwise(side)

    def forward(self, x: Tensor) -> Tensor:
        kernels: Tensor
        bias: Tensor
        kernels, bias = self.aggregation(self.attention(x))
        return self.convolve(x, kernels) + bias[:, :, None, None]


class ActivatedDynamicDepthwise(nn.Module):
    """A dynamic depthwise convolution and its GELU: (B,C,H,W) -> (B,C,H,W)."""

    def __init__(self, dim: int, kernels: int, side: int) -> None:
        super().__init__()
        self.conv = DynamicDepthwise(dim, kernels, side)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.conv(x))


class DynamicMixing(nn.Module):
    """DML, dynamic mixing layer: (B,C,H,W) -> (B,C,H,W). Two halves at two kernel sizes, interleaved channel by channel."""

    def __init__(self, dim: int, kernels: int) -> None:
        super().__init__()
        self.norm = ChannelLayerNorm(dim)
        self.proj_in = nn.Conv2d(dim, 2 * dim, 1)
        self.conv1 = ActivatedDynamicDepthwise(dim, kernels, 5)
        self.conv2 = ActivatedDynamicDepthwise(dim, kernels, 7)
        self.proj_out = nn.Conv2d(2 * dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = F.gelu(self.proj_in(self.norm(x))).chunk(2, dim=1)
        mixed = torch.stack([self.conv1(first), self.conv2(second)], dim=2).flatten(1, 2)
        return self.proj_out(mixed) + x


class Block(nn.Module):
    """(B,C,H,W) -> (B,C,H,W): attention, then mixing."""

    def __init__(self, config: SRConvNetConfig) -> None:
        super().__init__()
        self.attention = FourierAttention(config.dim, config.heads)
        self.ffn = DynamicMixing(config.dim, config.kernels)

    def forward(self, x: Tensor) -> Tensor:
        return self.ffn(self.attention(x))


class SRConvNet(nn.Module):
    """x (B,3,H,W) RGB in [0,255] -> (B,3,sH,sW) of the same range, not clamped."""

    def __init__(self, config: SRConvNetConfig) -> None:
        super().__init__()
        self.scale = config.scale
        self.sub_mean = _mean_shift(-1)
        self.add_mean = _mean_shift(+1)
        self.to_feat = nn.Conv2d(3, config.dim, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.blocks)))
        self.upsampling = _upsampling(config.dim, config.scale)
        self.tail = nn.Conv2d(config.dim, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, minimum=1)
        shallow = self.to_feat(x)
        upsampled = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return self.tail(self.upsampling(self.blocks(shallow) + shallow)) + upsampled


def _mean_shift(sign: int) -> nn.Conv2d:
    """A 1×1 convolution that adds `sign` times the mean colour; fixed, and only there because the checkpoints have it."""
    shift = nn.Conv2d(3, 3, 1).requires_grad_(False)
    nn.init.dirac_(shift.weight)
    shift.bias = nn.Parameter(sign * 255 * torch.tensor(_RGB_MEAN), requires_grad=False)
    return shift


def _upsampling(dim: int, scale: int) -> nn.Sequential:
    """(B,dim,H,W) -> (B,dim,sH,sW): one PixelShuffle for ×2 and ×3, two of factor 2 for ×4."""
    factors = (2, 2) if scale == 4 else (scale,)
    return nn.Sequential(*(layer for r in factors for layer in (nn.Conv2d(dim, dim * r**2, 1), nn.PixelShuffle(r), nn.GELU())))


def _detect(shapes: Shapes) -> SRConvNetConfig | None:
    """The attention's scale per head and the Fourier unit tell the family; a second upsampling step tells ×4."""
    if "blocks.0.attention.layer_scale" not in shapes or "blocks.0.attention.a.conv_layer.weight" not in shapes:
        return None
    evidence = Evidence(shapes, title="SRConvNet")
    dim = evidence.shape("to_feat.weight", rank=4)[0]
    (heads,) = evidence.shape("blocks.0.attention.layer_scale", rank=1)
    if dim % heads:
        raise evidence.contradiction(f"its {dim} channels do not divide among {heads} heads")
    factors = {4 * dim: 2, 9 * dim: 3}
    steps = [name for name in ("upsampling.0.weight", "upsampling.3.weight") if name in shapes]
    scale = {(2,): 2, (3,): 3, (2, 2): 4}.get(tuple(factors.get(evidence.shape(name, rank=4)[0], 0) for name in steps))
    if scale is None:
        raise evidence.contradiction("its upsampling is of no known scale (×2, ×3, ×4)")
    return SRConvNetConfig(
        scale=scale,
        dim=dim,
        blocks=evidence.count("blocks"),
        heads=heads,
        kernels=evidence.shape("blocks.0.ffn.conv1.conv.aggregation.weight", rank=5)[0],
    )


MODEL = Family(
    title="SRConvNet",
    paper="Li et al., SRConvNet: A Transformer-Style ConvNet for Lightweight Image Super-Resolution, IJCV 2024",
    licence="not stated by the authors",
    variants={"srconvnet": {s: SRConvNetConfig(scale=s) for s in (2, 3, 4)}},
    build=SRConvNet,
    detect=_detect,
    minimum_size=lambda _: 1,
    # The Fourier transform and the softmax run over the whole picture.
    reach=lambda _: Reach(kind="global"),
    input_peak=255.0,
)
