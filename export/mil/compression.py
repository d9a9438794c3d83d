"""Weights of fewer bits: whole numbers with a scale for each channel, or places in a palette that k-means found.

Only the weights of convolutions and matrix products are compressed, and only those of more than `_FEWEST` numbers: biases, the
factors of normalisations and small kernels are a few kilobytes and cost decibels. The first and the last of them stay as well: in
VapSR they are 2 kB and 3 to 6 dB. What a choice costs is measured by whoever asks for it; nothing here looks at pictures.
"""

import importlib
from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import UsageError

Compression = Literal["w8", "p8", "p6", "p4"]
"""w8: 8-bit whole numbers, with a scale and a zero for each output channel. p8, p6, p4: a palette of 256, 64 or 16 numbers."""

COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)

_OPERATORS = ("conv", "conv_transpose", "linear", "matmul")
_FEWEST = 1024
_IOS16, _IOS18 = 7, 9
"""Versions of the file format: the first with compressed weights, and the first with a palette for each group of channels."""
_GROUPS = {"p4": 16, "p6": 16}
"""How many channels share a palette where a weight may have several. Palettes of 256 numbers outweigh what they gain."""


def compressed(model: Any, compression: Compression) -> Any:
    """A copy of a coremltools `MLModel` (an ML Program of one function in half precision) with compressed weights.

    Raises UsageError where the file's deployment target cannot hold compressed weights: iOS 15.
    """
    version = model.get_spec().specificationVersion
    if version < _IOS16:
        raise UsageError(
            f"{compression} weights need a deployment target of iOS 16 or newer", hint="Add --deployment ios16, or leave it out."
        )
    optimize = importlib.import_module("coremltools.optimize.coreml")
    configure = partial(_configuration, optimize, kept=_ends(model))
    if compression == "w8":
        linear = {"mode": "linear", "dtype": "uint8", "granularity": "per_channel"}
        return optimize.linear_quantize_weights(model, configure(optimize.OpLinearQuantizerConfig, linear))
    bits, group = int(compression[1:]), _GROUPS.get(compression)
    settings = {"mode": "custom", "lut_function": partial(palette, bits=bits)}
    if group and version >= _IOS18:
        settings |= {"granularity": "per_grouped_channel", "group_size": group}
    return optimize.palettize_weights(model, configure(optimize.OpPalettizerConfig, settings))


def _configuration(optimize: Any, kind: Any, settings: dict[str, Any], *, kept: Iterable[str]) -> Any:
    chosen = kind(weight_threshold=_FEWEST, **settings)
    return optimize.OptimizationConfig(op_type_configs=dict.fromkeys(_OPERATORS, chosen), op_name_configs=dict.fromkeys(kept))


def _ends(model: Any) -> set[str]:
    """The names of the first and the last weights of the program."""
    (function,) = model.get_spec().mlProgram.functions.values()
    (body,) = function.block_specializations.values()
    held = {output.name for each in body.operations if each.type == "const" for output in each.outputs}
    read = [
        argument.name
        for each in body.operations
        if each.type in _OPERATORS
        for key in ("weight", "x", "y")
        if key in each.inputs
        for argument in each.inputs[key].arguments
        if argument.name in held
    ]
    return set(read[:1] + read[-1:])


def palette(weight: NDArray[Any], bits: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """The 2^bits numbers that stand for the weight's with the least mean square error, and each number's place in them.

    By the exact k-means on a line that coremltools brings. (Its own palettes take it for large weights alone, and need
    scikit-learn 1.5.1 or older for all others.)
    """
    values, places, counts = np.unique(weight.astype(np.float64), return_inverse=True, return_counts=True)
    found = importlib.import_module("coremltools._deps.kmeans1d").cluster(values, 2**bits, weights=counts)
    table = np.zeros(2**bits, dtype=weight.dtype)
    table[: len(found.centroids)] = found.centroids
    return table, np.asarray(found.clusters, dtype=np.uint8)[places.reshape(-1)]
