"""Samples to the bytes of a picture file.

Pillow encodes 8-bit PNG, JPEG and WebP. It can neither write colour of 16 bits per channel nor keep EXIF's inner tables in a
TIFF, so these are put together here; both formats are small: filtered rows in zlib, behind a few tagged fields.
"""

import io
import struct
import zlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from edgesr.image_decoding import Samples

Format = Literal["PNG", "JPEG", "WEBP", "TIFF"]

_STRIP_BYTES = 1 << 18


def encode(samples: Samples, format: Format, *, icc: bytes | None = None, exif: bytes | None = None, quality: int = 95) -> bytes:
    """Samples (H,W,C) as in `Samples` -> a file's bytes, of the samples' own depth.

    JPEG takes 8 bits without alpha, and is the only one with loss: `quality` from 1 to 100, colour at full resolution (4:4:4).
    WebP takes 8 bits and has no grey, and 16-bit grey with alpha in a TIFF is hardly ever read: both are written as RGB, without
    the grey profile. `exif` is as in `Decoded`.
    """
    if format == "TIFF":
        return _tiff(samples, icc, exif)
    if format == "PNG" and samples.dtype == np.uint16:
        return _png16(samples, icc, exif)
    if format == "WEBP" and samples.shape[2] < 3:
        samples, icc = _coloured(samples), None
    buffer = io.BytesIO()
    image = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
    metadata = {"icc_profile": icc, "exif": b"Exif\0\0" + exif if exif else b""}
    if format == "JPEG":
        image.save(buffer, format, quality=quality, subsampling="4:4:4", **metadata)
    elif format == "WEBP":
        image.save(buffer, format, lossless=True, exact=True, **metadata)  # exact keeps the colour of transparent pixels
    else:
        image.save(buffer, format, **metadata)
    return buffer.getvalue()


def _coloured(samples: Samples) -> Samples:
    """Grey or grey with alpha -> RGB or RGBA."""
    return samples[..., [0, 0, 0, *range(1, samples.shape[2])]]


def _png16(samples: Samples, icc: bytes | None, exif: bytes | None) -> bytes:
    """PNG (ISO/IEC 15948) of 16 bits per channel, every row with the Paeth filter."""
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = samples.astype(">u2").view(np.uint8).reshape(height, -1).astype(np.int16)
    packer = zlib.compressobj()
    above = np.zeros_like(rows[0])
    body = bytearray()
    for row in rows:
        body += packer.compress(b"\4" + _paeth_filtered(row, above, step=2 * channels))
        above = row
    body += packer.flush()
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)),
            _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)) if icc else b"",
            _chunk(b"eXIf", exif) if exif else b"",
            _chunk(b"IDAT", bytes(body)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _paeth_filtered(row: NDArray[np.int16], above: NDArray[np.int16], *, step: int) -> bytes:
    """A row's bytes minus their prediction from the pixels to the left, above, and above to the left."""
    left, corner = np.zeros_like(row), np.zeros_like(row)
    left[step:], corner[step:] = row[:-step], above[:-step]
    to_left, to_above, to_corner = np.abs(above - corner), np.abs(left - corner), np.abs(left + above - 2 * corner)
    near_left = (to_left <= to_above) & (to_left <= to_corner)
    guess = np.where(near_left, left, np.where(to_above <= to_corner, above, corner))
    return (row - guess).astype(np.uint8).tobytes()


def _tiff(samples: Samples, icc: bytes | None, exif: bytes | None) -> bytes:
    """TIFF 6.0 with deflated strips and horizontal differencing. EXIF is a TIFF directory, so the picture's fields join it."""
    if samples.dtype == np.uint16 and samples.shape[2] == 2:
        # Grey with alpha of 16 bits is read by few programs, Pillow not among them.
        samples, icc = _coloured(samples), None
    height, width, channels = samples.shape
    bits = 8 * samples.dtype.itemsize
    directory = Image.Exif()
    directory.endian = "<"
    if exif:
        directory.load(exif)
    differences = samples.copy()
    differences[:, 1:] -= samples[:, :-1]
    rows = max(1, _STRIP_BYTES // (width * channels * bits // 8))
    stored = differences.astype(f"{directory.endian}u{bits // 8}")
    strips = [zlib.compress(stored[top : top + rows].tobytes()) for top in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]
    directory.update(
        {
            TiffImagePlugin.IMAGEWIDTH: width,
            TiffImagePlugin.IMAGELENGTH: height,
            TiffImagePlugin.BITSPERSAMPLE: (bits,) * channels,
            TiffImagePlugin.COMPRESSION: 8,  # deflate
            TiffImagePlugin.PHOTOMETRIC_INTERPRETATION: 1 if channels < 3 else 2,
            # Counted from the end of the directory: Pillow adds its length.
            TiffImagePlugin.STRIPOFFSETS: tuple(sum(sizes[:index]) for index in range(len(sizes))),
            TiffImagePlugin.SAMPLESPERPIXEL: channels,
            TiffImagePlugin.ROWSPERSTRIP: rows,
            TiffImagePlugin.STRIPBYTECOUNTS: tuple(sizes),
            TiffImagePlugin.PREDICTOR: 2,
            **({TiffImagePlugin.EXTRASAMPLES: 2} if channels in (2, 4) else {}),  # alpha that is not multiplied in
            **({TiffImagePlugin.ICCPROFILE: icc} if icc else {}),
        }
    )
    return b"".join([directory.tobytes().removeprefix(b"Exif\0\0"), *strips])
