"""Pictures through a network: one, a file, or a folder of files."""

import errno
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgesr.errors import EdgesrError, ImageError, UsageError
from edgesr.images import FORMATS, Picture, check_destination, check_folder, format_of, read_picture, write_picture
from edgesr.model import Reach
from edgesr.progress import Progress, silent
from edgesr.resize import matlab_bicubic
from edgesr.runtime import Session
from edgesr.tensors import FloatArray, Size
from edgesr.tiling import SeamReport, Tiling, choose_tiling, count_tiles, run_tiled, seam_error

_STORAGE_IS_OVER = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions:
    """How pictures are run and written.

    tile, overlap: in input pixels; None leaves them to `tiling.choose_tiling`. reach: the network's, which sets the overlap.
    check_seams: also run whole what was run in tiles, and measure the difference.
    suffix: of the files that a folder run writes, such as ".png"; None keeps each picture's own. quality: of JPEG, 1 to 100.
    """

    tile: int | None = None
    overlap: int | None = None
    reach: Reach | None = None
    check_seams: bool = False
    suffix: str | None = None
    quality: int = 95


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """How the network ran: its seconds, whole (`tiling` None) or in `tiles` tiles, and their seams where these were checked."""

    seconds: float
    tiling: Tiling | None
    tiles: int
    seams: SeamReport | None


@dataclass(frozen=True, kw_only=True)
class UpscaleReport:
    """One file: from where to where, and from which size to which."""

    source: str
    destination: str
    input: Size
    output: Size
    run: RunReport


@dataclass(frozen=True, kw_only=True)
class FailedPicture:
    """A file of a folder that could not be upscaled, and why."""

    source: str
    message: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class FolderReport:
    """A folder: what was upscaled, what failed, and the names of what is no picture by its suffix, folders included."""

    upscaled: tuple[UpscaleReport, ...]
    failed: tuple[FailedPicture, ...]
    skipped: tuple[str, ...]


DEFAULT_OPTIONS = UpscaleOptions()


def upscale_picture(
    session: Session, picture: Picture, options: UpscaleOptions = DEFAULT_OPTIONS, *, progress: Progress = silent
) -> tuple[Picture, RunReport]:
    """Enlarge by the session's scale.

    The network makes the colours, those of transparent pixels too; alpha is enlarged bicubically, which invents no edges. Grey
    goes through as RGB and comes back as the luma of the result. Raises SizeError and UsageError as `run_tiled` and
    `choose_tiling`.
    """
    tiling = choose_tiling(picture.size, session.sizes, reach=options.reach, tile=options.tile, overlap=options.overlap)
    begin = time.perf_counter()
    if tiling:
        output = run_tiled(session, picture.rgb, tiling, progress=progress)
    else:
        progress("upscaling", 0, 1)
        output = session.run(picture.rgb)
        progress("upscaling", 1, 1)
    seconds = time.perf_counter() - begin
    seams = None
    if tiling and options.check_seams:
        progress("checking seams")
        seams = seam_error(session, picture.rgb, output)
    enlarged = replace(
        picture,
        rgb=_luma(output) if picture.grey else output,
        alpha=None if picture.alpha is None else _enlarged(picture.alpha, session.scale),
    )
    tiles = count_tiles(picture.size, session.sizes, tiling) if tiling else 1
    return enlarged, RunReport(seconds=seconds, tiling=tiling, tiles=tiles, seams=seams)


def upscale_file(
    session: Session,
    source: Path,
    destination: Path,
    options: UpscaleOptions = DEFAULT_OPTIONS,
    *,
    progress: Progress = silent,
) -> UpscaleReport:
    """Read, enlarge and write one picture, in the format of the destination's suffix.

    Nothing is at the destination until all of it is. Raises UsageError when it is the source itself or has no known suffix,
    ImageError for what cannot be read or written, before the network runs where that can be known, and SizeError.
    """
    if _same(source, destination):
        raise UsageError(f"{destination} is the picture itself, which would be lost", hint="Name another file for the result.")
    format_of(destination)
    picture = read_picture(source)
    check_destination(destination, picture, scale=session.scale)
    enlarged, run = upscale_picture(session, picture, options, progress=progress)
    write_picture(destination, enlarged, quality=options.quality)
    return UpscaleReport(source=str(source), destination=str(destination), input=picture.size, output=enlarged.size, run=run)


def upscale_folder(
    session: Session,
    source: Path,
    destination: Path,
    options: UpscaleOptions = DEFAULT_OPTIONS,
    *,
    progress: Progress = silent,
) -> FolderReport:
    """Enlarge every picture directly in `source` to the same name in the folder `destination`, which is made if missing.

    Folders inside and files of other suffixes are skipped and listed, hidden ones passed over. A picture that fails is listed and
    the others go on; a full or read-only disk ends the run with ImageError. Whatever ends it, finished files stay and no half one
    is there. Raises UsageError before anything is written when the folders are the same one, or two results have one name.
    """
    targets, skipped = _plan(source, destination, options.suffix)
    check_folder(destination, make=True)
    upscaled: list[UpscaleReport] = []
    failed: list[FailedPicture] = []
    for number, (picture, target) in enumerate(targets.items(), 1):
        label = f"{picture.name} ({number} of {len(targets)})"
        try:
            upscaled.append(upscale_file(session, picture, target, options, progress=_labelled(progress, label)))
        except EdgesrError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _STORAGE_IS_OVER:
                raise ImageError(
                    f"{error.message}; {len(upscaled)} of {len(targets)} pictures are finished", hint=error.hint
                ) from error
            failed.append(FailedPicture(source=str(picture), message=error.message, hint=error.hint))
    return FolderReport(upscaled=tuple(upscaled), failed=tuple(failed), skipped=skipped)


def _plan(source: Path, destination: Path, suffix: str | None) -> tuple[Mapping[Path, Path], tuple[str, ...]]:
    """Each picture's destination, and the names that are skipped."""
    check_folder(source)
    if _same(source, destination):
        raise UsageError(f"{destination} holds the pictures themselves, which would be lost", hint="Name another folder.")
    if suffix:
        format_of(Path(f"picture{suffix}"))
    entries = sorted(entry for entry in source.iterdir() if not entry.name.startswith("."))
    pictures = [entry for entry in entries if entry.suffix.lower() in FORMATS and entry.is_file()]
    if not pictures:
        raise ImageError(f"there is no picture in {source}", hint=f"A picture's name ends in one of {', '.join(FORMATS)}.")
    targets = {picture: destination / (picture.stem + (suffix or picture.suffix)) for picture in pictures}
    sharing = defaultdict(list)
    for picture, target in targets.items():
        sharing[target.name.casefold()].append(picture.name)  # some file systems do not tell a.png from A.PNG
    for names in sharing.values():
        if len(names) > 1:
            raise UsageError(
                f"{' and '.join(names)} would be written to the same file; nothing was done",
                hint="Rename one of them, or let the results keep their formats.",
            )
    return targets, tuple(entry.name for entry in entries if entry not in targets)


def _labelled(progress: Progress, label: str) -> Progress:
    def labelled(stage: str, done: int = 0, total: int | None = None) -> None:
        progress(f"{label}: {stage}", done, total)

    return labelled


def _same(a: Path, b: Path) -> bool:
    """Whether both exist and are one file or folder, by whatever names."""
    try:
        return a.samefile(b)
    except OSError:
        return False


def _luma(rgb: FloatArray) -> FloatArray:
    """(N,3,H,W) -> the same shape with the luma of BT.601 in every channel.

    Step by step, each rounded to float32, so that it is the same on every machine: einsum may multiply and add in one step.
    """
    red, green, blue = (np.float32(weight) * rgb[:, channel] for channel, weight in enumerate((0.299, 0.587, 0.114)))
    return np.repeat((red + green + blue)[:, None], 3, axis=1)


def _enlarged(alpha: FloatArray, scale: int) -> FloatArray:
    """(H,W) in [0,1] -> (sH,sW) in [0,1]."""
    return matlab_bicubic(alpha[..., None].astype(np.float64), scale=scale)[..., 0].clip(0, 1).astype(np.float32)
