"""Layers that several families share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.errors import SizeError


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of every pixel, x (B,C,H,W) -> (B,C,H,W), with biased variance."""

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


def check_input(x: Tensor, *, minimum: int) -> None:
    """Raise SizeError unless x is (B,3,H,W) with H and W of at least `minimum` pixels.

    Skipped while torch.export traces: there the sizes are symbols, and the artifact carries the range instead.
    """
    if torch.compiler.is_exporting():
        return
    if x.ndim != 4 or x.shape[1] != 3:
        raise SizeError(f"expected an RGB batch of shape (B,3,H,W), got {tuple(x.shape)}")
    if min(x.shape[2:]) < minimum:
        raise SizeError(
            f"a picture of {x.shape[2]}×{x.shape[3]} (H×W) is too small: this network needs at least {minimum}×{minimum}",
            hint="Pad or enlarge the picture first.",
        )


class GlobalMean(nn.Module):
    """The mean over the whole picture, (B,C,H,W) -> (B,C,1,1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


class PerSampleDepthwise(nn.Module):
    """Depthwise convolution of every sample with its own kernels, x (B,C,H,W) ⊛ kernels (B,C,k,k) -> (B,C,H,W), k odd.

    The kernels may also come flat, as (B,C·k²,1,1).

    Samples and channels together are the channels of one grouped convolution, so that no sample sees another's kernels.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        y = F.conv2d(
            x.reshape(1, batch * channels, height, width),
            kernels.reshape(batch * channels, 1, self.side, self.side),
            padding=self.side // 2,
            groups=batch * channels,
        )
        return y.reshape(batch, channels, height, width)
