"""The network to train: the reference vapsr-s ×4, started near a plain upsampler, with a faster but equal dilated convolution."""

import torch
from torch import Tensor, nn

from edgesr import build_model
from edgesr.models.vapsr import VapSR, VastAttention


class PhasedConv(nn.Conv2d):
    """The depthwise 5×5 convolution of dilation 3 and padding 6, as plain 5×5 convolutions of the 3×3 phases of x (B,C,3h,3w).

    A dilated tap only ever meets pixels of its own phase, so the result is the same, and the padding of 6 is 2 in each phase.
    On a CPU the plain convolution is several times faster.
    """

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        phases = x.permute(0, 2, 3, 1).reshape(batch, height // 3, 3, width // 3, 3, channels).permute(2, 4, 0, 1, 3, 5)
        phases = phases.reshape(9 * batch, height // 3, width // 3, channels).permute(0, 3, 1, 2)
        y = nn.functional.conv2d(phases, self.weight, self.bias, padding=2, groups=self.groups)
        y = y.permute(0, 2, 3, 1).reshape(3, 3, batch, height // 3, width // 3, channels).permute(2, 3, 0, 4, 1, 5)
        return y.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def training_network(*, seed: int) -> VapSR:
    """vapsr-s ×4 for patches whose sides are multiples of 3; its state dict is the reference's."""
    torch.manual_seed(seed)
    network = build_model("vapsr-s", scale=4).train()
    assert isinstance(network, VapSR)
    _start_as_plain_upsampler(network)
    for module in list(network.modules()):
        if isinstance(module, VastAttention):
            module.depthwise_dilated = _phased(module.depthwise_dilated)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _phased(conv: nn.Conv2d) -> PhasedConv:
    """The same convolution with the very same parameters."""
    phased = PhasedConv(conv.in_channels, conv.out_channels, 5, padding=6, dilation=3, groups=conv.groups)
    phased.weight, phased.bias = conv.weight, conv.bias
    return phased


@torch.no_grad()
def _start_as_plain_upsampler(network: VapSR) -> None:
    """Three features carry the colours through to every output pixel; the others start with a small say in the result."""
    first, wide, narrow = network.conv_first, network.upsampler[0], network.upsampler[3]
    assert isinstance(wide, nn.Conv2d)
    assert isinstance(narrow, nn.Conv2d)
    for conv in (network.conv_body, narrow):
        conv.weight.mul_(0.1)
    for conv in (first, network.conv_body, wide, narrow):
        assert conv.bias is not None
        conv.bias.zero_()
    for colour in range(3):
        first.weight[colour] = 0
        first.weight[colour, colour, 1, 1] = 1
        for conv in (wide, narrow):
            conv.weight[4 * colour : 4 * colour + 4] = 0
            conv.weight[4 * colour : 4 * colour + 4, colour, 1, 1] = 1
