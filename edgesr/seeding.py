"""Weights for a network without a checkpoint: good for its latency and its conversion, not for pictures."""

import math
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_GAIN = 0.8  # root of the sum of squared weights per output: deep networks neither fade nor blow up with it
_SPREAD_OF_NORMS = 0.1
_SPREAD_OF_BIASES = 0.1
_SPREAD_OF_POSITION_BIASES = 1.0
_POSITION_BIASES = ("relative_position_bias", "pos3.2.weight")  # ESC's table, and the last layer of the MLP that makes RGT's

_FACTORS = {"layer_scale": (30.0, 5.0), "gamma": (0.1, 0.05)}
"""Mean and deviation of parameters that are plain factors, by the last part of their name.

SRConvNet's `layer_scale` makes its softmax over all positions peak, without which that branch vanishes against the next;
RGT's `gamma` adds a block's input once more, which multiplies up over its blocks.
"""

_RANGE = {"to_feat.weight": 1 / 255, "tail.weight": 255.0, "tail.bias": 255.0}
"""SRConvNet takes and gives [0,255]: its first and last layers carry the range, so that what lies between them shows."""


def seed_weights(module: "nn.Module", *, seed: int = 0) -> None:
    """Fill every trainable parameter of `module`, in place, from its name, its shape and `seed` alone.

    The weights are in general position: no kernel generator is zero, no norm is the identity, no bias is nothing, so that every
    branch shows in the output, which stays of the order of the input's range. The same seed gives the same bytes everywhere:
    the numbers are uniform, made of random bits by exact arithmetic.
    """
    import numpy as np
    import torch
    from torch import nn

    norms = {f"{name}.weight" for name, layer in module.named_modules() if isinstance(layer, nn.LayerNorm)}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            shape = tuple(parameter.shape)
            mean, deviation = (1.0, _SPREAD_OF_NORMS) if name in norms else _distribution(name, shape)
            uniform = np.random.RandomState([seed, zlib.crc32(name.encode())]).random_sample(shape)
            values = (mean + deviation * math.sqrt(12) * (uniform - 0.5)) * _RANGE.get(name, 1.0)
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))


def _distribution(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Mean and standard deviation for a parameter that is not a norm's weight."""
    kind = name.rsplit(".", 1)[-1]
    if kind in _FACTORS:
        return _FACTORS[kind]
    if name.endswith(_POSITION_BIASES):
        return 0.0, _SPREAD_OF_POSITION_BIASES
    if kind == "bias":
        return 0.0, _SPREAD_OF_BIASES
    # (out, in/groups, k, k), (out, in), or a bank of kernels to mix, (kernels, out, 1, k, k), all of which reach one output
    outputs = shape[1] if len(shape) == 5 else shape[0]
    return 0.0, _GAIN / math.sqrt(math.prod(shape) / outputs)
