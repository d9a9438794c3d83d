"""Is the result the same function as the reference? Differences per input, and the budgets they must keep to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ParityError
from edgesr.levels import LEVELS
from edgesr.tensors import Precision

PICTURE = "picture"
"""What the names of inputs begin with that are pictures, not noise."""

LEVEL = 1 / LEVELS
"""A step of a picture with 8 bits for each colour."""

IDENTICAL_DB = 300.0
"""What PSNR is capped to, so that identical outputs have a finite figure."""

_OF_LEVELS = 2e-2
"""The relative difference that whole numbers may bring: half a squared level in a picture whose root mean square is 0.14."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One input's outputs compared.

    max_abs: the largest absolute difference. relative_l2: ‖Δ‖/‖reference‖. psnr_db: at peak 1.0, at most IDENTICAL_DB.
    shift: the mean difference, with its sign: how much brighter the picture became. beyond_level: the share of numbers that
    differ by more than LEVEL.
    """

    input: str
    max_abs: float
    relative_l2: float
    psnr_db: float
    shift: float = 0.0
    beyond_level: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One step of the way from the reference to the artifact, compared with the reference on several inputs."""

    name: str
    differences: tuple[Difference, ...]

    @property
    def worst(self) -> Difference:
        """The input with the largest relative difference (not-a-number counts as the largest)."""
        return max(self.differences, key=lambda d: math.inf if math.isnan(d.relative_l2) else d.relative_l2)

    @property
    def extremes(self) -> dict[str, float]:
        """The largest differences and the smallest PSNR over all inputs."""
        return {
            "max_abs": max(d.max_abs for d in self.differences),
            "relative_l2": max(d.relative_l2 for d in self.differences),
            "psnr_db": min(d.psnr_db for d in self.differences),
        }


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What an edge must keep to: at most `relative_l2` on every input, at least `psnr_db` on pictures.

    Noise is harder than a picture and of another mean, so that decibels at peak 1.0 say little about it. shift, beyond_level: at
    most so much on pictures, where they are given; rounding has no preferred direction, so that a shift shows a wrong factor
    or offset which decibels would let pass.
    """

    relative_l2: float
    psnr_db: float
    shift: float | None = None
    beyond_level: float | None = None

    def check(self, edge: Edge, *, precision: Precision = "fp32") -> None:
        """Raise ParityError naming the worst input when any input misses the budget; not-a-number always does.

        precision: of what is compared, for what to do next depends on it.
        """
        failed = [d for d in edge.differences if self._missed(d)]
        if failed:
            worst = Edge(name=edge.name, differences=tuple(failed)).worst
            raise ParityError(
                f"{edge.name} is not the reference's function on {worst.input}: {self._missed(worst)}",
                hint=f"Nothing was kept. {_try_next(precision, is_far=not self._only_decibels(failed))}",
            )

    def _only_decibels(self, failed: Sequence[Difference]) -> bool:
        """Whether `--budget` would be enough, which takes the limit of levels back, too."""
        loose = replace(self, psnr_db=-math.inf, beyond_level=None)
        return not any(loose._missed(d) for d in failed)

    def _missed(self, d: Difference) -> str:
        """What does not keep to the budget, in words; empty when all does."""
        parts = []
        if not d.relative_l2 <= self.relative_l2:
            parts.append(f"relative difference {d.relative_l2:.2e} (at most {self.relative_l2:.0e})")
        if d.input.startswith(PICTURE):
            if not d.psnr_db >= self.psnr_db:
                parts.append(f"{d.psnr_db:.1f} dB (at least {self.psnr_db:.0f})")
            if self.shift is not None and not abs(d.shift) <= self.shift:
                parts.append(f"{d.shift / LEVEL:+.2f} levels of 255 in the mean (at most {self.shift / LEVEL:.2f})")
            if self.beyond_level is not None and not d.beyond_level <= self.beyond_level:
                parts.append(f"{d.beyond_level:.2%} of its numbers differ by more than 1/255 (at most {self.beyond_level:.2%})")
        return "; ".join(parts)

    @property
    def of_levels(self) -> "Budget":
        """The same for pictures that are whole numbers from 0 to 255, for which half a squared level is allowed.

        Rounding costs a twelfth on average, cutting off a third, more or less by what the picture shows.
        """
        share = 1 / (2 * LEVELS**2)
        return Budget(relative_l2=max(self.relative_l2, _OF_LEVELS), psnr_db=-10 * math.log10(10 ** (-self.psnr_db / 10) + share))


_MORE_BITS: Mapping[Precision, str] = {
    "fp16": "fp32",
    "w8": "fp16",
    "p8": "w8 or fp16",
    "p6": "p8 or fp16",
    "p4": "p6, p8 or fp16",
}


def _try_next(precision: Precision, *, is_far: bool) -> str:
    """What may help. is_far: whether not only the decibels miss, which are all that `--budget` changes."""
    more = _MORE_BITS.get(precision)
    if more is None and is_far:
        return "Try --without REWRITE to find the step that breaks it, and report it please."
    if is_far:
        return f"--budget changes the decibels alone: take a precision with more bits, --precision {more}."
    fewer = "Only the decibels asked for were not reached: ask for fewer (--budget)"
    return f"{fewer}, or take --precision {more}." if more else f"{fewer}."


def difference(input_name: str, reference: NDArray[np.floating], actual: NDArray[np.floating]) -> Difference:
    """Compare two outputs of the same shape in float64; a difference in shape is a ParityError."""
    if reference.shape != actual.shape:
        raise ParityError(f"on {input_name} the output has shape {actual.shape}, the reference {reference.shape}")
    expected = reference.astype(np.float64)
    delta = actual.astype(np.float64) - expected
    norm = float(np.linalg.norm(expected))
    error = float(np.linalg.norm(delta))
    mean_square = float(np.mean(delta**2))
    return Difference(
        input=input_name,
        max_abs=float(np.max(np.abs(delta))),
        relative_l2=error / norm if norm else (0.0 if error == 0.0 else math.inf),
        psnr_db=_capped_psnr(mean_square),
        shift=float(np.mean(delta)),
        beyond_level=float(np.mean(~(np.abs(delta) <= LEVEL))),
    )


def _capped_psnr(mean_square: float) -> float:
    if not math.isfinite(mean_square):
        return -math.inf
    if mean_square == 0.0:
        return IDENTICAL_DB
    return min(-10 * math.log10(mean_square), IDENTICAL_DB)


def edge(name: str, pairs: Sequence[tuple[str, NDArray[np.floating], NDArray[np.floating]]]) -> Edge:
    """The edge of (input name, reference output, actual output) triples."""
    return Edge(name=name, differences=tuple(difference(*pair) for pair in pairs))
