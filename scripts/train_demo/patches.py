"""Batches of training patches, from the seed and the step alone: a resumed run sees what an unbroken one does."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from train_demo.pictures import SCALE, Pair


def batch_at(pairs: Sequence[Pair], *, seed: int, step: int, count: int, side: int) -> tuple[Tensor, Tensor]:
    """The batch of `step`: lr (count,3,side,side) and hr (count,3,4·side,4·side), float32 RGB in [0,1], channels last in memory.

    Each patch is turned or mirrored one of the eight ways, its colour channels are permuted, and their levels are compressed at
    random; all of it alike in lr and hr, and exact because the reduction commutes with all three.
    """
    rng = np.random.default_rng([seed, step])
    weights = np.array([pair.weight for pair in pairs])
    chosen = rng.choice(len(pairs), size=count, p=weights / weights.sum())
    low = np.empty((count, side, side, 3), np.float32)
    high = np.empty((count, SCALE * side, SCALE * side, 3), np.float32)
    for slot, index in enumerate(chosen):
        pair = pairs[index]
        top, left = (int(rng.integers(length - side + 1)) for length in pair.lr.shape[:2])
        turns, mirror, channels = int(rng.integers(4)), bool(rng.integers(2)), rng.permutation(3)
        gain = rng.uniform(0.7, 1, size=3)
        lift = rng.uniform(0, 1 - gain)
        for source, target, factor in ((pair.lr, low, 1), (pair.hr, high, SCALE)):
            patch = source[top * factor : (top + side) * factor, left * factor : (left + side) * factor]
            patch = np.rot90(patch[:, ::-1] if mirror else patch, turns)
            target[slot] = patch[..., channels] / 255 * gain + lift
    return torch.from_numpy(low).permute(0, 3, 1, 2), torch.from_numpy(high).permute(0, 3, 1, 2)
