"""Weights of fewer bits: whole numbers with a scale for each channel, or places in a palette that k-means found.

Only the weights of convolutions and matrix products are compressed, and only those of more than `_FEWEST` numbers: biases, the
factors of normalisations and small kernels are a few kilobytes and cost decibels. What a choice costs is measured by whoever asks
for it; nothing here looks at pictures.
"""

import importlib
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import UsageError

Compression = Literal["w8", "p8", "p6", "p4"]
"""w8: 8-bit whole numbers, symmetric, a scale for each output channel. p8, p6, p4: a palette of 256, 64 or 16 numbers."""

COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)

_OPERATORS = ("conv", "conv_transpose", "linear", "matmul")
_FEWEST = 512
_IOS16, _IOS18 = 7, 9
"""Versions of the file format: the first with compressed weights, and the first with a palette for each group of channels."""
_GROUP = 8
"""Channels that share a palette where a weight may have several."""


def compressed(model: Any, compression: Compression) -> Any:
    """A copy of a coremltools `MLModel` (an ML Program of one function in half precision) with compressed weights.

    Raises UsageError where the file's deployment target cannot hold compressed weights: iOS 15.
    """
    version = model.get_spec().specificationVersion
    if version < _IOS16:
        raise UsageError(
            f"{compression} weights need a deployment target of iOS 16 or newer", hint="Add --ios 16, or leave it out."
        )
    optimize = importlib.import_module("coremltools.optimize.coreml")
    if compression == "w8":
        settings = optimize.OpLinearQuantizerConfig(
            mode="linear_symmetric", dtype="int8", granularity="per_channel", weight_threshold=_FEWEST
        )
        return optimize.linear_quantize_weights(model, _config(optimize, settings))
    grouped = {"granularity": "per_grouped_channel", "group_size": _GROUP} if version >= _IOS18 else {}
    bits = int(compression[1:])
    settings = optimize.OpPalettizerConfig(
        mode="custom", lut_function=lambda weight: palette(weight, bits), weight_threshold=_FEWEST, **grouped
    )
    return optimize.palettize_weights(model, _config(optimize, settings))


def _config(optimize: Any, settings: Any) -> Any:
    return optimize.OptimizationConfig(op_type_configs=dict.fromkeys(_OPERATORS, settings))


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
