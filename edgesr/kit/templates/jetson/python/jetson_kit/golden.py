"""Is the engine the network? A picture through it, against what the network's reference in PyTorch gave at the export."""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from jetson_kit.command import Open, exit_code_of, open_engine
from jetson_kit.errors import KitError
from jetson_kit.model import read_model
from jetson_kit.pictures import read_picture
from jetson_kit.pixels import picture_of, samples_of
from jetson_kit.tiles import Size, choose_tiling, upscaled

FOLDER = Path(__file__).parents[2] / "tests"
DIFFERS = 3


def main(words: list[str], open_network: Open = open_engine) -> int:
    """Compare, and return 0 where the result is as close as the export promises, 3 where it is not; else as `command.main`."""
    parser = argparse.ArgumentParser(description="Compare the engine with the network's reference, on a picture of the export.")
    parser.add_argument("engine", type=Path, help="the engine, built on this machine")
    parser.add_argument("--trust", action="store_true", help="load an engine that has no NAME.json of `edgesr build`")
    asked = parser.parse_args(words)
    return exit_code_of(lambda: _compare(asked, open_network))


def _compare(asked: argparse.Namespace, open_network: Open) -> int:
    allowed = _allowed(FOLDER / "vectors.json")
    source, expected = (read_picture(FOLDER / f"golden-{kind}.png").samples for kind in ("input", "output"))
    model = read_model()
    with open_network(asked.engine, model, asked.trust) as network:
        tiling = choose_tiling(Size(*source.shape[:2]), network, radius=model.radius)
        output = upscaled(network, picture_of(source), tiling)
        result = samples_of(output, source, network.scale)
    seen = float(np.mean((result.astype(np.float64) - expected) ** 2))
    close = seen <= allowed
    print(
        f"{decibels(seen)} against the reference, and at least {decibels(allowed)} was promised: {'good' if close else 'FAILED'}"
    )
    return 0 if close else DIFFERS


def _allowed(path: Path) -> float:
    """The mean square difference that the export promises."""
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["golden"]["meanSquare"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(f"{path} cannot be read: {error!r}", "Copy the whole kit again.") from error


def decibels(mean_square: float) -> str:
    """Of samples from 0 to 255."""
    return f"{10 * math.log10(255**2 / mean_square):.1f} dB" if mean_square else "no difference"
