"""Pictures of every kind of pixel, and what comes with them: each as it was meant."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps

from edgesr.images import Picture, read_picture

Array = NDArray[np.generic]

RNG = np.random.default_rng(11)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
RGB = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (6, 9), dtype=np.uint8)


def values(picture: Picture) -> NDArray[np.int64]:
    """(H,W,3) in the file's own units."""
    peak = 2**picture.depth - 1
    scaled: NDArray[np.float64] = picture.rgb[0].transpose(1, 2, 0).astype(np.float64) * peak
    np.testing.assert_allclose(scaled, scaled.round(), atol=1e-2)
    return np.rint(scaled).astype(np.int64)


def alpha_values(picture: Picture) -> NDArray[np.int64]:
    assert picture.alpha is not None
    scaled: NDArray[np.float64] = picture.alpha.astype(np.float64) * (2**picture.depth - 1)
    return np.rint(scaled).astype(np.int64)


def as_rgb(grey: Array) -> Array:
    return np.stack([grey] * 3, axis=-1)


def saved(tmp_path: Path, image: Image.Image, name: str, **options: Any) -> Path:
    path = tmp_path / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".tiff"])
def test_colour(tmp_path: Path, suffix: str) -> None:
    picture = read_picture(
        saved(tmp_path, Image.fromarray(RGB), f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    )
    np.testing.assert_array_equal(values(picture), RGB)
    assert (picture.depth, picture.grey, picture.alpha, picture.icc, picture.exif) == (8, False, None, None, None)
    assert picture.rgb.shape == (1, 3, 6, 9)
    assert picture.rgb.dtype == np.float32
    assert picture.rgb.flags.c_contiguous


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey(tmp_path: Path, suffix: str) -> None:
    picture = read_picture(saved(tmp_path, Image.fromarray(GREY), f"a{suffix}"))
    np.testing.assert_array_equal(values(picture), as_rgb(GREY))
    assert (picture.depth, picture.grey, picture.alpha) == (8, True, None)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_bit(tmp_path: Path, suffix: str) -> None:
    picture = read_picture(saved(tmp_path, Image.fromarray(GREY > 127), f"a{suffix}"))
    np.testing.assert_array_equal(values(picture), as_rgb(np.where(GREY > 127, 255, 0)))
    assert picture.grey


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_with_alpha(tmp_path: Path, suffix: str) -> None:
    picture = read_picture(saved(tmp_path, Image.fromarray(np.stack([GREY, ALPHA], axis=2)), f"a{suffix}"))
    np.testing.assert_array_equal(values(picture), as_rgb(GREY))
    np.testing.assert_array_equal(alpha_values(picture), ALPHA)
    assert picture.grey


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_colour_with_alpha_keeps_the_colour_under_transparent_pixels(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(np.dstack([RGB, np.where(ALPHA > 127, ALPHA, 0).astype(np.uint8)]))
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    picture = read_picture(saved(tmp_path, image, f"a{suffix}", **options))
    np.testing.assert_array_equal(values(picture), RGB)
    np.testing.assert_array_equal(alpha_values(picture), np.where(ALPHA > 127, ALPHA, 0))


def palette_image(colours: list[tuple[int, int, int]]) -> tuple[Image.Image, Array]:
    indices = (GREY % len(colours)).astype(np.uint8)
    image = Image.fromarray(indices)
    image.putpalette([value for colour in colours for value in colour])
    return image, np.asarray(colours, np.uint8)[indices]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_palette(tmp_path: Path, suffix: str) -> None:
    image, colours = palette_image([(255, 0, 0), (0, 200, 0), (1, 2, 3)])
    picture = read_picture(saved(tmp_path, image, f"a{suffix}"))
    np.testing.assert_array_equal(values(picture), colours)
    assert (picture.grey, picture.alpha) == (False, None)


@pytest.mark.parametrize("transparency", [1, b"\xff\x00\x80"])
def test_palette_with_transparency(tmp_path: Path, transparency: int | bytes) -> None:
    image, colours = palette_image([(255, 0, 0), (0, 200, 0), (1, 2, 3)])
    picture = read_picture(saved(tmp_path, image, "a.png", transparency=transparency))
    np.testing.assert_array_equal(values(picture), colours)
    table = [255, 0, 255] if transparency == 1 else [255, 0, 128]
    np.testing.assert_array_equal(alpha_values(picture), np.asarray(table)[GREY % 3])


def test_grey_palette_is_grey(tmp_path: Path) -> None:
    image, colours = palette_image([(9, 9, 9), (77, 77, 77)])
    picture = read_picture(saved(tmp_path, image, "a.png", transparency=0))
    np.testing.assert_array_equal(values(picture), colours)
    np.testing.assert_array_equal(alpha_values(picture), np.where(GREY % 2 == 0, 0, 255))
    assert picture.grey


def flat(mode: str, colour: int | tuple[int, ...]) -> Image.Image:
    return Image.new(mode, (16, 8), colour)


@pytest.mark.parametrize(
    ("ink", "rgb"), [((0, 0, 0, 0), (255,) * 3), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0,) * 3)]
)
def test_cmyk_jpeg_becomes_rgb(tmp_path: Path, ink: tuple[int, ...], rgb: tuple[int, ...]) -> None:
    picture = read_picture(saved(tmp_path, flat("CMYK", ink), "a.jpg", quality=100))
    np.testing.assert_allclose(values(picture)[4, 8], rgb, atol=2)
    assert not picture.grey


def cyan_is_all_the_ink() -> bytes:
    """A CMYK profile whose colours are greys as dark as there is cyan."""
    ramp = bytes(range(256))
    nodes = b"".join(bytes([255 if node < 8 else 0, 128, 128]) for node in range(16))  # cyan varies slowest
    matrix = struct.pack(">9i", *(0x10000 if i % 4 == 0 else 0 for i in range(9)))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + nodes + ramp * 3
    table += b"\0" * (-len(table) % 4)
    d50 = struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(">II", 144 + len(table), 0) + bytes.fromhex("02400000") + b"prtrCMYKLab "
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + d50
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table


def test_cmyk_goes_through_its_own_profile_which_is_not_kept(tmp_path: Path) -> None:
    image = flat("CMYK", (0, 255, 255, 0))  # red by formula, white by the profile
    picture = read_picture(saved(tmp_path, image, "a.jpg", quality=100, icc_profile=cyan_is_all_the_ink()))
    np.testing.assert_allclose(values(picture)[4, 8], (255, 255, 255), atol=3)
    assert picture.icc is None


def test_cmyk_with_a_broken_profile_becomes_rgb_by_formula(tmp_path: Path) -> None:
    image = flat("CMYK", (0, 255, 255, 0))
    picture = read_picture(saved(tmp_path, image, "a.jpg", quality=100, icc_profile=b"\0" * 16 + b"CMYK" + b"\0" * 200))
    np.testing.assert_allclose(values(picture)[4, 8], (255, 0, 0), atol=2)
    assert picture.icc is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_profile_is_kept(tmp_path: Path, suffix: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_picture(saved(tmp_path, Image.fromarray(RGB), f"a{suffix}", icc_profile=profile)).icc == profile
    assert read_picture(saved(tmp_path, Image.fromarray(GREY), f"b{suffix}", icc_profile=profile)).icc == (
        profile if suffix == ".webp" else None
    )


def test_grey_palette_with_a_profile_for_colours_keeps_it_and_is_colour(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image, colours = palette_image([(9, 9, 9), (77, 77, 77)])
    picture = read_picture(saved(tmp_path, image, "a.png", icc_profile=profile))
    np.testing.assert_array_equal(values(picture), colours)
    assert (picture.grey, picture.icc) == (False, profile)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_forgotten(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Maker"
    large = Image.fromarray(RGB).resize((36, 24), Image.Resampling.NEAREST)
    path = saved(tmp_path, large, f"a{suffix}", exif=exif, **({"lossless": True} if suffix == ".webp" else {}))
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    picture = read_picture(path)
    np.testing.assert_array_equal(values(picture), upright)
    assert (upright.shape[0] == 36) == (orientation > 4)
    kept = Image.Exif()
    kept.load(picture.exif or b"")
    assert dict(kept) == {ExifTags.Base.Make: "Maker"}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_exif_keeps_what_stays_true(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Copyright] = "Nobody"
    exif[ExifTags.Base.XResolution] = 300.0
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: "2020:02:02 02:02:02",
        ExifTags.Base.ExposureTime: 0.02,
        ExifTags.Base.ExifImageWidth: 9,
        ExifTags.Base.ExifImageHeight: 6,
        ExifTags.Base.MakerNote: b"secret",
    }
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    picture = read_picture(saved(tmp_path, Image.fromarray(RGB), f"a{suffix}", exif=exif))
    kept = Image.Exif()
    kept.load(picture.exif or b"")
    assert set(kept) == {ExifTags.Base.Copyright, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}
    assert kept[ExifTags.Base.Copyright] == "Nobody"
    assert kept.get_ifd(ExifTags.IFD.Exif) == {
        ExifTags.Base.DateTimeOriginal: "2020:02:02 02:02:02",
        ExifTags.Base.ExposureTime: pytest.approx(0.02),
    }
    assert kept.get_ifd(ExifTags.IFD.GPSInfo) == {ExifTags.GPS.GPSLatitudeRef: "N"}


def test_damaged_exif_is_no_reason_to_refuse_a_picture(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(RGB), "a.png", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x01\x02\x03")
    np.testing.assert_array_equal(values(read_picture(path)), RGB)


def test_a_phones_jpeg_with_an_inner_second_picture_is_its_first(tmp_path: Path) -> None:
    second = flat("RGB", (0, 0, 255))
    path = saved(tmp_path, flat("RGB", (255, 0, 0)), "a.jpg", format="MPO", save_all=True, append_images=[second], quality=100)
    with Image.open(path) as image:
        assert image.format == "MPO"
    np.testing.assert_allclose(values(read_picture(path))[4, 8], (255, 0, 0), atol=2)


def test_suffix_does_not_matter(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(RGB), "a.png")
    np.testing.assert_array_equal(values(read_picture(path.rename(tmp_path / "a.jpg"))), RGB)
