"""Latency: candidates in processes of their own that take turns. Memory: a fresh process for each candidate and size."""

import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench_peers.candidates import Candidate, Prepared
from bench_peers.child import CandidateError, Child

Say = Callable[[str], None]

PAUSE_SECONDS = 0.05
"""Between turns: the threads of the last candidate spin for a while before they sleep."""
TURN_SECONDS = 0.25
"""A turn's timed runs take about this long, and are at least one and at most RUNS."""
RUNS = 5
WARM_UP_SECONDS = 1.0
RELATIVE_L2 = 1e-4
"""A candidate that is farther from the reference than this computes another function: its figures do not count."""


@dataclass(frozen=True, kw_only=True)
class Turns:
    """How long to measure: `rounds`, unless `seconds` are over sooner."""

    rounds: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Open:
    """A candidate that is loaded and warm, with what is known of it so far."""

    name: str
    child: Child
    runs: int
    found: dict[str, Any]


def latency(
    prepared: Prepared, matmul: tuple[Candidate, Path, Path], threads: int, turns: Turns, say: Say
) -> tuple[dict[str, Any], dict[str, str]]:
    """Candidate -> everything measured, raw nanoseconds by round included; and those that failed, with the reason."""
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        opened = []
        everyone = [(one, prepared.image, prepared.expected) for one in prepared.candidates]
        for candidate, image, expected in [*everyone, matmul]:
            say(f"loading {candidate.name}")
            child = stack.enter_context(Child(candidate.kind, candidate.path, threads))
            try:
                opened.append(_opened(candidate, child, image, expected))
            except CandidateError as error:
                failed[candidate.name] = str(error)
                child.close()
        samples, stopped = _in_turns(opened, turns, say)
    results = {one.name: {**one.found, "ns": samples[one.name]} for one in opened if one.name in samples}
    failed |= stopped
    return results, failed


def _opened(candidate: Candidate, child: Child, image: Path, expected: Path) -> _Open:
    found = child.ask("load")
    found |= child.ask("compare", image=str(image), expected=str(expected))
    start = time.perf_counter()
    warm: list[int] = []
    while time.perf_counter() - start < WARM_UP_SECONDS or len(warm) < 2:
        warm += child.ask("time", runs=1, untimed=0)["ns"]
    runs = max(1, min(RUNS, math.ceil(TURN_SECONDS / (min(warm) / 1e9))))
    return _Open(name=candidate.name, child=child, runs=runs, found={**found, "warm_up_ns": warm})


def _in_turns(opened: Sequence[_Open], turns: Turns, say: Say) -> tuple[dict[str, list[list[int]]], dict[str, str]]:
    """Candidate -> rounds × runs of nanoseconds; and those that stopped, with the reason.

    Each round has an order of its own, and each turn one run that is not timed.
    """
    going, failed = list(opened), dict[str, str]()
    order = random.Random(0)
    samples: dict[str, list[list[int]]] = {one.name: [] for one in opened}
    start = time.perf_counter()
    for number in range(turns.rounds):
        if time.perf_counter() - start > turns.seconds:
            break
        say(f"round {number + 1} of {turns.rounds}")
        for one in order.sample(going, len(going)):
            time.sleep(PAUSE_SECONDS)
            try:
                samples[one.name].append(one.child.ask("time", runs=one.runs, untimed=1)["ns"])
            except CandidateError as error:  # the others go on
                going.remove(one)
                failed[one.name] = f"stopped in round {number + 1}: {error}"
    return {name: rounds for name, rounds in samples.items() if name not in failed}, failed


def memory(prepared: Prepared, threads: int, say: Say) -> tuple[dict[str, Any], dict[str, str]]:
    """Candidate -> peak memory of a process that imports, loads and runs once; and those that failed."""
    results, failed = {}, {}
    for candidate in prepared.candidates:
        say(f"memory of {candidate.name} at {prepared.size}")
        with Child(candidate.kind, candidate.path, threads) as child:
            try:
                loaded = child.ask("load")
                ran = child.ask("compare", image=str(prepared.image), expected=str(prepared.expected))
            except CandidateError as error:
                failed[candidate.name] = str(error)
                continue
        results[candidate.name] = {"import_mb": loaded["import_mb"], "package": loaded["package"], **ran}
    return results, failed


def sound(result: dict[str, Any]) -> bool:
    """Whether the output was the reference's; not-a-number is not."""
    return bool(result["parity"]["relative_l2"] <= RELATIVE_L2)


def summary(ns: Sequence[Sequence[int]]) -> dict[str, float]:
    """Minimum, median and 90th percentile in milliseconds, over the runs of all rounds."""
    values = np.asarray(ns, dtype=np.float64).ravel() / 1e6
    low, middle, high = (float(round(value, 3)) for value in (values.min(), np.median(values), np.percentile(values, 90)))
    return {"min_ms": low, "p50_ms": middle, "p90_ms": high}


def ratio(ns: ArrayLike, of: ArrayLike) -> dict[str, float]:
    """The ratio of two medians of times (rounds,runs) with its 95 % bootstrap interval.

    Rounds are drawn, the same for both, with all their runs.
    """
    ours, theirs = np.asarray(ns, dtype=np.float64), np.asarray(of, dtype=np.float64)
    picks = np.random.default_rng(0).integers(0, len(ours), (2000, len(ours)))
    drawn = [np.median(each[picks].reshape(len(picks), -1), axis=1) for each in (ours, theirs)]
    low, high = np.percentile(drawn[0] / drawn[1], [2.5, 97.5])
    return {
        "ratio": round(float(np.median(ours) / np.median(theirs)), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }
