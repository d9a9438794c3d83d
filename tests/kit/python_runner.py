"""Starting the kit's runner in Python as a user does, and pictures for it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FIXED = {"low": [24, 32], "high": [24, 32], "scale": 2}
RANGE = {"low": [16, 16], "high": [64, 80], "scale": 2}
STANDINS = Path(__file__).parent / "standins"


def command(kit: Path, *words: object, program: str = "upscale") -> list[str]:
    return [sys.executable, "-W", "error", str(kit / "python" / f"{program}.py"), *map(str, words)]


def run(kit: Path, *words: object, program: str = "upscale", standins: bool = True, **more: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(STANDINS) if standins else "", **more}
    done = subprocess.run(
        command(kit, *words, program=program), env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def engine(folder: Path, said: dict[str, Any]) -> Path:
    path = folder / "model.engine"
    path.write_text(json.dumps(said))
    return path


def colours(height: int, width: int, mode: str) -> Image.Image:
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    samples = np.random.default_rng(width).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(samples[..., 0] if channels == 1 else samples)


def save_turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    colours(20, 33, "RGB").save(path, exif=exif)


PICTURES: dict[str, Callable[[Path], None]] = {
    "colour.png": lambda path: colours(50, 90, "RGB").save(path),
    "small.png": lambda path: colours(20, 17, "RGB").save(path),
    "grey.png": lambda path: colours(30, 61, "L").save(path),
    "alpha.png": lambda path: colours(41, 33, "RGBA").save(path),
    "grey-alpha.png": lambda path: colours(25, 40, "LA").save(path),
    "palette.png": lambda path: colours(40, 40, "RGB").quantize(17).save(path),
    "clear-palette.png": lambda path: colours(40, 40, "RGB").quantize(17).save(path, transparency=3),
    "grey-palette.png": lambda path: colours(40, 40, "L").convert("P").save(path),
    "clear-colour.png": lambda path: colours(24, 32, "RGB").save(path, transparency=(1, 2, 3)),
    "bits.png": lambda path: colours(24, 40, "L").convert("1").save(path),
    "photo.jpg": lambda path: colours(48, 70, "RGB").save(path),
    "turned.jpg": save_turned,
    "icc.png": lambda path: colours(24, 32, "RGB").save(path, icc_profile=b"\0" * 16 + b"RGB " + b"\0" * 108),
    "grey.webp": lambda path: colours(24, 32, "L").convert("RGB").save(path, lossless=True),
    "grey.tif": lambda path: colours(24, 32, "L").save(path),
}


def damaged(path: Path) -> None:
    PICTURES["colour.png"](path)
    path.write_bytes(path.read_bytes()[:700])
