"""Weights that a package holds compressed are taken apart as coremltools does it."""

from typing import Any

import numpy as np
import pytest

_RANDOM = np.random.default_rng(5)
_WHOLE = _RANDOM.integers(-128, 128, (4, 6, 2)).astype(np.int8)
_SCALES = _RANDOM.random(6).astype(np.float32)
_SHIFTS = _RANDOM.integers(-9, 9, 6).astype(np.int8)
_PALETTE = _RANDOM.standard_normal(64).astype(np.float32)
_PLACES = _RANDOM.integers(0, 256, (4, 6, 2))


def _packed(values: np.ndarray, bits: int) -> np.ndarray:
    """Bit behind bit, lowest first."""
    stream = [value >> bit & 1 for value in values.reshape(-1).tolist() for bit in range(bits)]
    stream += [0] * (-len(stream) % 8)
    return np.array([sum(bit << at for at, bit in enumerate(stream[i : i + 8])) for i in range(0, len(stream), 8)], np.uint8)


def _added(workshop: Any, make: Any, *, target: str) -> np.ndarray:
    """The weight, as it comes out when it is added to zeros."""
    x = np.zeros((4, 6, 2), np.float32)
    (found,) = workshop.evaluated(lambda mb, x: mb.add(x=x, y=make(mb)), x, target=target)
    return found


@pytest.mark.parametrize("axis", [1, -2])
def test_a_scale_for_each_channel(workshop: Any, axis: int) -> None:
    found = _added(
        workshop,
        lambda mb: mb.constexpr_affine_dequantize(quantized_data=_WHOLE, zero_point=_SHIFTS, scale=_SCALES, axis=axis),
        target="iOS16",
    )
    expected = (_WHOLE.astype(np.float32) - _SHIFTS[:, None]) * _SCALES[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_one_scale(workshop: Any) -> None:
    found = _added(
        workshop,
        lambda mb: mb.constexpr_affine_dequantize(quantized_data=_WHOLE, zero_point=np.int8(3), scale=np.float32(0.25), axis=0),
        target="iOS16",
    )
    np.testing.assert_allclose(found, (_WHOLE.astype(np.float32) - 3) * 0.25, rtol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_a_palette(workshop: Any, bits: int) -> None:
    palette = np.resize(_PALETTE, 2**bits)
    places = _PLACES % 2**bits
    found = _added(
        workshop,
        lambda mb: mb.constexpr_lut_to_dense(indices=_packed(places, bits), lut=palette, shape=np.array(places.shape, np.uint32)),
        target="iOS16",
    )
    np.testing.assert_array_equal(found, palette[places])


def test_a_scale_for_each_block(workshop: Any) -> None:
    scale = _RANDOM.random((2, 3, 1)).astype(np.float32)
    offset = _RANDOM.integers(-9, 9, (2, 3, 1)).astype(np.int8)
    found = _added(
        workshop,
        lambda mb: mb.constexpr_blockwise_shift_scale(data=_WHOLE, scale=scale, offset=offset),
        target="iOS18",
    )
    wide, shift = (np.kron(each, np.ones((2, 2, 2), np.float32)) for each in (scale, offset))
    np.testing.assert_allclose(found, (_WHOLE - shift) * wide, rtol=1e-6)


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_a_palette_for_each_group(workshop: Any, bits: int) -> None:
    types = workshop.ct.converters.mil.mil.types
    kind = types.nptype_from_builtin(types.string_to_builtin(f"uint{bits}"))
    palettes = _RANDOM.standard_normal((2, 1, 1, 2**bits, 1)).astype(np.float32)
    places = (_PLACES % 2**bits).astype(kind)
    found = _added(workshop, lambda mb: mb.constexpr_lut_to_dense(indices=places, lut=palettes), target="iOS18")
    plain = places.astype(np.int64)
    expected = np.concatenate([palettes[0].reshape(-1)[plain[:2]], palettes[1].reshape(-1)[plain[2:]]])
    np.testing.assert_array_equal(found, expected)


def test_half_precision_that_stands_for_single(workshop: Any) -> None:
    half = _RANDOM.standard_normal((4, 6, 2)).astype(np.float16)
    found = _added(workshop, lambda mb: mb.constexpr_cast(source_val=half, output_dtype="fp32"), target="iOS16")
    np.testing.assert_array_equal(found, half.astype(np.float32))
