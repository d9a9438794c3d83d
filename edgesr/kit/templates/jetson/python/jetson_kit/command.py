"""The command line: a picture, a folder of pictures, or a folder that is watched."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jetson_kit.errors import KitError, MissingError, UsageError
from jetson_kit.model import Model, read_model
from jetson_kit.pictures import FORMATS, Picture, check_destination, read_picture, write_picture
from jetson_kit.pixels import picture_of, samples_of
from jetson_kit.tiles import Network, Size, choose_tiling, upscaled

INTERRUPTED = 130

Open = Callable[[Path, Model, bool], contextlib.AbstractContextManager[Network]]
"""Engine file, model and whether the file is trusted -> the network."""


def open_engine(path: Path, model: Model, trusted: bool) -> contextlib.AbstractContextManager[Network]:
    """The engine in TensorRT."""
    try:
        from jetson_kit.engine import Engine
    except ImportError as error:
        hint = "JetPack brings TensorRT's package (python3-libnvinfer); PyCUDA comes with pip install pycuda."
        raise MissingError(f"{error.name or error} is missing or does not work: {error}", hint) from error
    return Engine(path, model, trusted=trusted)


def main(words: list[str], open_network: Open = open_engine) -> int:
    """Run the command and return its exit code: 0 ok, 1 error, 2 usage, 4 something is missing here, 130 interrupted."""
    asked = _parser().parse_args(words)

    def work() -> int:
        model = read_model()
        _check(asked)
        with open_network(asked.engine, model, asked.trust) as network:
            return _run(asked, model, network)

    return exit_code_of(work)


def exit_code_of(work: Callable[[], int]) -> int:
    """What `work` returns; mistakes and interrupts become one line and their exit code."""
    try:
        return work()
    except KitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except MemoryError:
        print("Error: there is not enough memory for this picture. Cut it into parts first.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; no half picture was left.", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Enlarge pictures on this machine's GPU.")
    parser.add_argument("engine", type=Path, help="the engine, built on this machine")
    parser.add_argument("source", type=Path, metavar="IN", help="a picture (PNG, JPEG, WebP, TIFF) or a folder of pictures")
    parser.add_argument("destination", type=Path, metavar="OUT", help="a picture, or a folder for a folder")
    parser.add_argument("--tile", type=int, metavar="N", help="cut into tiles of this many input pixels")
    parser.add_argument("--overlap", type=int, metavar="N", help="margin around each tile, in input pixels")
    parser.add_argument("--trust", action="store_true", help="load an engine that has no NAME.json of `edgesr build`")
    parser.add_argument("--watch", action="store_true", help="go on with the pictures that come into the folder IN")
    return parser


def _check(asked: argparse.Namespace) -> None:
    """What can be said before the engine is loaded, which takes seconds."""
    if not asked.source.exists():
        raise KitError(f"there is no {asked.source}", "Name a picture or a folder of pictures.")
    if asked.watch and not asked.source.is_dir():
        raise UsageError(f"{asked.source} is no folder, and only a folder can be watched", "Leave out --watch.")
    if asked.destination.exists() and asked.source.samefile(asked.destination):
        raise UsageError(f"{asked.destination} is {asked.source} itself, which would be lost", "Name another place.")
    if asked.source.is_dir():
        try:
            asked.destination.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KitError(f"{asked.destination} cannot be a folder: {error.strerror}", "Name another folder.") from error


def _run(asked: argparse.Namespace, model: Model, network: Network) -> int:
    def one(source: Path, destination: Path) -> None:
        _upscale(network, model, source, destination, asked)

    if not asked.source.is_dir():
        one(asked.source, asked.destination)
        return 0
    failed = 0
    rounds = _arriving(asked.source, asked.destination) if asked.watch else iter([_pictures(asked.source)])
    for pictures in rounds:
        for picture in pictures:
            try:
                one(picture, asked.destination / picture.name)
            except (KitError, MemoryError) as error:
                failed += 1
                print(f"Error: {error or 'not enough memory'} [{picture}]", file=sys.stderr, flush=True)
    return 1 if failed else 0


def _upscale(network: Network, model: Model, source: Path, destination: Path, asked: argparse.Namespace) -> None:
    picture = read_picture(source)
    check_destination(destination, picture, network.scale)
    size = Size(*picture.samples.shape[:2])
    tiling = choose_tiling(size, network, radius=model.radius, tile=asked.tile, overlap=asked.overlap)
    begin = time.perf_counter()
    output = upscaled(network, picture_of(picture.samples), tiling)
    seconds = time.perf_counter() - begin
    large = Picture(samples_of(output, picture.samples, network.scale), picture.icc)
    write_picture(destination, large)
    how = f"tiles of {tiling.tile} and {tiling.overlap} of overlap" if tiling else "whole"
    result = Size(*large.samples.shape[:2])
    print(f"{source} -> {destination}: {size} to {result} (HxW) in {seconds:.2f} s, {how}", flush=True)


def _pictures(folder: Path) -> list[Path]:
    """The pictures directly in the folder; hidden files are passed over."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    found = [entry for entry in entries if entry.suffix.lower() in FORMATS and entry.is_file()]
    if not found:
        raise KitError(f"there is no picture in {folder}", f"A picture's name ends in one of {', '.join(FORMATS)}.")
    return found


def _arriving(source: Path, destination: Path, *, seconds: float = 1.0) -> Iterator[list[Path]]:
    """Every second, the pictures that are new or were written again, once they have stopped growing.

    Those that have a newer result already are passed over, so that a service that is started again goes on where it was.
    """
    last: dict[Path, tuple[int, int]] = {}
    done: dict[Path, tuple[int, int]] = {}
    while True:
        try:
            now = {path: (stat.st_size, stat.st_ctime_ns) for path, stat in _stats(source)}
        except OSError as error:
            raise KitError(f"{source} cannot be watched any more: {error.strerror}", "Make the folder again.") from error
        ready = [path for path in sorted(now) if now[path] == last.get(path) != done.get(path)]
        done |= {path: now[path] for path in ready}
        last = now
        yield [path for path in ready if not _is_newer(destination / path.name, now[path][1])]
        time.sleep(seconds)


def _stats(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for entry in folder.iterdir():
        if entry.suffix.lower() in FORMATS and not entry.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):  # it may go between two looks
                yield entry, entry.stat()


def _is_newer(path: Path, time_ns: int) -> bool:
    return path.exists() and path.stat().st_mtime_ns >= time_ns
