"""The kit's runner in Python on a folder that is watched, with stand-ins for TensorRT and PyCUDA."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from jetson_kit import command as kit_command
from jetson_kit.errors import KitError
from tests.kit.python_runner import FIXED, PICTURES, STANDINS, command, damaged, engine, run


@contextlib.contextmanager
def watching(kit: Path, *words: object) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(STANDINS)}
    with subprocess.Popen(
        command(kit, *words, "--watch", "--trust"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.1)


def test_a_watched_folder(jetson_kit: Path, tmp_path: Path) -> None:
    """What comes is enlarged, a damaged picture is told of once, and the same picture again is enlarged again."""
    inbox, outbox = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    with watching(jetson_kit, engine(jetson_kit, FIXED), inbox, outbox) as process:
        PICTURES["small.png"](inbox / "first.png")
        damaged(inbox / "bad.png")
        wait_for(outbox / "first.png")
        PICTURES["grey.png"](tmp_path / "second.png")
        (tmp_path / "second.png").rename(inbox / "second.png")
        wait_for(outbox / "second.png")
        (outbox / "first.png").unlink()
        PICTURES["alpha.png"](inbox / "first.png")
        wait_for(outbox / "first.png")
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[0]
    assert process.returncode == 130
    assert sum("bad.png" in line for line in said.splitlines()) == 1
    assert said.count("first.png ->") == 2
    assert said.endswith("Interrupted; no half picture was left.\n")
    with Image.open(outbox / "first.png") as image:
        assert image.mode == "RGBA"


def test_a_watched_folder_that_goes_away_is_said(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="cannot be watched any more: No such file"):
        next(kit_command._arriving(tmp_path / "gone", tmp_path))


def test_a_watch_that_is_started_again_passes_over_what_is_done(jetson_kit: Path, tmp_path: Path) -> None:
    inbox, outbox = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    PICTURES["small.png"](inbox / "done.png")
    assert run(jetson_kit, engine(jetson_kit, FIXED), inbox, outbox, "--trust")[0] == 0
    made = (outbox / "done.png").stat().st_mtime_ns
    with watching(jetson_kit, engine(jetson_kit, FIXED), inbox, outbox):
        PICTURES["small.png"](inbox / "new.png")
        wait_for(outbox / "new.png")
    assert (outbox / "done.png").stat().st_mtime_ns == made
