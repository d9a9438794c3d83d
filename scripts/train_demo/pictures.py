"""The training pictures: photographs of the scikit-image wheel that are CC0 or in the public domain, and drawings from a seed.

The sources and licences are those that scikit-image's documentation states. Its `astronaut` is never trained on: it is the
picture that the demo upscales.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edgesr.errors import BackendMissingError
from edgesr.progress import Progress, silent
from edgesr.resize import matlab_bicubic

SCALE = 4
OVERSAMPLING = 3
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?&@#%()[]/+-="


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """A file of the scikit-image wheel; `weight` is how often it is drawn, `reductions` the sizes that it is used at."""

    file: str
    weight: float
    source: str
    licence: str
    reductions: tuple[float, ...] = (1.0, 0.7, 0.5)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """hr (4h,4w,3) and lr (h,w,3), both uint8 RGB; lr is hr made smaller by MATLAB's bicubic. Drawn in proportion to `weight`."""

    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]
    weight: float


PHOTOGRAPHS = (
    Photograph(file="coffee.png", weight=5, source="Rachel Michetti, Pikolo Espresso Bar", licence="CC0"),
    Photograph(file="chelsea.png", weight=5, source="Stefan van der Walt", licence="CC0"),
    Photograph(file="camera.png", weight=4, source="Lav Varshney", licence="CC0"),
    Photograph(file="rocket.jpg", weight=2, source="SpaceX, flickr.com/photos/spacexphotos/16511594820", licence="public domain"),
    Photograph(file="brick.png", weight=2, source="cc0textures.com, Bricks25", licence="CC0"),
    Photograph(file="grass.png", weight=1, source="linolafett, deviantart.com/linolafett/art/Grass-01-434853879", licence="CC0"),
    Photograph(file="gravel.png", weight=1.5, source="cc0textures.com, Gravel04", licence="CC0"),
    Photograph(
        file="retina.jpg",
        weight=1.5,
        source="Mikael Häggström, Wikimedia Commons, Fundus photograph of normal left eye",
        licence="CC0",
        reductions=(0.5, 0.35, 0.25),
    ),
    Photograph(
        file="hubble_deep_field.jpg",
        weight=1,
        source="NASA, hubblesite.org, release 2012-37",
        licence="public domain",
        reductions=(0.7, 0.5),
    ),
    Photograph(file="text.png", weight=0.5, source="Wikipedia, File:Corner.png", licence="public domain", reductions=(1.0,)),
)
TEXT_WEIGHT = 4.0
SHAPES_WEIGHT = 7.0


def training_pairs(*, seed: int, drawings: int = 48, side: int = 384, progress: Progress = silent) -> list[Pair]:
    """Every photograph at every reduction, and `drawings` pages of text and as many of shapes, side × side pixels each."""
    sized = sum(len(photograph.reductions) for photograph in PHOTOGRAPHS)
    total = sized + 2 * drawings
    pairs: list[Pair] = []
    for photograph in PHOTOGRAPHS:
        picture = _photograph(photograph)
        for reduction in photograph.reductions:
            hr = picture if reduction == 1 else matlab_bicubic(picture, scale=reduction)
            pairs.append(pair_of(hr, weight=photograph.weight / len(photograph.reductions)))
            progress("preparing pictures", len(pairs), total)
    for number in range(drawings):
        pairs.append(pair_of(text_page(seed=seed + number, side=side), weight=TEXT_WEIGHT / drawings))
        pairs.append(pair_of(shapes(seed=seed + number, side=side), weight=SHAPES_WEIGHT / drawings))
        progress("preparing pictures", len(pairs), total)
    return pairs


def pair_of(picture: NDArray[np.uint8], *, weight: float = 1.0) -> Pair:
    """The picture (H,W,3), cut to a multiple of 4, and its reduction."""
    height, width = (length // SCALE * SCALE for length in picture.shape[:2])
    hr = np.ascontiguousarray(picture[:height, :width])
    return Pair(hr=hr, lr=matlab_bicubic(hr, scale=1 / SCALE), weight=weight)


def text_page(*, seed: int, side: int) -> NDArray[np.uint8]:
    """Lines of random words at random sizes, angles and colours on a smooth ground: (side,side,3)."""
    rng = np.random.default_rng([seed, 1])
    large = side * OVERSAMPLING
    page = _ground(rng, large)
    for _ in range(int(rng.integers(14, 30))):
        size = int(rng.integers(9, 40)) * OVERSAMPLING
        words = ["".join(rng.choice(list(LETTERS), size=rng.integers(1, 10))) for _ in range(8)]
        line = Image.new("L", (large, 2 * size))
        ImageDraw.Draw(line).text((0, size // 4), " ".join(words), fill=255, font=ImageFont.load_default(size=size))
        angle = float(rng.choice([0, 0, 0, 90, rng.uniform(-45, 45)]))
        turned = line.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC)
        corner = tuple(int(v) for v in rng.integers(-large // 4, large * 3 // 4, size=2))
        page.paste(_colour(rng), (corner[0], corner[1]), turned)
    return _reduced(page)


def shapes(*, seed: int, side: int) -> NDArray[np.uint8]:
    """Polygons, ellipses, lines, arcs and gratings over one another on a smooth ground: (side,side,3)."""
    rng = np.random.default_rng([seed, 2])
    large = side * OVERSAMPLING
    picture = _ground(rng, large)
    for _ in range(int(rng.integers(25, 70))):
        mask = Image.new("L", (large, large))
        _draw_shape(ImageDraw.Draw(mask), rng, large)
        fill = _ground(rng, large) if rng.random() < 0.3 else _colour(rng)
        picture.paste(fill, (0, 0), mask)
    return _reduced(picture)


def _draw_shape(draw: ImageDraw.ImageDraw, rng: np.random.Generator, large: int) -> None:
    centre = rng.uniform(0, large, size=2)
    radius = float(np.exp(rng.uniform(np.log(large / 100), np.log(large / 3))))
    width = int(rng.integers(1, 8) * OVERSAMPLING)
    box = [*(centre - radius), *(centre + radius * rng.uniform(0.3, 1))]
    box = [min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])]
    kind = rng.choice(["polygon", "ellipse", "ring", "line", "arc", "grating"], p=[0.3, 0.2, 0.1, 0.2, 0.1, 0.1])
    if kind == "polygon":
        angles = np.sort(rng.uniform(0, 2 * np.pi, size=rng.integers(3, 9)))
        reach = radius * rng.uniform(0.4, 1, size=len(angles))
        draw.polygon(
            [(centre[0] + r * np.cos(a), centre[1] + r * np.sin(a)) for r, a in zip(reach, angles, strict=True)], fill=255
        )
    elif kind == "ellipse":
        draw.ellipse(box, fill=255)
    elif kind == "ring":
        draw.ellipse(box, outline=255, width=width)
    elif kind == "line":
        draw.line([*centre, *rng.uniform(0, large, size=2)], fill=255, width=width)
    elif kind == "arc":
        start = float(rng.uniform(0, 360))
        draw.arc(box, start, start + float(rng.uniform(30, 270)), fill=255, width=width)
    else:
        angle, period = rng.uniform(0, np.pi), width * rng.uniform(1.5, 4)
        along, across = np.array([np.cos(angle), np.sin(angle)]) * radius, np.array([-np.sin(angle), np.cos(angle)])
        for offset in np.arange(-radius, radius, period):
            middle = centre + across * offset
            draw.line([*(middle - along), *(middle + along)], fill=255, width=max(int(period / 2), 1))


def _ground(rng: np.random.Generator, large: int) -> Image.Image:
    """A smooth blend of four random corner colours, (large,large) RGB."""
    corners = rng.integers(0, 256, size=(2, 2, 3)).astype(np.uint8)
    return Image.fromarray(corners).resize((large, large), Image.Resampling.BILINEAR)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in rng.integers(0, 256, size=3))
    return red, green, blue


def _reduced(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.reduce(OVERSAMPLING))


def _photograph(photograph: Photograph) -> NDArray[np.uint8]:
    try:
        import skimage
    except ImportError as error:
        raise BackendMissingError(
            "the training photographs are those of the package scikit-image, which is not installed",
            hint="Install it: pip install 'edgesr[train]'",
        ) from error
    path = Path(skimage.__file__).parent / "data" / photograph.file
    return np.asarray(Image.open(path).convert("RGB"))
