"""Convolutions, shuffles and enlargements against sums that are written out, for coremltools infers no values for them."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesr.errors import ArtifactError

Array = NDArray[np.float32]


def _numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _convolved(x: Array, weight: Array, *, pads: list[int], strides: list[int], gaps: list[int], groups: int) -> Array:
    """The convolution's definition, place by place."""
    x = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[1]), (pads[2], pads[3])])
    tall, wide = ((kernel - 1) * gap + 1 for kernel, gap in zip(weight.shape[2:], gaps, strict=True))
    rows, columns = (x.shape[2] - tall) // strides[0] + 1, (x.shape[3] - wide) // strides[1] + 1
    y = np.zeros((x.shape[0], weight.shape[0], rows, columns), np.float32)
    each_in, each_out = weight.shape[1], weight.shape[0] // groups
    for channel, row, column in product(range(weight.shape[0]), range(rows), range(columns)):
        first = channel // each_out * each_in
        top, left = row * strides[0], column * strides[1]
        seen = x[:, first : first + each_in, top : top + tall : gaps[0], left : left + wide : gaps[1]]
        y[:, channel, row, column] = (seen * weight[channel]).sum(axis=(1, 2, 3))
    return y


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("pads", "strides", "gaps"),
    [([0, 0, 0, 0], [1, 1], [1, 1]), ([1, 1, 2, 2], [1, 1], [1, 1]), ([2, 0, 1, 3], [2, 1], [1, 2])],
)
def test_a_convolution_is_its_definition(
    workshop: Any, groups: int, pads: list[int], strides: list[int], gaps: list[int]
) -> None:
    x, weight, bias = _numbers(2, 4, 9, 8), _numbers(8, 4 // groups, 3, 2, seed=1), _numbers(8, seed=2)
    (actual,) = workshop.evaluated(
        lambda mb, x: mb.conv(
            x=x, weight=weight, bias=bias, pad_type="custom", pad=pads, strides=strides, dilations=gaps, groups=groups
        ),
        x,
    )
    expected = _convolved(x, weight, pads=pads, strides=strides, gaps=gaps, groups=groups) + bias[:, None, None]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pad_type", "gap", "around"), [("valid", 1, 0), ("same", 1, 1), ("same_lower", 2, 2)])
def test_padding_by_name(workshop: Any, pad_type: str, gap: int, around: int) -> None:
    x, weight = _numbers(1, 2, 7, 6), _numbers(3, 2, 3, 3, seed=1)
    (actual,) = workshop.evaluated(lambda mb, x: mb.conv(x=x, weight=weight, pad_type=pad_type, dilations=[gap, gap]), x)
    expected = _convolved(x, weight, pads=[around] * 4, strides=[1, 1], gaps=[gap, gap], groups=1)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_padding_that_is_documented_in_two_ways_is_refused(workshop: Any) -> None:
    with pytest.raises(ArtifactError, match="even kernels"):
        workshop.evaluated(lambda mb, x: mb.conv(x=x, weight=_numbers(3, 2, 2, 2), pad_type="same"), _numbers(1, 2, 6, 6))


def test_a_kernel_may_be_computed(workshop: Any) -> None:
    x, weight = _numbers(1, 4, 6, 5), _numbers(4, 1, 3, 3, seed=1)
    (actual,) = workshop.evaluated(
        lambda mb, x, weight: mb.conv(x=x, weight=weight, groups=4, pad_type="custom", pad=[1, 1, 1, 1]), x, weight
    )
    expected = _convolved(x, weight, pads=[1] * 4, strides=[1, 1], gaps=[1, 1], groups=4)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("pads", "strides"), [([0, 0, 0, 0], [1, 1]), ([1, 1, 1, 1], [2, 2]), ([1, 0, 0, 2], [3, 2])])
def test_a_transposed_convolution_adds_the_kernel_for_each_pixel(
    workshop: Any, groups: int, pads: list[int], strides: list[int]
) -> None:
    x, weight, bias = _numbers(1, 4, 4, 5), _numbers(4, 3, 4, 3, seed=1), _numbers(3 * groups, seed=2)
    whole = np.zeros((1, 3 * groups, 3 * strides[0] + 4, 4 * strides[1] + 3), np.float32)
    for channel, row, column in product(range(4), range(4), range(5)):
        first = channel // (4 // groups) * 3
        top, left = row * strides[0], column * strides[1]
        whole[0, first : first + 3, top : top + 4, left : left + 3] += x[0, channel, row, column] * weight[channel]
    bottom, right = whole.shape[2] - pads[1], whole.shape[3] - pads[3]
    expected = whole[:, :, pads[0] : bottom, pads[2] : right] + bias[:, None, None]
    (actual,) = workshop.evaluated(
        lambda mb, x: mb.conv_transpose(
            x=x, weight=weight, bias=bias, pad_type="custom", pad=pads, strides=strides, groups=groups
        ),
        x,
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["pixel_shuffle", "depth_to_space"])
def test_shuffles_put_each_channel_where_its_order_says(workshop: Any, kind: str) -> None:
    x = _numbers(1, 8, 2, 3)
    expected = np.zeros((1, 2, 4, 6), np.float32)
    for channel, row, column, below, right in product(range(2), range(2), range(3), range(2), range(2)):
        place = below * 2 + right
        source = channel * 4 + place if kind == "pixel_shuffle" else place * 2 + channel
        expected[0, channel, row * 2 + below, column * 2 + right] = x[0, source, row, column]
    factor = {"pixel_shuffle": "upscale_factor", "depth_to_space": "block_size"}[kind]
    (actual,) = workshop.evaluated(lambda mb, x: getattr(mb, kind)(x=x, **{factor: 2}), x)
    np.testing.assert_array_equal(actual, expected)


def test_the_nearest_pixel_is_repeated(workshop: Any) -> None:
    x = _numbers(1, 2, 3, 4)
    (actual,) = workshop.evaluated(
        lambda mb, x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3), x
    )
    np.testing.assert_array_equal(actual, np.kron(x, np.ones((1, 1, 2, 3), np.float32)))


@pytest.mark.parametrize("aligned", [False, True])
def test_linear_enlargement_reads_the_documented_grid(workshop: Any, aligned: bool) -> None:
    x = _numbers(1, 2, 3, 4)
    (actual,) = workshop.evaluated(
        lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=3, align_corners=aligned), x
    )
    expected = x
    for axis, factor in ((2, 2), (3, 3)):
        length = x.shape[axis]
        at = np.arange(length * factor)
        grid = at * (length - 1) / (length * factor - 1) if aligned else (at + 0.5) / factor - 0.5
        grid = grid.clip(0, length - 1)
        below = np.minimum(np.floor(grid).astype(int), length - 2)
        share = (grid - below).astype(np.float32).reshape([-1 if each == axis else 1 for each in range(4)])
        expected = expected.take(below, axis) * (1 - share) + expected.take(below + 1, axis) * share
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_interleaved_concatenation_takes_turns(workshop: Any) -> None:
    x, y = _numbers(1, 3, 2), _numbers(1, 3, 2, seed=1)
    (actual,) = workshop.evaluated(lambda mb, x, y: mb.concat(values=[x, y], axis=1, interleave=True), x, y)
    assert actual.shape == (1, 6, 2)
    np.testing.assert_array_equal(actual[:, 0::2], x)
    np.testing.assert_array_equal(actual[:, 1::2], y)


def test_silu_and_the_normalisations_of_channels(workshop: Any) -> None:
    x, gamma, beta, mean = _numbers(2, 3, 4, 5), _numbers(3, seed=1), _numbers(3, seed=2), _numbers(3, seed=3)
    variance = np.abs(_numbers(3, seed=4)) + 0.1
    silu, by_instance, by_batch = workshop.evaluated(
        lambda mb, x: [
            mb.silu(x=x),
            mb.instance_norm(x=x, gamma=gamma, beta=beta, epsilon=np.float32(0.2)),
            mb.batch_norm(x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=np.float32(0.2)),
        ],
        x,
    )
    np.testing.assert_allclose(silu, x / (1 + np.exp(-x)), rtol=1e-5, atol=1e-6)
    factors = [each[None, :, None, None] for each in (gamma, beta, mean, variance)]
    expected = (x - x.mean(axis=(2, 3), keepdims=True)) / np.sqrt(x.var(axis=(2, 3), keepdims=True) + 0.2) * factors[0] + factors[
        1
    ]
    np.testing.assert_allclose(by_instance, expected, rtol=1e-4, atol=1e-5)
    expected = (x - factors[2]) / np.sqrt(factors[3] + 0.2) * factors[0] + factors[1]
    np.testing.assert_allclose(by_batch, expected, rtol=1e-4, atol=1e-5)
