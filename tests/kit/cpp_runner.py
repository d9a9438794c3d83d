"""Compiling and starting the kit's C++, and pictures as it reads and writes them."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INCLUDE = Path(__file__).parent / "standins" / "include"
"""Stand-ins for the headers of TensorRT and CUDA."""

COMPILER = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
FLAGS = ("-std=c++17", "-O0", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")

FIXED, RANGE = "24 32 24 32 2", "16 16 64 80 2"
"""Engines' files: the smallest height and width, the largest, and the scale."""

Samples = NDArray[np.integer[Any]]
"""(H,W,C) of uint8 or uint16."""


def compiled(sources: list[Path], target: Path, *flags: str) -> Path:
    done = subprocess.run(
        [str(COMPILER), *FLAGS, *flags, *os.environ.get("CXXFLAGS", "").split(), *map(str, sources), "-o", str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return target


def built_with_cmake(source: Path, folder: Path) -> bool:
    """Build the tests and the stand-in; False where there is no CMake, or TensorRT is found. A warning is a failure."""
    if not shutil.which("cmake"):
        return False
    code, _, err = run("cmake", "-S", source, "-B", folder)
    assert code == 0, err
    if "only the tests are built" not in err:
        return False
    code, _, err = run("cmake", "--build", folder)
    assert code == 0, err
    assert "warning" not in err
    return True


def run(*words: object, data: bytes | None = None, **more: str) -> tuple[int, bytes, str]:
    """Exit code, standard output and standard error."""
    done = subprocess.run(
        list(map(str, words)), input=data, env={**os.environ, **more}, capture_output=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr.decode()


def engine(folder: Path, words: str) -> Path:
    path = folder / "model.engine"
    path.write_text(words)
    return path


def netpbm(samples: Samples) -> bytes:
    """A picture (H,W,C) of uint8 or uint16 as PGM, PPM or PAM."""
    height, width, channels = samples.shape
    peak = np.iinfo(samples.dtype).max
    kind = {2: "GRAYSCALE_ALPHA", 4: "RGB_ALPHA"}.get(channels)
    header = (
        f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL {peak}\nTUPLTYPE {kind}\nENDHDR\n"
        if kind
        else f"P{5 if channels == 1 else 6}\n{width} {height}\n{peak}\n"
    )
    return header.encode() + samples.astype(samples.dtype.newbyteorder(">")).tobytes()


def picture(height: int, width: int, channels: int, depth: int = 8) -> Samples:
    kind = np.uint8 if depth == 8 else np.uint16
    return np.random.default_rng(width).integers(0, 2**depth, (height, width, channels), kind)


PICTURES = [picture(50, 90, 3), picture(20, 17, 3), picture(24, 32, 1), picture(41, 33, 4), picture(25, 40, 2)]
DEEP = [picture(50, 90, 3, 16), picture(30, 61, 1, 16), picture(41, 33, 4, 16)]
