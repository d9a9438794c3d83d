"""The benchmark of super-resolution papers: enlarge a folder of small pictures and compare with the originals, beside bicubic."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ImageError
from edgesr.images import FORMATS, check_folder, read_picture, to_samples
from edgesr.metrics import Score, score
from edgesr.model import Reach
from edgesr.progress import Progress, silent
from edgesr.resize import matlab_bicubic
from edgesr.runtime import Session
from edgesr.tensors import Size, size_of
from edgesr.tiling import choose_tiling, run_tiled

Pixels = NDArray[np.uint8]
"""A picture (H,W,3), 0 to 255."""


@dataclass(frozen=True, kw_only=True)
class PictureScore:
    """One picture: the original's size after cropping, the network's score and bicubic's, and whether it ran in tiles."""

    name: str
    size: Size
    network: Score
    bicubic: Score
    tiled: bool


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A folder: every picture and the plain means. lr: whether the small pictures were given or made by MATLAB's bicubic."""

    scale: int
    lr: Literal["given", "made"]
    pictures: tuple[PictureScore, ...]
    network: Score
    bicubic: Score


def evaluate(
    session: Session,
    *,
    hr_dir: Path,
    lr_dir: Path | None = None,
    reach: Reach | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """PSNR and SSIM of the luma, without a border of `scale` pixels, for every picture in `hr_dir`.

    The originals, as 8-bit RGB, are cropped at the right and below to a multiple of the scale. The small pictures are those of
    the same name in `lr_dir`, whatever the format and with or without `x4` behind it (at ×4), or are made by MATLAB's bicubic.
    The network's result is clamped and rounded to 8 bits; it is run whole, or in tiles where `choose_tiling` says so. Alpha
    plays no part. Raises ImageError for an empty folder, a missing small picture or one of the wrong size, and SizeError.
    """
    originals = _pictures(hr_dir)
    sources = [_small_picture(original, lr_dir, session.scale) for original in originals] if lr_dir else [None] * len(originals)
    scores = []
    for number, (original, source) in enumerate(zip(originals, sources, strict=True)):
        progress(f"evaluating {original.name}", number, len(originals))
        scores.append(_evaluated(session, original, source, reach))
    progress("evaluated", len(originals), len(originals))
    return Evaluation(
        scale=session.scale,
        lr="given" if lr_dir else "made",
        pictures=tuple(scores),
        network=_mean([one.network for one in scores]),
        bicubic=_mean([one.bicubic for one in scores]),
    )


def _pictures(folder: Path) -> list[Path]:
    check_folder(folder)
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS and not path.name.startswith("."))
    if not found:
        raise ImageError(f"there is no picture in {folder}", hint=f"A picture's name ends in one of {', '.join(FORMATS)}.")
    return found


def _small_picture(original: Path, folder: Path, scale: int) -> Path:
    """The file in `folder` that is called as the original."""
    names = {original.stem, f"{original.stem}x{scale}"}
    found = [path for path in _pictures(folder) if path.stem in names]
    if len(found) == 1:
        return found[0]
    saw = "several: " + ", ".join(path.name for path in found) if found else "none"
    raise ImageError(
        f"{folder} must hold one small picture for {original.name}, and holds {saw}",
        hint=f"Call it {original.stem}.png or {original.stem}x{scale}.png, or leave out --lr to have them made.",
    )


def _evaluated(session: Session, original: Path, source: Path | None, reach: Reach | None) -> PictureScore:
    scale = session.scale
    hr = _pixels(original)
    hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
    if not hr.size:
        raise ImageError(f"{original} is smaller than the scale ×{scale}", hint="Take it out of the folder.")
    lr = _pixels(source) if source else matlab_bicubic(hr, scale=1 / scale)
    if (scale * lr.shape[0], scale * lr.shape[1]) != hr.shape[:2]:
        raise ImageError(
            f"{source} is {lr.shape[0]}x{lr.shape[1]} (HxW), which is not 1/{scale} of {original.name}, cropped to "
            f"{hr.shape[0]}x{hr.shape[1]}",
            hint=f"Is it of another scale? The model's is ×{scale}. Leave out --lr to have the small pictures made.",
        )
    image = np.ascontiguousarray(lr.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    tiling = choose_tiling(size_of(image), session.sizes, reach=reach)
    output = run_tiled(session, image, tiling) if tiling else session.run(image)
    return PictureScore(
        name=original.name,
        size=Size(height=hr.shape[0], width=hr.shape[1]),
        network=score(_to_pixels(output), hr, border=scale),
        bicubic=score(matlab_bicubic(lr, scale=scale), hr, border=scale),
        tiled=tiling is not None,
    )


def _pixels(path: Path) -> Pixels:
    return _to_pixels(read_picture(path).rgb)


def _to_pixels(image: NDArray[np.float32]) -> Pixels:
    """(1,3,H,W) in [0,1] -> (H,W,3)."""
    return to_samples(image[0].transpose(1, 2, 0)).astype(np.uint8)


def _mean(scores: Sequence[Score]) -> Score:
    return Score(psnr_db=float(np.mean([one.psnr_db for one in scores])), ssim=float(np.mean([one.ssim for one in scores])))
