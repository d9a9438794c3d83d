"""Pictures out: read back by Pillow or by our reader (which has its own tests), and what happens when writing fails."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

from edgesr.errors import ImageError, UsageError
from edgesr.images import FORMATS, Picture, check_destination, format_of, read_picture, to_samples, write_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(
    *, depth: int = 8, grey: bool = False, alpha: bool = False, seed: int = 0, height: int = 37, width: int = 41
) -> Picture:
    """A random picture whose values are exact at its depth."""
    rng = np.random.default_rng(seed)
    peak = 2**depth - 1

    def plane() -> NDArray[np.float32]:
        return np.asarray(rng.integers(0, peak + 1, (height, width)) / peak, np.float32)

    planes = [plane()] * 3 if grey else [plane(), plane(), plane()]
    rgb = np.stack(planes)[None]
    return Picture(rgb=rgb, alpha=plane() if alpha else None, depth=16 if depth == 16 else 8, grey=grey)


def assert_same(got: Picture, want: Picture, *, depth: int, grey: bool) -> None:
    np.testing.assert_array_equal(to_samples(got.rgb, depth=depth), to_samples(want.rgb, depth=depth))
    assert (got.depth, got.grey) == (depth, grey)
    if want.alpha is None:
        assert got.alpha is None
    else:
        assert got.alpha is not None
        np.testing.assert_array_equal(to_samples(got.alpha, depth=depth), to_samples(want.alpha, depth=depth))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_formats_without_loss_give_the_picture_back(tmp_path: Path, suffix: str, depth: int, grey: bool, alpha: bool) -> None:
    original = picture(depth=depth, grey=grey, alpha=alpha)
    path = tmp_path / f"a{suffix}"
    write_picture(path, original)
    colour = suffix == ".webp" or (suffix == ".tif" and depth == 16 and alpha)  # where the format has no such grey
    assert_same(read_picture(path), original, depth=8 if suffix == ".webp" else depth, grey=grey and not colour)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_large_pictures_of_16_bits(tmp_path: Path, suffix: str) -> None:
    original = picture(depth=16, height=700, width=301)
    write_picture(tmp_path / f"a{suffix}", original)
    assert_same(read_picture(tmp_path / f"a{suffix}"), original, depth=16, grey=False)


@pytest.mark.parametrize("suffix", FORMATS)
def test_one_pixel(tmp_path: Path, suffix: str) -> None:
    for depth in (8, 16):
        write_picture(tmp_path / f"a{suffix}", picture(depth=depth, height=1, width=1))
        assert read_picture(tmp_path / f"a{suffix}").rgb.shape == (1, 3, 1, 1)


def smooth() -> Picture:
    y, x = np.mgrid[0:48, 0:64].astype(np.float32)
    return Picture(rgb=np.stack([x / 63, y / 47, 1 - x / 63])[None])


def test_jpeg_is_close_and_keeps_colour_at_full_resolution(tmp_path: Path) -> None:
    path = tmp_path / "a.JPG"
    write_picture(path, smooth())
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert JpegImagePlugin.get_sampling(image) == 0
    assert np.abs(read_picture(path).rgb - smooth().rgb).max() < 0.02
    size = path.stat().st_size
    write_picture(path, smooth(), quality=50)
    assert path.stat().st_size < size


def test_grey_jpeg_is_grey(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg", picture(grey=True))
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == "L"


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_16_bits_are_rounded_where_the_format_has_8(tmp_path: Path, suffix: str) -> None:
    grey = np.full((1, 3, 16, 16), (200 * 257 + 129) / 65535, np.float32)  # just above the middle of 200 and 201
    write_picture(tmp_path / f"a{suffix}", Picture(rgb=grey, depth=16))
    assert to_samples(read_picture(tmp_path / f"a{suffix}").rgb).tolist() == np.full((1, 3, 16, 16), 201).tolist()


def test_values_are_clamped_and_rounded_half_up() -> None:
    values = np.array([-0.5, 0.0, 0.5 / 255, 0.499 / 255, 1.0, 1.7])
    assert to_samples(values).tolist() == [0, 0, 1, 0, 255, 255]
    assert to_samples(values, depth=16).tolist() == [0, 0, 129, 128, 65535, 65535]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_not_written(tmp_path: Path, value: float) -> None:
    broken = picture()
    broken.rgb[0, 1, 2, 3] = value
    with pytest.raises(ImageError, match="NaN"):
        write_picture(tmp_path / "a.png", broken)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("depth", [8, 16])
def test_profile_and_exif_go_along(tmp_path: Path, suffix: str, depth: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Nobody"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "2020:02:02 02:02:02"}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    for endian in ("<", ">"):
        exif.endian = endian
        original = replace(picture(depth=depth), icc=SRGB, exif=exif.tobytes().removeprefix(b"Exif\0\0"))
        write_picture(tmp_path / f"a{suffix}", original)
        with Image.open(tmp_path / f"a{suffix}") as image:
            image.load()
            assert not image.info.get("exif", b"").startswith(b"Exif\0\0Exif")
            assert image.info["icc_profile"] == SRGB
            found = image.getexif()
            assert found[ExifTags.Base.Artist] == "Nobody"
            assert found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2020:02:02 02:02:02"
            assert found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        again = read_picture(tmp_path / f"a{suffix}")
        assert (again.icc, again.exif is not None) == (SRGB, True)


def test_a_grey_profile_does_not_go_where_grey_becomes_colour(tmp_path: Path) -> None:
    grey = replace(picture(grey=True), icc=b"\0" * 16 + b"GRAY" + b"\0" * 108)
    write_picture(tmp_path / "a.webp", grey)
    write_picture(tmp_path / "a.tif", replace(picture(grey=True, depth=16, alpha=True), icc=grey.icc))
    for name in ("a.webp", "a.tif"):
        with Image.open(tmp_path / name) as image:
            assert image.mode in ("RGB", "RGBA")
            assert not image.info.get("icc_profile")
    write_picture(tmp_path / "a.png", grey)
    assert read_picture(tmp_path / "a.png").icc == grey.icc


def test_jpeg_refuses_transparency_but_not_opaque_alpha(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with pytest.raises(ImageError, match="no transparency") as caught:
        write_picture(path, picture(alpha=True))
    assert "PNG" in caught.value.hint
    assert not list(tmp_path.iterdir())
    write_picture(path, replace(picture(), alpha=np.ones((37, 41), np.float32)))
    assert read_picture(path).alpha is None


def test_sides_beyond_the_format_are_refused_before_the_work(tmp_path: Path) -> None:
    wide = Picture(rgb=np.zeros((1, 3, 1, 5000), np.float32))
    check_destination(tmp_path / "a.webp", wide, scale=3)
    with pytest.raises(ImageError, match="WEBP takes 16383 pixels a side, not 20000"):
        check_destination(tmp_path / "a.webp", wide, scale=4)
    check_destination(tmp_path / "a.jpg", wide, scale=4)
    with pytest.raises(ImageError, match="JPEG takes 65500 pixels a side, not 70000"):
        check_destination(tmp_path / "a.jpg", wide, scale=14)
    check_destination(tmp_path / "a.png", wide, scale=14)


@pytest.mark.parametrize("name", ["a", "a.gif", "a.png.bak", ".png"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="which kind of picture") as caught:
        write_picture(tmp_path / name, picture())
    assert ".png" in caught.value.hint
    assert format_of(Path("A.JPEG")) == "JPEG"


def test_what_an_encoder_refuses_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.jpg was not written.*EXIF") as caught:
        write_picture(tmp_path / "a.jpg", replace(picture(), exif=b"II*\0\x08\0\0\0" + b"x" * 70000))
    assert "PNG" in caught.value.hint
    assert not list(tmp_path.iterdir())


def raising(error: BaseException) -> Any:
    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise error

    return fail


def test_an_existing_file_is_replaced_only_by_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_picture(path, picture(seed=1))
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", raising(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(ImageError, match="No space left on device; nothing was left behind") as caught:
            write_picture(path, picture(seed=2))
        assert "Free some space" in caught.value.hint
        patch.setattr(Path, "replace", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            write_picture(path, picture(seed=2))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == before
    write_picture(path, picture(seed=2))
    assert path.read_bytes() != before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = Path.open

    def full(path: Path, mode: str) -> object:
        path.touch()
        return really(Path("/dev/full"), "wb")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ImageError, match="No space left"):
        write_picture(tmp_path / "a.png", picture())
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(ImageError, match=r"file is a file"):
        write_picture(tmp_path / "file" / "a.png", picture())
    with pytest.raises(ImageError, match=r"missing is no folder") as caught:
        write_picture(tmp_path / "missing" / "a.png", picture())
    assert "mkdir -p" in caught.value.hint
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match=r"cannot write .*folder\.png"):
        write_picture(tmp_path / "folder.png", picture())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ImageError, match="read-only"):
        write_picture(tmp_path / "a.png", picture())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.png"]


def test_new_files_have_the_users_permissions(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_bytes(b"")
    write_picture(tmp_path / "a.png", picture())
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
