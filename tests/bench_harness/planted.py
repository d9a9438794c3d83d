"""Runtimes with a known fault, for the harness to find. A worker imports this file by name."""

import os
import time
from collections.abc import Callable

import numpy as np

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

    def bind(self, image: FloatArray) -> Callable[[], None]:
        return self._work

    def _work(self) -> None:
        self._runs += 1
        self._after_run(self._runs)


class WrongPixels(Planted):
    """One pixel to the right."""

    def run(self, image: FloatArray) -> FloatArray:
        return np.roll(super().run(image), 1, axis=3)


class NotANumber(Planted):
    def run(self, image: FloatArray) -> FloatArray:
        return super().run(image) * np.float32("nan")


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


def wrong() -> Planted:
    return WrongPixels(lambda _: time.sleep(_MS))


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


def talkative() -> Planted:
    print("a library that prints to standard output")  # noqa: T201  # it is what is tested
    return steady()


def with_torch() -> Planted:
    import torch

    assert torch
    return steady()
