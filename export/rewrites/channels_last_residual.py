"""VapSR's residual stream kept channels-last between its normalisations.

    LN(y + x) = T⁻¹(ln(T(y) + T(x)))

for all x, y (B,C,H,W), where T moves the channels to the end and ln normalises over the last axis. T only permutes, so it
commutes with the sum; and T(x) is what the block before has just computed, for its x was T⁻¹(ln(…)).

As written, every block moves the sum y + x to channels-last and back. Kept channels-last, only what enters and leaves the
convolutions is moved. ONNX Runtime computes those in a blocked layout, into and out of which it has to copy anyway, and the move
becomes part of that copy.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.models.vapsr import VastAttentionBlock
from edgesr.seeding import seed_weights


class ChannelsLastBlock(nn.Module):
    """x (B,C,H,W) and `state`, the same as (B,H,W,C), -> the next state; without `state`, x is all that there is."""

    def __init__(self, block: VastAttentionBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, state: Tensor | None) -> Tensor:
        block, norm = self.block, self.block.pixel_norm
        y = block.proj_2(block.atten_branch(F.gelu(block.proj_1(x))))
        # A sum in front of any normalisation has nothing channels-last to add, and fuses with the convolution as it is.
        total = (y + x).permute(0, 2, 3, 1) if state is None else y.permute(0, 2, 3, 1) + state
        return F.layer_norm(total, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


class ChannelsLastBlocks(nn.Module):
    """x (B,C,H,W) -> (B,C,H,W): the blocks in turn, with the state between them (B,H,W,C)."""

    def __init__(self, blocks: Sequence[VastAttentionBlock]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ChannelsLastBlock(block) for block in blocks)

    def forward(self, x: Tensor) -> Tensor:
        state: Tensor | None = None
        for block in self.blocks:
            state = block(x, state)
            x = state.permute(0, 3, 1, 2)
        return x


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if type(module) is not nn.Sequential or not any(type(part) is VastAttentionBlock for part in module):
        return None
    blocks = [part for part in module if type(part) is VastAttentionBlock]
    if len(blocks) < len(module):
        return Refusal(reason="another module stands between the blocks")
    return ChannelsLastBlocks(blocks) if len(blocks) > 1 else Refusal(reason="a single block has no stream to the next")


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for blocks, feat, attention, shape in ((2, 6, 8, (2, 6, 5, 9)), (3, 4, 4, (1, 4, 1, 1)), (3, 16, 8, (3, 16, 1, 20))):
        module = nn.Sequential(*(VastAttentionBlock(feat, attention) for _ in range(blocks))).double()
        seed_weights(module)
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=module, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [nn.Sequential(VastAttentionBlock(4, 8)), nn.Sequential(VastAttentionBlock(4, 8), nn.ReLU(), VastAttentionBlock(4, 8))]


REWRITE = Rewrite(
    equation="LN(y + x) = T⁻¹(ln(T(y) + T(x))), T: channels to the end",
    serves=frozenset({"channels_last"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
