"""ESC: "Emulating Self-attention with Convolution for Efficient Image Super-Resolution", Lee, Yun, Ro, ICCV 2025.

arXiv 2503.06671.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.model import Family, OfficialWeights, Reach, Shapes
from edgesr.models import _esc_blocks as blocks
from edgesr.models._evidence import Evidence
from edgesr.models._layers import GlobalMean, PerSampleDepthwise, check_input


@dataclass(frozen=True, kw_only=True)
class ESCConfig:
    """Sizes: `dim` channels in `blocks` blocks, each with a window attention (`window` pixels a side, `heads` heads) and
    `conv_blocks` convolutional attentions on `pdim` of the channels, behind ConvFFNs of `ffn` hidden channels (1.25·dim in the
    paper). `kernel` is the side of the shared large kernel; `use_ln` puts a LayerNorm before each ConvFFN.
    """

    scale: int
    dim: int = 64
    pdim: int = 16
    kernel: int = 13
    blocks: int = 5
    conv_blocks: int = 5
    window: int = 32
    heads: int = 4
    ffn: int = 80
    use_ln: bool = False


class SymmetricConv(nn.Module):
    """x (B,C,H,W) ⊛ kernel (O,C,k,k) -> (B,O,H,W), k = `side` odd, for kernels that flips leave as they are."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor, kernel: Tensor) -> Tensor:
        return F.conv2d(x, kernel, padding=self.side // 2)


class LongRangeConv(nn.Module):
    """ConvAttn's attention: x (B,pdim,H,W) -> LK ⊛ x + DK(x) ⊛ x.

    LK is the dense large kernel that the network shares, DK a depthwise 3×3 kernel that each sample makes of its own mean.
    """

    def __init__(self, pdim: int, kernel: int) -> None:
        super().__init__()
        self.static = SymmetricConv(kernel)
        self.dwc_proj = nn.Sequential(
            GlobalMean(),
            nn.Conv2d(pdim, pdim // 2, 1),
            nn.GELU(),
            nn.Conv2d(pdim // 2, 9 * pdim, 1),
        )
        self.convolve = PerSampleDepthwise(3)

    def forward(self, x: Tensor, large_kernel: Tensor) -> Tensor:
        return self.static(x, large_kernel) + self.convolve(x, self.dwc_proj(x))


class ESC(nn.Module):
    """x (B,3,H,W) RGB in [0,1] -> (B,3,sH,sW), not clamped; H and W of at least window/2+1 pixels."""

    def __init__(self, config: ESCConfig) -> None:
        super().__init__()
        dim, pdim = config.dim, config.pdim
        self.scale = config.scale
        self.minimum = blocks.minimum_size(config.window)
        self.plk_filter = nn.Parameter(torch.randn(pdim, pdim, config.kernel, config.kernel) / (config.kernel * pdim**0.5))
        self.proj = nn.Conv2d(3, dim, 3, padding=1)
        self.blocks = nn.ModuleList(
            blocks.Block(
                dim,
                pdim,
                conv_blocks=config.conv_blocks,
                window=config.window,
                heads=config.heads,
                first_ffn=2 * dim,
                ffn=config.ffn,
                plk=lambda: LongRangeConv(pdim, config.kernel),
                normalise=config.use_ln,
            )
            for _ in range(config.blocks)
        )
        self.last = nn.Conv2d(dim, dim, 3, padding=1)
        self.to_img = nn.Conv2d(dim, 3 * config.scale**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, minimum=self.minimum)
        kernel = mean_of_symmetries(self.plk_filter)
        shallow = self.proj(x)
        deep = shallow
        for block in self.blocks:
            deep = block(deep, kernel)
        deep = self.last(deep) + shallow
        return F.pixel_shuffle(self.to_img(deep) + x.repeat_interleave(self.scale**2, dim=1), self.scale)


def mean_of_symmetries(kernel: Tensor) -> Tensor:
    """The mean over the square's eight symmetries, (O,I,k,k) -> (O,I,k,k): invariant under flips and quarter turns."""
    kernel = (kernel + kernel.transpose(2, 3)) / 2
    kernel = (kernel + kernel.flip(2)) / 2
    return (kernel + kernel.flip(3)) / 2


def _detect(shapes: Shapes) -> ESCConfig | None:
    """The shared kernel's name tells the family; one convolution as the tail tells it from ESC-Real and from an ESC encoder."""
    if "plk_filter" not in shapes or "to_img.weight" not in shapes:
        return None
    evidence = Evidence(shapes, title="ESC")
    pdim, _, kernel, _ = evidence.shape("plk_filter", rank=4)
    dim = evidence.shape("proj.weight", rank=4)[0]
    window, heads = blocks.attention_sizes(evidence)
    blocks.check_channels(evidence, dim=dim, pdim=pdim, heads=heads, kernel=kernel)
    return ESCConfig(
        scale=evidence.scale("to_img.weight"),
        dim=dim,
        pdim=pdim,
        kernel=kernel,
        blocks=evidence.count("blocks"),
        conv_blocks=evidence.count("blocks.0.convffns"),
        window=window,
        heads=heads,
        ffn=evidence.shape("blocks.0.convffns.0.proj.weight", rank=4)[0],
        use_ln="blocks.0.lns.0.weight" in shapes,
    )


MODEL = Family(
    title="ESC",
    paper=blocks.PAPER,
    licence="MIT",
    variants={
        "esc": {s: ESCConfig(scale=s) for s in (2, 3, 4)},
        "esc-light": {s: ESCConfig(scale=s, blocks=3) for s in (2, 3, 4)},
        "esc-xl": {
            s: ESCConfig(scale=s, dim=192, pdim=48, blocks=8, window=48, heads=12, ffn=240, use_ln=True) for s in (2, 3, 4)
        },
    },
    build=ESC,
    detect=_detect,
    minimum_size=lambda config: blocks.minimum_size(config.window),
    # The dynamic kernels are made of a mean over the whole picture.
    reach=lambda _: Reach(kind="global"),
    weights_page=blocks.REPOSITORY,
    weights=tuple(
        OfficialWeights(file=f"{stem}_X{s}.pth", variant=variant, scale=s, url=f"{blocks.RELEASE}/{stem}_X{s}.pth")
        for stem, variant in (("ESC_DIV2K", "esc"), ("ESC_DFLIP", "esc"), ("ESC_light", "esc-light"))
        for s in (2, 3, 4)
    ),
)
