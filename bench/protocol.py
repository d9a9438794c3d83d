"""How long is measured, and when it is enough. These numbers are a record's `settings`: records with others do not compare."""

from dataclasses import asdict, dataclass
from typing import Any

from edgesr.bench.statistics import FEWEST_ROUNDS


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A cell is measured until it has `runs` AND `seconds` AND its median is known to `spread`, or the time limit is over.

    threads: of the processor, for every runtime. rounds: so many at least, whatever the time limit says. spread: half of the
    median's 95 % interval, relative. limit: seconds for each cell of a group; the cells of a group share theirs, for they take
    turns. warm_up: seconds at least; it goes on, up to `longest_warm_up`, until three runs in a row lie within a tenth. turn:
    seconds that a cell's turn takes about, with at most `turn_runs` runs. pause: seconds between turns, in which the last
    runtime's threads go to sleep. cell_limit: seconds that opening, the first run or any other request may take. sustained:
    seconds to measure for, whatever is known by then. end_to_end: whether pictures of 8 bits are run too.
    """

    threads: int
    runs: int = 15
    rounds: int = FEWEST_ROUNDS
    seconds: float = 3.0
    spread: float = 0.02
    limit: float = 40.0
    warm_up: float = 1.0
    longest_warm_up: float = 8.0
    turn: float = 0.25
    turn_runs: int = 5
    pause: float = 0.05
    cell_limit: float = 600.0
    memory_runs: int = 5
    sustained: float | None = None
    end_to_end: bool = True

    def to_json(self) -> dict[str, Any]:
        """As a record's settings."""
        return asdict(self)


def quick(threads: int) -> Protocol:
    """To see whether all works, not for quoting."""
    return Protocol(
        threads=threads, runs=3, rounds=1, seconds=0.3, spread=0.10, limit=6, warm_up=0.2, longest_warm_up=2, memory_runs=4
    )


def sustained(threads: int, minutes: float) -> Protocol:
    """A long run, in which heat and clocks show."""
    return Protocol(threads=threads, sustained=60 * minutes)
