"""What rewrites for one size share whose maps stay channels first, with four axes: windows, biases, portions, linear layers.

A map (B,C,H,W) becomes windows (windows,C,h·w) by two transpositions whose innermost runs stay as they are; pixels of a window
are the last axis, so that the products of attention are Qᵀ·K and V·Aᵀ.
"""

import sys
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGEST = 2**25
"""How many numbers the largest map of a portion has (64 MiB in half precision)."""


def portion(numbers: int) -> int:
    """How many things of so many numbers each are computed at a time, at least 1; all where the numbers follow from a size that
    is known at run time only.
    """
    return max(1, LARGEST // numbers) if isinstance(numbers, int) else sys.maxsize


def alike(total: int, numbers: int) -> int:
    """How many of `total` things are computed at a time where portions are to be as alike as they can be; as `portion` else."""
    at_once = portion(numbers)
    return -(-total // -(-total // at_once)) if isinstance(total, int) else at_once


def joined(parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The parts one after the other."""
    return parts[0] if len(parts) == 1 else torch.cat(tuple(parts), dim=dim)


def pixelwise(linear: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer of the channels, (B,C,H,W) -> (B,C',H,W)."""
    return F.conv2d(x, linear.weight[:, :, None, None], linear.bias)


def partition(x: Tensor, h: int, w: int) -> Tensor:
    """(B,C,H,W) -> (B·H/h·W/w, C, h·w); h divides H, w divides W."""
    batch, channels, _, width = x.shape
    x = x.reshape(-1, h, width // w, w).transpose(1, 2)
    return x.reshape(batch, channels, -1, h * w).transpose(1, 2).reshape(-1, channels, h * w)


def merge(x: Tensor, h: int, w: int, size: tuple[int, int]) -> Tensor:
    """(B·H/h·W/w, C, h·w) -> (B,C,H,W) with (H,W) = `size`."""
    height, width = size
    channels, number = x.shape[1], (height // h) * (width // w)
    x = x.reshape(-1, number, channels, h * w).transpose(1, 2).reshape(-1, width // w, h, w)
    return x.transpose(1, 2).reshape(-1, channels, height, width)


def attend(query: Tensor, key: Tensor, value: Tensor, biases: Tensor) -> Tensor:
    """softmax(Qᵀ·K + B)·V in windows: (windows,heads,d,n) each, biases (heads,n,n) -> (windows,heads,d,n)."""
    at_once = alike(query.shape[0], query.shape[1] * query.shape[3] ** 2)
    parts = zip(*(torch.split(each, at_once) for each in (query, key, value)), strict=True)
    return joined([v @ (q.transpose(2, 3) @ k + biases).softmax(dim=3).transpose(2, 3) for q, k, v in parts])


def with_zeros(table: Tensor) -> Tensor:
    """A table of biases (heads,2h−1,2w−1) as `spread` reads it, with a row and a column of zeros more."""
    return F.pad(table, (0, 1, 0, 1))


def spread(table: Tensor, h: int, w: int) -> Tensor:
    """The biases of h·w pixels to each other, (heads,h·w,h·w), of a table (heads,2h,2w) from `with_zeros`.

    B[(qy,qx),(ky,kx)] = T[ky − qy + h − 1, kx − qx + w − 1]: a row of 2w entries, written over and over and cut into rows of
    2w − 1, moves on by one entry from row to row. Rows of the table alike.
    """
    heads = table.shape[0]
    wide, high = 2 * w - 1, 2 * h - 1
    x = table.repeat(1, 1, w)[:, :, : w * wide].reshape(heads, 2 * h, w, wide)[:, :, :, w - 1 :]
    y = x.repeat(1, h, 1, 1)[:, : h * high].reshape(heads, h, high, w, w)[:, :, h - 1 :]
    return y.transpose(2, 3).reshape(heads, h * w, h * w)
