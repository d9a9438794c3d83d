"""Picture files to samples: what a PNG, JPEG, WebP or TIFF file shows, upright and at its own depth.

Pillow decodes. Of colour with 16 bits per channel it gives the high bytes only, so such a file is decoded twice: the second time
as if it were of the other byte order, which gives the low bytes.
"""

import io
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile, TiffImagePlugin, UnidentifiedImageError

from edgesr.errors import ImageError

Samples = NDArray[np.uint8 | np.uint16]
"""(H,W,C) with C of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha)."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")

_LOW_BYTES = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if sys.byteorder == "little" else "RGB;16L",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B" if sys.byteorder == "little" else "RGBA;16L",
}
"""Pillow's layouts of 16-bit colour (big endian, little endian, the machine's own) and those that give the other bytes."""

_SHALLOW = {
    "1": "L",
    "L": "L",
    "La": "LA",
    "LA": "LA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "YCbCr": "RGB",
    "RGBa": "RGBA",
    "RGBA": "RGBA",
}
"""Pillow's modes of 8 bits and fewer, and those that hold the same picture as we take it."""

_UPRIGHT: dict[int, Callable[[NDArray[np.generic]], NDArray[np.generic]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
"""What turns the stored rows into the picture, by EXIF orientation."""

_KEPT_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
    *range(ExifTags.Base.XPTitle, ExifTags.Base.XPSubject + 1),
)
_STALE_TAGS = (
    ExifTags.Base.MakerNote,
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.IFD.Interop,
)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A picture file: samples, the colour profile where it fits them, EXIF without orientation and sizes, Pillow's format."""

    samples: Samples
    icc: bytes | None
    exif: bytes | None
    format: str


def decode(path: Path) -> Decoded:
    """Read a PNG, JPEG, WebP or TIFF file.

    Palettes and transparent colours become RGB(A), or grey where all colours are; CMYK becomes sRGB, through its own profile
    where it has one. Of EXIF the description, camera, author, dates, exposure and place are kept; the thumbnail and the maker
    notes belong to the old size and to their place in the file, and are not.

    Raises ImageError for what is not such a file, is truncated or damaged, has more pixels than Pillow trusts, more than one
    picture, or samples that cannot be kept at their depth.
    """
    with _reading(path), Image.open(path, formats=_FORMATS) as image:
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            raise ImageError(
                f"{path} holds {getattr(image, 'n_frames', 1)} pictures (an animation or several pages)",
                hint="Save each as a file of its own first.",
            )
        samples = _samples(image, path)
        image.load()
        exif = image.getexif()
        turn = _UPRIGHT.get(exif.get(ExifTags.Base.Orientation, 1))
        space = b"GRAY" if samples.shape[2] < 3 else b"RGB "
        icc = image.info.get("icc_profile")
        return Decoded(
            samples=np.ascontiguousarray(turn(samples)) if turn else samples,
            icc=icc if icc and icc[16:20] == space else None,
            exif=_kept_exif(exif),
            format="JPEG" if image.format == "MPO" else str(image.format),
        )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what Pillow raises and warns of into ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, which is left out
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except ImageError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{path} declares more than {Image.MAX_IMAGE_PIXELS} pixels, which may be a decompression bomb",
            hint="Cut the picture into parts first.",
        ) from error
    except UnidentifiedImageError as error:
        with path.open("rb") as file:
            start = file.read(8)
        what = f"begins with {start!r}" if start else "is empty"
        raise ImageError(
            f"{path} is not a picture that edgesr reads, or is damaged at its very start: it {what}",
            hint="PNG, JPEG, WebP and TIFF are read; convert it first.",
        ) from error
    except Exception as error:  # Pillow's decoders let out almost anything for a damaged file
        unreadable = isinstance(error, OSError) and error.errno is not None
        what = "cannot be read" if unreadable else "is damaged or of an unknown kind"
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        raise ImageError(f"{path} {what}: {reason}", hint="Check the name, or take an intact copy of the file.") from error


def _samples(image: ImageFile.ImageFile, path: Path) -> Samples:
    """The samples as stored, before turning."""
    layout = _layout(image)
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    bits = max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (16 if ";16" in layout else 8,)))
    planes = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) != 1
    samples: Samples | None = None
    if bits <= 8:
        samples = _shallow(image)
    elif bits == 16 and not planes:
        samples = _deep(image, path, layout)
    if samples is None:
        raise ImageError(
            f"{path} holds {image.mode} pixels of {bits} bits per channel{' in separate planes' if planes else ''}, which edgesr "
            f"does not read",
            hint="Save it as grey or RGB, with or without alpha, of 8 or 16 bits per channel.",
        )
    if bits == 16 and image.mode.startswith("I;16") and tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        samples = 65535 - samples  # white is 0, which Pillow heeds at 8 bits only
    return _with_transparent_colour(samples, image.info.get("transparency"), layout)


def _layout(image: ImageFile.ImageFile) -> str:
    """Pillow's name for how the file stores a pixel, such as `RGB;16B`; empty where it does not say."""
    arguments = image.tile[0].args if image.tile else ""
    return str(arguments[0]) if isinstance(arguments, tuple) else str(arguments)


def _shallow(image: ImageFile.ImageFile) -> NDArray[np.uint8] | None:
    """Samples of up to 8 bits; None for a kind of pixel that is not read."""
    mode = image.mode
    if mode in ("P", "PA"):
        colours = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
        grey = np.all(colours[..., :1] == colours[..., 1:3]) and not image.info.get("icc_profile")
        return colours[..., [0, *range(3, colours.shape[2])]] if grey else colours
    if mode == "CMYK":
        return np.asarray(_srgb_of_cmyk(image))
    return np.atleast_3d(np.asarray(image.convert(_SHALLOW[mode]))) if mode in _SHALLOW else None


def _srgb_of_cmyk(image: Image.Image) -> Image.Image:
    """Through the picture's own profile, as its printed colours are meant; without a usable one by the plain formula."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ImportError):  # a broken profile, or a Pillow built without LittleCMS
        return image.convert("RGB")
    return converted or image.convert("RGB")


def _deep(image: ImageFile.ImageFile, path: Path, layout: str) -> NDArray[np.uint16] | None:
    """Samples of 16 bits; None for a layout that is not read."""
    if image.mode.startswith("I;16"):
        return np.atleast_3d(np.asarray(image)).astype(np.uint16)
    if layout == "LA;16B":
        # Four bytes a pixel, of which Pillow drops two; as RGBA it keeps them all.
        stored = _decoded_as(path, "RGBA")
        return _words(stored[..., 0::2], stored[..., 1::2])
    if layout in _LOW_BYTES:
        return _words(np.asarray(image), _decoded_as(path, _LOW_BYTES[layout]))
    return None


def _words(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return high.astype(np.uint16) << np.uint16(8) | low


def _decoded_as(path: Path, layout: str) -> NDArray[np.uint8]:
    """The bytes that Pillow reads when it takes the file's pixels for `layout`."""
    with Image.open(path, formats=_FORMATS) as image:
        image.tile = [
            tile._replace(args=(layout, *tile.args[1:]) if isinstance(tile.args, tuple) else layout) for tile in image.tile
        ]
        return np.asarray(image)


def _with_transparent_colour(samples: Samples, colour: object, layout: str) -> Samples:
    """Add alpha where a PNG without alpha names one colour as transparent, in the file's own units."""
    if samples.shape[2] not in (1, 3) or not isinstance(colour, int | tuple):
        return samples
    # Pillow stretches grey of fewer bits to 0..255, but not this colour (or of 1 bit, and by its version).
    unit = {"1": 1 if colour == 255 else 255, "L;2": 85, "L;4": 17}.get(layout, 1)
    alpha = np.any(samples != np.asarray(colour) * unit, axis=2, keepdims=True).astype(samples.dtype)
    return np.concatenate([samples, alpha * np.iinfo(samples.dtype).max], axis=2)


def _kept_exif(exif: Image.Exif) -> bytes | None:
    """The entries that stay true, as a block without its `Exif` marker; None where there are none or they are damaged."""
    try:
        kept = Image.Exif()
        kept.endian = exif.endian or "<"
        kept.update({tag: exif[tag] for tag in _KEPT_TAGS if tag in exif})
        for group in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            entries = {tag: value for tag, value in exif.get_ifd(group).items() if tag not in _STALE_TAGS}
            kept.update({group: entries} if entries else {})
        return kept.tobytes().removeprefix(b"Exif\x00\x00") if len(kept) else None
    except Exception:  # noqa: BLE001  # Pillow raises anything for damaged EXIF, no reason to refuse a picture
        return None
