"""ESC's attention in windows for one size: the rows of windows one after the other, written out instead of looped over.

    softmax(Q·Kᵀ + B)·V of all windows  =  the same of each row of windows, one below the other

for all Q, K, V and B: no window sees another. A Scan is no static control flow, which Core ML needs to leave the CPU; written out,
the logits of one row of windows are alive at a time. B is made from its table by repetition and cuts, as in `window_attention`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgesr.export.rewrite import Refusal, Rewrite, Witness
from edgesr.export.rewrites.window_attention import WindowAttentionInTurn, in_turn
from edgesr.models._esc_blocks import WindowAttention
from edgesr.seeding import seed_weights


class WindowsWrittenOut(WindowAttentionInTurn):
    """x (B,C,H,W) -> (B,C,H,W): the same function as the WindowAttention that it is made from."""

    def forward(self, x: Tensor) -> Tensor:
        self.columns = -(-x.shape[3] // self.window)
        return self._compute(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        biases = self.biases()
        rows = zip(*(part.split(self.columns) for part in (query, key, value)), strict=True)
        return torch.cat([(q @ k.transpose(2, 3) + biases).softmax(dim=3) @ v for q, k, v in rows])


def _written_out(reference: WindowAttention) -> WindowsWrittenOut:
    made = in_turn(reference)
    return WindowsWrittenOut(
        window=made.window, heads=made.heads, table=made.table, query=made.query, key=made.key, value=made.value, out=made.out
    )


def _replace(module: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(module, WindowsWrittenOut):
        return Refusal(reason="its windows are written out already")
    return _written_out(module) if type(module) is WindowAttention else None


def _witnesses() -> Sequence[Witness]:
    generator = torch.Generator().manual_seed(0)
    witnesses = []
    for window, heads, shape in ((4, 2, (2, 8, 9, 7)), (5, 3, (1, 6, 3, 12))):
        reference = WindowAttention(shape[1], window=window, heads=heads).double()
        seed_weights(reference)
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        witnesses.append(Witness(module=reference, inputs=(x,)))
    return witnesses


def _near_misses() -> Sequence[nn.Module]:
    return [_written_out(WindowAttention(8, window=4, heads=2))]


REWRITE = Rewrite(
    equation="softmax(Q·Kᵀ + B)·V row of windows by row of windows, written out",
    serves=frozenset({"static_control_flow"}),
    replace=_replace,
    witnesses=_witnesses,
    near_misses=_near_misses,
)
