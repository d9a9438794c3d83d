"""A lowering that goes wrong is found: the same network with one mistake differs from PyTorch's, without it it does not.

All sides that a mistake exchanges are equally long, so that no shape gives it away.
"""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float32]

_CHANNELS = 12
_SIZE = (1, 3, 12, 12)


class _Network(nn.Module):
    """A bit of each of our networks: convolutions, a channel norm, attention, a shuffle."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, _CHANNELS, 3, padding=1)
        self.depthwise = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=2, dilation=2, groups=_CHANNELS)
        self.norm = nn.LayerNorm(_CHANNELS, eps=1e-2)
        self.query, self.key = nn.Linear(_CHANNELS, _CHANNELS), nn.Linear(_CHANNELS, _CHANNELS)
        self.last = nn.Conv2d(_CHANNELS, _CHANNELS, 1)
        nn.init.normal_(self.norm.weight, 1, 0.3)
        nn.init.normal_(self.norm.bias, 0, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.gelu(self.first(x))
        x = nn.functional.pad(x, (2, 1, 1, 2), mode="reflect")[:, :, 2:-1, 1:-2]
        x = self.depthwise(x)
        x = self.norm(x.permute(0, 2, 3, 1))
        scores = (self.query(x) @ self.key(x).transpose(-1, -2)) / 2
        x = (scores.softmax(dim=-1) @ x).permute(0, 3, 1, 2)
        return nn.functional.pixel_shuffle(self.last(x), 2)


def _lowered(mb: Any, x: Any, network: _Network, plan: dict[str, Any]) -> Any:
    """The network as the builder has it; `plan` says each thing that a mistake may change."""
    held: dict[str, Array] = {name: value.detach().numpy() for name, value in network.named_parameters()}
    first = plan["first weights"](held["first.weight"])
    x = mb.conv(x=x, weight=first, bias=plan["bias"](held["first.bias"]), pad_type="custom", pad=plan["pads"])
    x = mb.gelu(x=x, mode=plan["gelu"])
    x = mb.pad(x=x, pad=plan["reflection"], mode=plan["padding mode"])
    x = mb.slice_by_index(x=x, begin=plan["begin"], end=plan["end"])
    weight, bias = plan["depthwise weights"](held["depthwise.weight"]), held["depthwise.bias"]
    gap = plan["dilation"]
    x = mb.conv(x=x, weight=weight, bias=bias, pad_type="custom", pad=[gap] * 4, dilations=[gap, gap], groups=_CHANNELS)
    x = mb.layer_norm(
        x=x,
        axes=[plan["norm axis"]],
        gamma=held["norm.weight"],
        beta=plan["beta"](held["norm.bias"]),
        epsilon=np.float32(plan["epsilon"]),
    )
    x = mb.transpose(x=x, perm=plan["to the end"])
    query = mb.linear(x=x, weight=plan["query weights"](held["query.weight"]), bias=held["query.bias"])
    key = mb.linear(x=x, weight=held["key.weight"], bias=held["key.bias"])
    scores = mb.matmul(x=query, y=key, transpose_y=plan["transposed keys"])
    scores = mb.softmax(x=mb.mul(x=scores, y=np.float32(plan["scale"])), axis=plan["softmax axis"])
    x = mb.transpose(x=mb.matmul(x=scores, y=x), perm=plan["back"])
    x = mb.conv(x=x, weight=plan["last weights"](held["last.weight"]), bias=held["last.bias"], pad_type="valid")
    return getattr(mb, plan["shuffle"])(x=x, **{_FACTORS[plan["shuffle"]]: 2})


_FACTORS = {"pixel_shuffle": "upscale_factor", "depth_to_space": "block_size"}


def _same(values: Array) -> Array:
    return values


_RIGHT: dict[str, Any] = {
    "first weights": _same,
    "bias": _same,
    "pads": [1, 1, 1, 1],
    "gelu": "EXACT",
    "reflection": [1, 2, 2, 1],
    "padding mode": "reflect",
    "begin": [0, 0, 2, 1],
    "end": [1, _CHANNELS, 14, 13],
    "depthwise weights": _same,
    "dilation": 2,
    "norm axis": 1,
    "beta": _same,
    "epsilon": 1e-2,
    "to the end": [0, 2, 3, 1],
    "query weights": _same,
    "transposed keys": True,
    "scale": 0.5,
    "softmax axis": -1,
    "back": [0, 3, 1, 2],
    "last weights": _same,
    "shuffle": "pixel_shuffle",
}

_MISTAKES: dict[str, dict[str, Any]] = {
    "a kernel with rows for columns": {"first weights": lambda w: w.swapaxes(2, 3).copy()},
    "a kernel that is flipped": {"depthwise weights": lambda w: w[:, :, ::-1].copy()},
    "a kernel of other channels": {"first weights": lambda w: w[:, ::-1].copy()},
    "weights of a convolution transposed": {"last weights": lambda w: w.swapaxes(0, 1).copy()},
    "weights of a product transposed": {"query weights": lambda w: w.T.copy()},
    "padding shifted by a pixel": {"pads": [2, 0, 1, 1]},
    "a reflection at the other side": {"reflection": [2, 1, 1, 2]},
    "the edge for its reflection": {"padding mode": "replicate"},
    "a cut that begins a pixel early": {"begin": [0, 0, 1, 1], "end": [1, _CHANNELS, 13, 13]},
    "a bias at the next channel": {"bias": lambda b: np.roll(b, 1)},
    "a bias that is left out": {"bias": np.zeros_like},
    "a bias of the wrong sign": {"beta": np.negative},
    "another dilation": {"dilation": 1},
    "the norm over rows": {"norm axis": 2},
    "another epsilon": {"epsilon": 1e-5},
    "an approximate activation": {"gelu": "TANH_APPROXIMATION"},
    "rows and columns exchanged": {"to the end": [0, 3, 2, 1]},
    "rows and columns exchanged back": {"back": [0, 3, 2, 1]},
    "keys that are not transposed": {"transposed keys": False},
    "another scale of scores": {"scale": 12**-0.5},
    "softmax over queries": {"softmax axis": -2},
    "TensorFlow's order of channels": {"shuffle": "depth_to_space"},
}


@pytest.fixture(scope="module")
def network() -> _Network:
    return _Network().eval()


@pytest.fixture(scope="module")
def picture() -> Array:
    return np.random.default_rng(4).random(_SIZE, dtype=np.float32)


@pytest.fixture(scope="module")
def expected(network: _Network, picture: Array) -> Array:
    with torch.inference_mode():
        return network(torch.from_numpy(picture)).numpy()


def _decibels(actual: Array, expected: Array) -> float:
    return float(-10 * np.log10(np.mean((actual - expected) ** 2) + 1e-30))


def test_the_right_lowering_is_the_network(workshop: Any, network: _Network, picture: Array, expected: Array) -> None:
    (actual,) = workshop.evaluated(lambda mb, x: _lowered(mb, x, network, _RIGHT), picture)
    assert _decibels(actual, expected) > 120


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_a_mistake_of_the_lowering_is_found(
    workshop: Any, network: _Network, picture: Array, expected: Array, mistake: str
) -> None:
    plan = _RIGHT | _MISTAKES[mistake]
    (actual,) = workshop.evaluated(lambda mb, x: _lowered(mb, x, network, plan), picture)
    assert actual.shape == expected.shape, "a mistake that the shapes give away proves nothing"
    assert _decibels(actual, expected) < 100, "which is what a package in single precision must reach"
