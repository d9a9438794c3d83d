"""ESC's attention in windows for one size: channels first, a few windows after the other, written out instead of looped over.

    softmax(Q·Kᵀ/√d + B)·V of all windows  =  the same of some windows, then of the next ones

for all Q, K, V and B: no window sees another. Further: 1/√d goes into the weights that make Q, and

    pixelwise(continue(x)) = continue(pixelwise(x)): a 1×1 convolution commutes with reflection and with partition into windows

B is made from its table by repetition and cuts, as in `window_attention`. A Scan is no static control flow, which Core ML needs
to leave the processor; nor are more than five axes anything that it knows. Here there are four, and five in making B.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites._planes import attend, merge, partition, spread, with_zeros
from edgesr.models._esc_blocks import WindowAttention
from edgesr.seeding import seed_weights


class WindowsWrittenOut(nn.Module):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the WindowAttention that it is made from."""

    def __init__(self, reference: WindowAttention) -> None:
        super().__init__()
        self.window, self.heads = reference.window, reference.heads
        side, dim = 2 * self.window - 1, reference.to_out.in_channels
        assert reference.to_qkv.bias is not None
        scale = torch.ones(3 * dim, dtype=reference.to_qkv.weight.dtype)
        scale[:dim] = (dim // self.heads) ** -0.5
        self.weight = nn.Buffer(reference.to_qkv.weight.detach() * scale.reshape(-1, 1, 1, 1))
        self.bias = nn.Buffer(reference.to_qkv.bias.detach() * scale)
        self.table = nn.Buffer(with_zeros(reference.relative_position_bias.detach().reshape(-1, side, side)))
        self.to_out = reference.to_out

    def forward(self, x: Tensor) -> Tensor:
        channels, height, width = x.shape[1:]
        w, heads = self.window, self.heads
        size = (height + -height % w, width + -width % w)
        x = F.conv2d(x, self.weight, self.bias)
        if size != (height, width):
            x = F.pad(x, (0, size[1] - width, 0, size[0] - height), mode="reflect")
        windows = partition(x, w, w).reshape(-1, 3 * heads, channels // heads, w * w)
        query, key, value = torch.split(windows, heads, dim=1)
        y = attend(query, key, value, spread(self.table, w, w))
        y = merge(y.reshape(-1, channels, w * w), w, w, size)
        return self.to_out(y[:, :, :height, :width])


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, WindowsWrittenOut):
        return Refusal(reason="its windows are written out already")
    return WindowsWrittenOut(module) if type(module) is WindowAttention else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for window, heads, shape in ((4, 2, (2, 8, 9, 7)), (5, 3, (1, 6, 3, 12)), (6, 1, (1, 3, 12, 18))):
        reference = WindowAttention(shape[1], window=window, heads=heads).double()
        seed_weights(reference)
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=reference, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [WindowsWrittenOut(WindowAttention(8, window=4, heads=2))]


REWRITE = Rewrite(
    equation="softmax(Q·Kᵀ + B)·V of all windows = the same of a few windows after the other, written out",
    serves=frozenset({"max_rank_5", "static_control_flow"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
    one_size=True,
)
