"""MATLAB's bicubic: properties that need no data, and equality with the benchmark's own low-resolution pictures."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgesr.errors import SizeError
from edgesr.resize import matlab_bicubic


def picture(height: int, width: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).random((height, width, 3))


def read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 0.3, 1.7, 2.0, 3.0, 4.0])
def test_flat_picture_stays_flat(scale: float) -> None:
    result = matlab_bicubic(np.full((13, 18, 3), 0.3), scale=scale)
    assert result.shape == (int(np.ceil(13 * scale)), int(np.ceil(18 * scale)), 3)
    np.testing.assert_allclose(result, 0.3, rtol=0, atol=1e-14)


def test_scale_one_is_the_identity() -> None:
    np.testing.assert_allclose(matlab_bicubic(picture(9, 7), scale=1), picture(9, 7), rtol=0, atol=1e-15)


@pytest.mark.parametrize("scale", [0.25, 0.5, 2.0, 4.0])
def test_a_ramp_stays_a_ramp_away_from_the_edges(scale: float) -> None:
    ramp = np.tile(np.arange(64.0)[None, :, None], (8, 1, 1))
    expected = (np.arange(round(64 * scale)) + 0.5) / scale - 0.5
    margin = max(round(2 * scale), 2)
    result = matlab_bicubic(ramp, scale=scale)
    np.testing.assert_allclose(result[0, margin:-margin, 0], expected[margin:-margin], rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.25, 1 / 3, 3.0])
def test_flips_and_transposition_commute(scale: float) -> None:
    result = matlab_bicubic(picture(24, 36), scale=scale)
    np.testing.assert_allclose(matlab_bicubic(picture(24, 36)[::-1], scale=scale), result[::-1], atol=1e-12)
    transposed = matlab_bicubic(picture(24, 36).transpose(1, 0, 2), scale=scale)
    np.testing.assert_allclose(transposed, result.transpose(1, 0, 2), atol=1e-12)


def test_half_scale_taps_by_hand() -> None:
    # An impulse lies 1.75, 0.75, 0.25 and 1.25 stretched samples from its neighbours; the kernel is halved, being twice as wide.
    line = np.zeros((16, 1, 1))
    line[8] = 1
    column = matlab_bicubic(np.tile(line, (1, 8, 1)), scale=0.5)[:, 2, 0]
    np.testing.assert_allclose(column, [0, 0, -0.01171875, 0.11328125, 0.43359375, -0.03515625, 0, 0], atol=1e-15)


def test_pictures_smaller_than_the_kernel_mirror_more_than_once() -> None:
    result = matlab_bicubic(picture(1, 2), scale=0.25)
    assert result.shape == (1, 1, 3)
    np.testing.assert_allclose(result[0, 0], picture(1, 2).mean((0, 1)), atol=0.1)


def test_uint8_saturates_instead_of_wrapping() -> None:
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    result = matlab_bicubic(edge, scale=4)
    assert result.dtype == np.uint8
    assert result[:, :14].max() == 0
    assert result[:, 18:].min() == 255


@pytest.mark.parametrize(("shape", "scale"), [((4, 4), 2.0), ((0, 4, 3), 2.0), ((4, 4, 3), 0.0), ((4, 4, 3), float("nan"))])
def test_what_is_no_picture_or_scale_is_refused(shape: tuple[int, ...], scale: float) -> None:
    with pytest.raises(SizeError):
        matlab_bicubic(np.zeros(shape), scale=scale)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_the_low_resolution_pictures_of_set5(scale: int, data: Path) -> None:
    set5 = data / "images" / "Set5"
    paths = sorted((set5 / "HR").glob("*.png"))
    assert len(paths) == 5
    for path in paths:
        hr = read(path)
        height, width = (side // scale * scale for side in hr.shape[:2])
        expected = read(next((set5 / f"LRbicx{scale}").glob(f"{path.stem}*")))
        np.testing.assert_array_equal(matlab_bicubic(hr[:height, :width], scale=1 / scale), expected, err_msg=path.name)
