"""Runtimes with a known fault, for the harness to find. A worker imports this file by name."""

import importlib
import os
import time
from collections.abc import Callable

import numpy as np

from edgesr.runtime import Bound
from edgesr.tensors import FloatArray, Size, SizeRule

_MS = 0.02


class Planted:
    """Enlarges ×2 by repetition, and takes 20 ms for it."""

    scale = 2
    sizes = SizeRule(minimum=Size(height=1, width=1))
    settings = {"planted": "yes"}  # noqa: RUF012  # as plain as a fake should be

    def __init__(self, after_run: Callable[[int], None]) -> None:
        self._after_run, self._runs = after_run, 0

    def run(self, image: FloatArray) -> FloatArray:
        self._work()
        return enlarged(image)

    def bind(self, image: FloatArray) -> Bound:
        return Bound(lambda: self.run(image), lambda output: output)

    def _work(self) -> None:
        self._runs += 1
        self._after_run(self._runs)


class Timed(Bound):
    """Says that its device took 7.5 ms."""

    @property
    def device_milliseconds(self) -> float:
        return 7.5


class Eventful(Planted):
    def bind(self, image: FloatArray) -> Bound:
        return Timed(lambda: self.run(image), lambda output: output)


class WrongPixels(Planted):
    """One pixel to the right."""

    def run(self, image: FloatArray) -> FloatArray:
        return np.roll(super().run(image), 1, axis=3)


class Clamped(Planted):
    """Half as much again, as a picture."""

    def run(self, image: FloatArray) -> FloatArray:
        return (super().run(image) * np.float32(1.5)).clip(0, 1)


class NotANumber(Planted):
    def run(self, image: FloatArray) -> FloatArray:
        return super().run(image) * np.float32("nan")


class Lazy(Planted):
    """Does the work when it is asked, and nothing while it is timed."""

    def bind(self, image: FloatArray) -> Bound:
        return Bound(lambda: np.zeros_like(enlarged(image)), lambda output: output)


class WrongLater(Planted):
    """Right for ten runs."""

    def run(self, image: FloatArray) -> FloatArray:
        return super().run(image) * np.float32(1 if self._runs <= 10 else 0.5)


def enlarged(image: FloatArray) -> FloatArray:
    return np.repeat(np.repeat(image, 2, axis=2), 2, axis=3)


def steady() -> Planted:
    return Planted(lambda _: time.sleep(_MS))


def nothing() -> Planted:
    return Planted(lambda _: None)


def tenth_slower() -> Planted:
    return Planted(lambda _: time.sleep(1.1 * _MS))


def two_modes() -> Planted:
    return Planted(lambda run: time.sleep(_MS if run % 3 else 1.5 * _MS))


def slowing_down() -> Planted:
    return Planted(lambda run: time.sleep(_MS * (1 + 0.02 * run)))


def eventful() -> Planted:
    return Eventful(lambda _: time.sleep(_MS))


def wrong() -> Planted:
    return WrongPixels(lambda _: time.sleep(_MS))


def lazy() -> Planted:
    return Lazy(lambda _: None)


def wrong_later() -> Planted:
    return WrongLater(lambda _: time.sleep(_MS))


def not_a_number() -> Planted:
    return NotANumber(lambda _: time.sleep(_MS))


def leaking() -> Planted:
    held: list[bytearray] = []
    return Planted(lambda _: held.append(bytearray(b"x") * (5 << 20)))


def dying() -> Planted:
    return Planted(lambda run: os.abort() if run == 8 else time.sleep(_MS))


def refusing() -> Planted:
    raise RuntimeError("no such operator: Fold\nand more lines")


def hanging() -> Planted:
    return Planted(lambda run: time.sleep(3600) if run == 5 else time.sleep(_MS))


def spinning() -> Planted:
    """Takes a processor for its time, and all time after five runs."""

    def spin(run: int) -> None:
        end = time.perf_counter() + (_MS if run < 6 else 3600)
        while time.perf_counter() < end:
            pass

    return Planted(spin)


def warming_up() -> Planted:
    """Each of the first runs is quicker than the one before, by more than what else a machine does at a time."""
    return Planted(lambda run: time.sleep(_MS * max(1.0, 8 - 0.6 * run)))


def threads() -> Planted:
    """Says what a library would read of the environment."""
    planted = steady()
    planted.settings = {"OMP_NUM_THREADS": os.environ["OMP_NUM_THREADS"]}
    return planted


def talkative() -> Planted:
    print("a library that prints to standard output")  # noqa: T201  # it is what is tested
    return steady()


def with_torch_later() -> Planted:
    def after_run(_: int) -> None:
        importlib.import_module("torch")

    return Planted(after_run)


def clamped() -> Planted:
    return Clamped(lambda _: time.sleep(_MS))


def with_torch_if_there_is() -> Planted:
    """As coremltools does it."""
    planted = steady()
    try:
        importlib.import_module("torch")
        planted.settings = {"torch": "yes"}
    except ImportError:
        planted.settings = {"torch": "no"}
    return planted


def with_torch() -> Planted:
    import torch

    assert torch
    return steady()
