"""Files that Pillow alone reads with loss, in another sense or not at all; each is written here byte by byte."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from edgesr.errors import ImageError
from edgesr.images import Picture, read_picture

Array = NDArray[np.generic]

RNG = np.random.default_rng(11)


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


def png(samples: Array, *, colour_type: int, depth: int, extra: bytes = b"", interlaced: bool = False) -> bytes:
    """A PNG without filters, of one sample per byte (8) or two (16), written from the standard."""
    height, width = samples.shape[:2]

    def rows(part: Array) -> bytes:
        return b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in part) if part.size else b""

    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [samples[top::down, left::right] for top, left, down, right in starts] if interlaced else [samples]
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, int(interlaced))
    body = chunk(b"IDAT", zlib.compress(b"".join(rows(part) for part in passes)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + body + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(samples: Array, *, order: str, photometric: int, extra: dict[int, tuple[int, ...]] | None = None) -> bytes:
    """A TIFF written from the standard: samples (H,W,C) in one plain strip, or in deflated planes if `extra` asks for these."""
    height, width, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    stored = samples.astype(samples.dtype.newbyteorder(">" if order == ">" else "<"))
    strips = [stored.tobytes()]
    if extra and extra.get(284) == (2,):
        strips = [zlib.compress(plane.tobytes()) for plane in np.moveaxis(stored, 2, 0)]
    fields: dict[int, tuple[int, ...]] = {
        256: (width,),
        257: (height,),
        258: (bits,) * channels,
        259: (1 if len(strips) == 1 else 8,),
        262: (photometric,),
        273: (0,) * len(strips),
        277: (channels,),
        278: (height,),
        279: tuple(len(strip) for strip in strips),
        284: (1,),
        **(extra or {}),
    }
    entries, more = b"", b""
    end = 8 + 2 + 12 * len(fields) + 4
    start_of_data = end + sum(4 * len(value) for value in fields.values() if len(value) > 1)
    fields[273] = tuple(start_of_data + sum(fields[279][:index]) for index in range(len(strips)))
    for tag, value in sorted(fields.items()):
        packed = struct.pack(f"{order}{len(value)}I", *value)
        if len(value) > 1:
            packed, more = struct.pack(f"{order}I", end + len(more)), more + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(value)) + packed
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(fields))
    return head + entries + b"\0\0\0\0" + more + b"".join(strips)


def read_bytes(tmp_path: Path, data: bytes, name: str = "picture.png") -> Picture:
    path = tmp_path / name
    path.write_bytes(data)
    return read_picture(path)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_16_bit_png(tmp_path: Path, channels: int, colour_type: int, interlaced: bool) -> None:
    samples = RNG.integers(0, 65536, (11, 13, channels), dtype=np.uint16)
    picture = read_bytes(tmp_path, png(samples, colour_type=colour_type, depth=16, interlaced=interlaced))
    np.testing.assert_array_equal(values(picture), samples[..., :3] if channels > 2 else as_rgb(samples[..., 0]))
    assert (picture.depth, picture.grey) == (16, channels < 3)
    if channels in (2, 4):
        np.testing.assert_array_equal(alpha_values(picture), samples[..., -1])
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_tiff(tmp_path: Path, channels: int, order: str) -> None:
    samples = RNG.integers(0, 65536, (11, 13, channels), dtype=np.uint16)
    extra: dict[int, tuple[int, ...]] = {338: (2,)} if channels == 4 else {}
    picture = read_bytes(tmp_path, tiff(samples, order=order, photometric=1 if channels == 1 else 2, extra=extra), "a.tif")
    np.testing.assert_array_equal(values(picture), samples[..., :3] if channels > 2 else as_rgb(samples[..., 0]))
    assert (picture.depth, picture.grey) == (16, channels == 1)
    if channels == 4:
        np.testing.assert_array_equal(alpha_values(picture), samples[..., -1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_with_white_as_zero(tmp_path: Path, dtype: type[np.uint8 | np.uint16]) -> None:
    samples = np.arange(12, dtype=dtype).reshape(3, 4, 1)
    picture = read_bytes(tmp_path, tiff(samples, order="<", photometric=0), "a.tif")
    np.testing.assert_array_equal(values(picture), as_rgb(np.iinfo(dtype).max - samples[..., 0]))


@pytest.mark.parametrize(("depth", "unit"), [(1, 255), (2, 85), (4, 17), (8, 1), (16, 1)])
def test_transparent_grey_of_a_png_is_in_the_files_units(tmp_path: Path, depth: int, unit: int) -> None:
    stored = np.array([[0, 1, 0, 1, 1, 1, 0, 0]], np.uint8)
    packed: Array = stored[..., None]
    if depth < 8:
        shifts = np.arange(8 // depth)[::-1] * depth
        packed = (stored.reshape(1, -1, 8 // depth) << shifts).sum(axis=2).astype(np.uint8)[..., None]
    data = bytearray(png(packed, colour_type=0, depth=max(depth, 8), extra=chunk(b"tRNS", struct.pack(">H", 1))))
    data[16:25] = struct.pack(">IIB", 8, 1, depth)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    picture = read_bytes(tmp_path, bytes(data))
    np.testing.assert_array_equal(values(picture), as_rgb(stored.astype(int) * unit))
    np.testing.assert_array_equal(alpha_values(picture) > 0, stored == 0)
    assert picture.grey


@pytest.mark.parametrize("depth", [8, 16])
def test_transparent_colour_of_a_png(tmp_path: Path, depth: int) -> None:
    samples = np.array([[[1, 2, 3], [1, 2, 4], [1, 2, 3]]], np.uint16)
    extra = chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    picture = read_bytes(tmp_path, png(samples, colour_type=2, depth=depth, extra=extra))
    np.testing.assert_array_equal(values(picture), samples)
    np.testing.assert_array_equal(alpha_values(picture), [[0, 2**depth - 1, 0]])


def test_orientation_of_16_bits(tmp_path: Path) -> None:
    samples = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    block = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    as_png = read_bytes(tmp_path, png(samples, colour_type=2, depth=16, extra=block))
    as_tiff = read_bytes(tmp_path, tiff(samples, order=">", photometric=2, extra={274: (6,)}), "a.tif")
    for picture in (as_png, as_tiff):
        np.testing.assert_array_equal(values(picture), np.rot90(samples, -1))


Maker = Callable[[Path], object]


def flat(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (16, 8), colour)


def write(data: bytes) -> Maker:
    def make(path: Path) -> None:
        path.write_bytes(data)

    return make


def frames(format: str) -> Maker:
    def make(path: Path) -> None:
        flat((255, 0, 0)).save(path, format, save_all=True, append_images=[flat((0, 0, 255))])

    return make


def header_only(width: int, height: int) -> bytes:
    data = bytearray(png(np.zeros((1, 1, 3), np.uint8), colour_type=2, depth=8))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (write(b""), "is empty"),
        (write(b"hello world"), "begins with b'hello wo'"),
        (lambda path: flat((0, 0, 0)).save(path, "GIF"), "begins with b'GIF87a"),
        (write(b"\x89PNG\r\n\x1a\n"), "is not a picture|is damaged"),
        (frames("PNG"), "2 pictures"),
        (frames("TIFF"), "2 pictures"),
        (frames("WEBP"), "2 pictures"),
        (write(header_only(11000, 11000)), "more than 89478485 pixels"),
        (write(header_only(60000, 60000)), "more than 89478485 pixels"),
        (write(header_only(0, 5)), "is not a picture"),
        (write(header_only(50, 50)), "is damaged"),
        (lambda path: Image.new("F", (4, 4)).save(path, "TIFF"), "F pixels of 32 bits"),
        (lambda path: Image.new("I", (4, 4)).save(path, "TIFF"), "I pixels of 32 bits"),
        (lambda path: Image.new("LAB", (4, 4)).save(path, "TIFF"), "LAB pixels"),
        (write(tiff(np.zeros((4, 5, 4), np.uint16), order="<", photometric=5)), "CMYK pixels of 16 bits"),
        (
            write(tiff(np.zeros((4, 5, 3), np.uint16), order="<", photometric=2, extra={284: (2,)})),
            "16 bits per channel in separate planes",
        ),
    ],
)
def test_what_is_no_readable_picture_is_refused(tmp_path: Path, make: Maker, message: str) -> None:
    path = tmp_path / "picture"
    make(path)
    with pytest.raises(ImageError, match=message) as caught:
        read_picture(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, format: str, part: float) -> None:
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format)
    with pytest.raises(ImageError, match="picture"):
        read_bytes(tmp_path, buffer.getvalue()[: int(part * len(buffer.getvalue()))], "picture")


@pytest.mark.parametrize("depth", [8, 16])
def test_truncated_png_of_either_depth_is_refused(tmp_path: Path, depth: int) -> None:
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = png(noise, colour_type=2, depth=depth)
    with pytest.raises(ImageError, match=r"truncated|damaged"):
        read_bytes(tmp_path, data[: len(data) // 2])
