"""Latency: the cells of a group, each in a process of its own, take turns round by round, so that the machine's moods hit all."""

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgesr.bench.child import CellError, Child, Opening
from edgesr.bench.machine import Busy, busy, contention
from edgesr.bench.protocol import Protocol
from edgesr.bench.record import Timing
from edgesr.bench.statistics import instabilities, summarise, uncertainty

CLOCK = "perf_counter_ns around each run, which returns when the device is done"
DEVICE_CLOCK = "CUDA events around the network on the device, in the same runs"
_STABLE = 1.1
_LONG_NS = 1_000_000_000
"""A run of a second fills the caches in no time of its own: no other goes before it."""
_LARGEST_CONTENTION = 0.10
"""Other work that takes more than this part of the processors makes a cell unstable."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Files:
    """The input (1,3,H,W) and the reference's output, as `.npy`."""

    image: Path
    expected: Path


@dataclass(kw_only=True)
class Runner:
    """A cell that is open and warm.

    runs: in each turn, after the untimed ones. others: seconds that other work took of the processors in its turns.
    """

    name: str
    child: Child
    facts: dict[str, Any]
    runs: int
    untimed: int
    rounds: list[tuple[int, ...]] = field(default_factory=list)
    whole: list[tuple[int, ...]] = field(default_factory=list)
    on_device: list[tuple[int, ...]] = field(default_factory=list)
    others: float = 0.0
    capacity: float = 0.0
    failure: CellError | None = None

    def enough(self, protocol: Protocol) -> bool:
        """Whether it has been measured as the protocol asks."""
        samples = [ns for each in self.rounds for ns in each]
        many = len(samples) >= protocol.runs and len(self.rounds) >= protocol.rounds
        return many and sum(samples) / 1e9 >= protocol.seconds and uncertainty(self.rounds) <= protocol.spread


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a group's turns brought. facts: cell -> load, first, parity and what else its worker said; failures: cell -> why."""

    facts: Mapping[str, dict[str, Any]]
    latency: Mapping[str, Timing]
    end_to_end: Mapping[str, Timing]
    on_device: Mapping[str, Timing]
    failures: Mapping[str, CellError]


def measure(openings: Mapping[str, Opening], files: Files, protocol: Protocol, say: Say) -> Measured:
    """Open all, warm each up, then let them take turns until all have been measured enough or the time is over."""
    failures: dict[str, CellError] = {}
    with ExitStack() as stack:
        runners = []
        for name, opening in openings.items():
            say(f"opening {name}")
            child = stack.enter_context(Child(opening))
            try:
                runners.append(_opened(name, child, files, protocol))
            except CellError as error:
                failures[name] = error
                child.close()
        stopped = _take_turns(runners, protocol, say)
        for runner in runners:
            _ask_last(runner, files, protocol)
    failures |= {runner.name: runner.failure for runner in runners if runner.failure}
    done = [runner for runner in runners if not runner.failure and runner.rounds]
    return Measured(
        facts={runner.name: runner.facts for runner in runners},
        latency={runner.name: _timing(runner, runner.rounds, stopped) for runner in done},
        end_to_end={runner.name: _timing(runner, runner.whole, stopped) for runner in done if runner.whole},
        on_device={
            runner.name: replace(_timing(runner, runner.on_device, stopped), clock=DEVICE_CLOCK, warm_up=())
            for runner in done
            if runner.on_device
        },
        failures=failures,
    )


def _opened(name: str, child: Child, files: Files, protocol: Protocol) -> Runner:
    limit = protocol.cell_limit
    facts = child.ask("open", seconds=limit)
    facts["first_ns"] = child.ask("first", seconds=limit, image=str(files.image))["ns"]
    facts |= child.compare(files.expected, seconds=limit)
    warm: list[int] = []
    start = time.perf_counter()
    while not _warm(warm, time.perf_counter() - start, protocol):
        warm += child.ask("time", seconds=limit, runs=1, untimed=0)["ns"]
    facts["warm_up"] = tuple(warm)
    runs = max(1, min(protocol.turn_runs, math.ceil(protocol.turn * 1e9 / min(warm))))
    return Runner(name=name, child=child, facts=facts, runs=runs, untimed=int(min(warm) < _LONG_NS))


def _ask_last(runner: Runner, files: Files, protocol: Protocol) -> None:
    """Compare the last timed run, too; the worse of the two comparisons stays. Then ask for what is known only now."""
    if runner.failure:
        return
    try:
        found = runner.child.compare(files.expected, seconds=protocol.cell_limit)
        runner.facts |= runner.child.ask("settings", seconds=protocol.cell_limit)
    except CellError as error:
        runner.failure = error
        return
    if not found["parity"]["relative_l2"] <= runner.facts["parity"]["relative_l2"]:  # true for NaN, too
        runner.facts |= found


def _warm(samples: Sequence[int], seconds: float, protocol: Protocol) -> bool:
    """Whether three runs in a row are alike and the least time is over; or the longest."""
    last = samples[-3:]
    alike = len(last) == 3 and max(last) <= _STABLE * min(last)
    return len(samples) >= 3 and seconds >= (protocol.warm_up if alike else protocol.longest_warm_up)


def _take_turns(runners: Sequence[Runner], protocol: Protocol, say: Say) -> str:
    """Rounds, each in an order of its own, with one short run in each turn that is not timed; why they ended."""
    order = random.Random(0)
    start = time.perf_counter()
    limit = protocol.sustained or protocol.limit * len(runners)
    number = 0
    while going := [runner for runner in runners if not runner.failure]:
        seconds = time.perf_counter() - start
        if number >= protocol.rounds and seconds > limit:
            return (
                "time asked for"
                if protocol.sustained
                else f"time limit of {limit:.0f} s for the group, before all its cells had runs, seconds and spread"
            )
        if not protocol.sustained and all(runner.enough(protocol) for runner in going):
            return "runs, seconds and spread reached"
        number += 1
        say(f"round {number}, {seconds:.0f} of at most {limit:.0f} s")
        for runner in order.sample(going, len(going)):
            time.sleep(protocol.pause)
            _turn(runner, protocol)
    return "every cell failed"


def _turn(runner: Runner, protocol: Protocol) -> None:
    limit = protocol.cell_limit
    before: Busy | None = busy()
    start = time.perf_counter()
    try:
        answer = runner.child.ask("time", seconds=limit, runs=runner.runs, untimed=runner.untimed)
        wall = time.perf_counter() - start
        after = busy()
        if protocol.end_to_end:
            whole = runner.child.ask("end_to_end", seconds=limit, runs=max(1, runner.runs // 3))
            runner.whole.append(tuple(whole["ns"]))
    except CellError as error:  # the others go on, and nothing of it runs beside them
        runner.failure = error
        runner.child.close()
        return
    runner.rounds.append(tuple(answer["ns"]))
    if answer["device_ns"]:
        runner.on_device.append(tuple(answer["device_ns"]))
    if before and after:
        runner.others += contention(before, after, answer["processor_ns"] / 1e9)
        runner.capacity += wall * after.processors


def _timing(runner: Runner, rounds: Sequence[tuple[int, ...]], stopped: str) -> Timing:
    reasons = list(instabilities(rounds))
    if runner.capacity and runner.others / runner.capacity > _LARGEST_CONTENTION:
        reasons.append(f"contention: other work took {runner.others / runner.capacity:.0%} of the processors meanwhile")
    return Timing(
        clock=CLOCK,
        warm_up=runner.facts["warm_up"],
        rounds=tuple(rounds),
        summary=summarise(rounds),
        stopped_by=stopped,
        unstable=tuple(reasons),
    )
