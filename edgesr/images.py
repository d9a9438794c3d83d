"""Pictures as networks take them, from and to PNG, JPEG, WebP and TIFF files."""

import errno
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ImageError, UsageError
from edgesr.files import write_whole
from edgesr.image_decoding import Samples, decode
from edgesr.image_encoding import Format, encode
from edgesr.tensors import FloatArray, Size

FORMATS: dict[str, Format] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""The files that are read and written, by suffix in lower case."""

_OTHER = "Write a PNG or TIFF instead."
_ELSEWHERE = "Name a place that you may write to."

_LARGEST_SIDE: dict[Format, int] = {"JPEG": 65500, "WEBP": 16383}


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A picture, upright.

    rgb: (1,3,H,W) in [0,1], not multiplied by alpha; values outside are clamped when written.
    alpha: (H,W) in [0,1], 1 opaque; None where the picture has none.
    depth: bits per channel of the file. grey: the three channels are the same, and one is written.
    icc: the profile of its colour space; None means sRGB. exif: a TIFF block without orientation, sizes and thumbnail.
    """

    rgb: FloatArray
    alpha: FloatArray | None = None
    depth: Literal[8, 16] = 8
    grey: bool = False
    icc: bytes | None = None
    exif: bytes | None = None

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        return Size(height=self.rgb.shape[2], width=self.rgb.shape[3])


def read_picture(path: Path) -> Picture:
    """The picture in a file, whatever its suffix; what is kept and what is refused is `image_decoding.decode`'s to say.

    Raises ImageError.
    """
    decoded = decode(path)
    samples = decoded.samples
    channels = samples.shape[2]
    scaled = samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
    colour = scaled[..., :3] if channels >= 3 else np.repeat(scaled[..., :1], 3, axis=2)
    return Picture(
        rgb=np.ascontiguousarray(colour.transpose(2, 0, 1)[None]),
        alpha=np.ascontiguousarray(scaled[..., -1]) if channels in (2, 4) else None,
        depth=16 if samples.dtype == np.uint16 else 8,
        grey=channels < 3,
        icc=decoded.icc,
        exif=decoded.exif,
    )


def write_picture(path: Path, picture: Picture, *, quality: int = 95) -> None:
    """Write the picture in the format of the path's suffix, all of it or nothing: an existing file is replaced at the end.

    PNG and TIFF keep the depth; JPEG and WebP have 8 bits and get the nearest. PNG, TIFF and WebP are written without loss, JPEG
    with `quality` from 1 to 100 and colour at full resolution. Raises what `check_destination` raises, and ImageError for
    values that are no numbers, and for a place that cannot be written or is full.
    """
    check_destination(path, picture)
    format = FORMATS[path.suffix.lower()]
    depth = picture.depth if format in ("PNG", "TIFF") else 8
    planes = [picture.rgb[0, channel] for channel in range(1 if picture.grey else 3)]
    if picture.alpha is not None and format != "JPEG":
        planes.append(picture.alpha)
    samples = to_samples(np.stack(planes, axis=2), depth=depth)
    try:
        data = encode(samples, format, icc=picture.icc, exif=picture.exif, quality=quality)
    except Exception as error:  # encoders raise ValueError, OSError, struct.error and more for what does not fit a format
        raise ImageError(f"{path} was not written: {error or type(error).__name__}", hint="Write a PNG instead.") from error
    _write_whole(path, data)


def check_destination(path: Path, picture: Picture, *, scale: int = 1) -> None:
    """Raise what can be known before `picture`, enlarged `scale` times, is written to `path`, so that no work is lost.

    UsageError for a suffix of no known format; ImageError for a missing folder, for transparency in a JPEG, which has none
    (choosing a background would change the picture), and for more pixels than the format takes.
    """
    format = format_of(path)
    check_folder(path.parent)
    if not os.access(path.parent, os.W_OK):
        raise ImageError(f"cannot write {path}: the folder is read-only", hint=_ELSEWHERE)
    if format == "JPEG" and picture.alpha is not None and picture.alpha.min() < 1:
        raise ImageError(f"cannot write {path}: the picture has transparent parts, and JPEG has no transparency", hint=_OTHER)
    longest = scale * max(picture.size.height, picture.size.width)
    if longest > _LARGEST_SIDE.get(format, longest):
        raise ImageError(f"cannot write {path}: {format} takes {_LARGEST_SIDE[format]} pixels a side, not {longest}", hint=_OTHER)


def check_folder(path: Path, *, make: bool = False) -> None:
    """Raise ImageError unless `path` is a folder, made now if `make`."""
    try:
        if make:
            path.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            what = "is a file and not a folder" if path.exists() else "is no folder"
            raise ImageError(f"{path} {what}", hint=f"Check the path, or make it: mkdir -p {shlex.quote(str(path))}")
    except OSError as error:
        raise ImageError(f"cannot use the folder {path}: {error.strerror or error}", hint=_ELSEWHERE) from error


def format_of(path: Path) -> Format:
    """The format that the path's suffix stands for; raises UsageError for another suffix."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise UsageError(
            f"{path.name!r} does not say which kind of picture to write", hint=f"End it in one of {', '.join(FORMATS)}."
        ) from None


def to_samples(values: NDArray[np.floating], *, depth: int = 8) -> Samples:
    """Values in [0,1] -> the nearest of 0 to 2^depth - 1 (halves up), clamped, in the same shape.

    Raises ImageError for values that are no numbers, which only a broken network gives.
    """
    if not np.isfinite(values).all():
        raise ImageError(
            "the network's result holds NaN or infinite values",
            hint="Check its weights (edgesr inspect FILE) or the artifact (edgesr verify DIR).",
        )
    peak = 2**depth - 1
    rounded: NDArray[np.floating] = np.floor(np.clip(values, 0, 1) * peak + 0.5)
    return rounded.astype(np.uint16) if depth == 16 else rounded.astype(np.uint8)


def _write_whole(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ImageError(
            f"cannot write {path}: {error.strerror or error}; nothing was left behind",
            hint="Free some space, or name another place." if full else _ELSEWHERE,
        ) from error
