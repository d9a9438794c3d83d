"""A group of planted runtimes, and the files that they are measured on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesr.bench.child import Opening
from edgesr.bench.latency import Files
from edgesr.bench.protocol import Protocol, quick

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def planted_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
def plant() -> Callable[[str], Opening]:
    """How a worker opens the runtime of that name in planted.py."""
    return lambda name: Opening(opener=f"planted:{name}", arguments={}, package="")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    image = np.random.default_rng(0).random((1, 3, 20, 30), dtype=np.float32)
    found = Files(image=tmp_path / "image.npy", expected=tmp_path / "expected.npy")
    np.save(found.image, image)
    np.save(found.expected, np.repeat(np.repeat(image, 2, axis=2), 2, axis=3))
    return found


@pytest.fixture
def short() -> Protocol:
    """Enough rounds for an interval, in seconds."""
    return replace(quick(1), runs=24, seconds=0.4, spread=0.05, limit=8, turn=0.08, pause=0.0, cell_limit=20)
