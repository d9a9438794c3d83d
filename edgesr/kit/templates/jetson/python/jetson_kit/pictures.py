"""Picture files, through Pillow: PNG, JPEG, WebP and TIFF of 8 bits for each channel."""

import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jetson_kit.errors import KitError, UsageError
from jetson_kit.pixels import Samples

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
"""The files that are read and written, by suffix in lower case."""

_LARGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}

_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
"""How each is written."""

_MODES = {"1": "L", "L": "L", "LA": "LA", "RGB": "RGB", "RGBX": "RGB", "YCbCr": "RGB", "RGBA": "RGBA"}
"""Pillow's modes that are taken, and those that hold the same picture as (H,W,C)."""


@dataclass(frozen=True)
class Picture:
    """A picture, upright. icc: the profile of its colour space; None means sRGB."""

    samples: Samples
    icc: bytes | None = None


def read_picture(path: Path) -> Picture:
    """The picture in a file, turned as its EXIF orientation says; EXIF itself is not kept."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=tuple(set(FORMATS.values()))) as image:
                return _picture(image, path)
    except KitError:
        raise
    except FileNotFoundError:
        raise KitError(f"there is no picture {path}", "Check the name.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise KitError(
            f"{path} declares more than {Image.MAX_IMAGE_PIXELS} pixels", "Cut the picture into parts first."
        ) from None
    except UnidentifiedImageError:
        raise KitError(f"{path} is no PNG, JPEG, WebP or TIFF picture", "Convert it first.") from None
    except Exception as error:  # Pillow's decoders let out almost anything for a damaged file
        raise KitError(f"{path} cannot be read: {error or type(error).__name__}", "Take an intact copy of the file.") from error


def _picture(image: Image.Image, path: Path) -> Picture:
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise KitError(f"{path} holds several pictures", "Save each as a file of its own first.")
    deep = image.mode[0] in "IF" or ";16" in str(getattr(image, "tile", ""))
    if deep or image.mode not in (*_MODES, "P"):
        raise KitError(
            f"{path} holds {image.mode} pixels{' of more than 8 bits' if deep else ''}, which are not read here",
            "Save it as grey or RGB of 8 bits, or as PPM or PAM for the C++ runner, which keeps 16.",
        )
    icc = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image) or image
    samples = _samples(upright)
    space = b"GRAY" if samples.shape[2] < 3 else b"RGB "
    return Picture(np.ascontiguousarray(samples), icc if icc and icc[16:20] == space else None)


def _samples(image: Image.Image) -> Samples:
    """(H,W,C); palettes become RGB(A), or grey where all colours are, and transparent colours alpha."""
    transparent = "transparency" in image.info
    if image.mode == "P":
        colours = np.asarray(image.convert("RGBA" if transparent else "RGB"))
        grey = bool(np.all(colours[..., :1] == colours[..., 1:3])) and not image.info.get("icc_profile")
        return colours[..., [0, *range(3, colours.shape[2])]] if grey else colours
    if transparent and image.mode in ("L", "RGB"):
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    return np.atleast_3d(np.asarray(image.convert(_MODES[image.mode])))


def check_destination(path: Path, picture: Picture, scale: int) -> None:
    """Raise what can be known before `picture`, enlarged `scale` times, is written to `path`."""
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise UsageError(f"{path.name!r} does not say which kind of picture to write", f"End it in one of {', '.join(FORMATS)}.")
    if not path.parent.is_dir():
        raise KitError(f"{path.parent} is no folder", f"Make it first: mkdir -p {path.parent}")
    samples = picture.samples
    if format == "JPEG" and samples.shape[2] in (2, 4) and samples[..., -1].min() < 255:
        raise KitError(f"{path} cannot be written: JPEG has no transparency, and the picture has", "Write a PNG instead.")
    longest = scale * max(samples.shape[:2])
    if longest > _LARGEST_SIDE.get(format, longest):
        raise KitError(f"{path} cannot be written: {format} takes {_LARGEST_SIDE[format]} pixels a side", "Write a PNG instead.")


def write_picture(path: Path, picture: Picture) -> None:
    """Write the picture in the format of the path's suffix, all of it or nothing.

    PNG, TIFF and WebP are written without loss, JPEG with a quality of 95 and colour at full resolution.
    """
    format, samples = FORMATS[path.suffix.lower()], picture.samples
    if format == "JPEG" and samples.shape[2] in (2, 4):
        samples = samples[..., :-1]
    icc = picture.icc
    if format == "WEBP" and samples.shape[2] < 3:
        samples, icc = samples[..., [0, 0, 0, *range(1, samples.shape[2])]], None
    image = Image.fromarray(np.ascontiguousarray(samples[..., 0] if samples.shape[2] == 1 else samples))
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", suffix=path.suffix, delete=False) as file:
            temporary = Path(file.name)
            image.save(file, format, icc_profile=icc, **_OPTIONS.get(format, {}))
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise KitError(
            f"{path} cannot be written: {error.strerror or error}", "Free some space, or name another place."
        ) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    """Of this process; temporary files are made private to the user, and results are not."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
