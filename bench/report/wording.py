"""How the report writes figures and names."""

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import median

from edgesr.bench.record import Cell, Parity, Ratio, Subject, Timing
from edgesr.parity import IDENTICAL_DB

DASH = "–"


def figure(value: float, digits: int = 4) -> str:
    """A number with so many significant digits, its whole part always whole: 12.34, 12,345, 0.4512, 3.2e-07."""
    if value == 0:
        return "0"
    whole = math.floor(math.log10(abs(value))) + 1
    return f"{value:.2g}" if whole < -2 else f"{value:,.{max(0, digits - whole)}f}"


def milliseconds(nanoseconds: float) -> float:
    """Nanoseconds -> ms."""
    return nanoseconds / 1e6


def percent(share: float) -> str:
    """A share as in 2.3 %."""
    return f"{100 * share:.1f} %"


def count(number: int, one: str, many: str = "") -> str:
    """As in 1 cell, 2 cells."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def listing(words: Sequence[str]) -> str:
    """As in a, b and c."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def size(text: str) -> str:
    """HxW as people write it."""
    return text.replace("x", "×")


def group_title(subject: Subject) -> str:
    """What all cells of a group share."""
    weights = f" ({subject.weights})" if subject.weights else ""
    return f"{subject.model} ×{subject.scale}{weights}, {size(subject.size)} input, {subject.group_device}"


NO_INTERVAL = "too few rounds for an interval"


def ratio(value: Ratio) -> str:
    """A ratio with its interval."""
    middle, low, high = ratio_figures(value)
    return f"{middle} ({low} to {high})" if low else f"{middle} ({NO_INTERVAL})"


def ratio_figures(value: Ratio) -> tuple[str, str, str]:
    """A ratio and the ends of its interval, "" where it has none: two decimals, more where it is small or its interval narrow."""
    narrow = value.low is not None and value.high is not None and value.high - value.low < 0.005
    decimals = 4 if value.value < 0.01 else 3 if value.value < 0.1 or narrow else 2
    middle, low, high = ("" if each is None else f"{each:,.{decimals}f}" for each in (value.value, value.low, value.high))
    return middle, low, high


def verdict(value: Ratio) -> str:
    """What the interval allows to say."""
    if value.low is None or value.high is None:
        return "not decided"
    if value.high < 1:
        return "faster"
    return "slower" if value.low > 1 else "no difference shown"


def decibels(parity: Parity) -> str:
    """PSNR against the reference."""
    return "identical" if parity.psnr_db >= IDENTICAL_DB else f"{parity.psnr_db:.1f}"


def moment(text: str) -> str:
    """An ISO 8601 time as people write it; anything else as it is."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return text


def status(cell: Cell) -> str:
    """A cell's status in few words; `notes` has the reasons."""
    said = "parity failed, not ranked" if cell.status == "parity failed" else cell.status
    return f"{said}, unstable" if unstable(cell) else said


def notes(cell: Cell) -> str:
    """Why a cell failed, why its times should not be trusted, and what is to be said of its memory."""
    doubts = "; ".join(unstable(cell))
    memory = "; ".join(cell.memory_notes)
    parts = (cell.reason, f"unstable: {doubts}" if doubts else "", f"memory: {memory}" if memory else "")
    return "; ".join(part for part in parts if part)


def unstable(cell: Cell) -> tuple[str, ...]:
    """Why its times should not be trusted, each reason once."""
    alone = cell.latency.unstable if cell.latency else ()
    whole = cell.end_to_end.unstable if cell.end_to_end else ()
    return (*alone, *(f"end to end: {reason}" for reason in whole))


def short(text: str, limit: int) -> str:
    """A long name cut, for a chart; the table has it whole."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def samples_in_words(timing: Timing) -> str:
    """What a chart of the samples shows, drift included."""
    found = timing.summary
    words = (
        f"{count(found.samples, 'sample')} in {count(len(timing.rounds), 'round')}: from {figure(found.min)} ms, p50"
        f" {figure(found.p50)} ms, p90 {figure(found.p90)} ms, p99 {figure(found.p99)} ms"
    )
    rounds = [each for each in timing.rounds if each]
    if len(rounds) < 2:
        return f"{words}."
    first, last = (figure(milliseconds(median(each))) for each in (rounds[0], rounds[-1]))
    return f"{words}; the median of the first round is {first} ms, of the last {last} ms."


def names(cells: Sequence[Cell]) -> list[str]:
    """A name for each cell of a group, as short as tells it from the others."""
    plain = [f"{cell.subject.runs_in} {cell.subject.precision}" for cell in cells]
    full = [
        f"{name} ({cell.subject.artifact})" if plain.count(name) > 1 and cell.subject.artifact else name
        for name, cell in zip(plain, cells, strict=True)
    ]
    return [name if full.count(name) == 1 else f"{name} #{full[: index + 1].count(name)}" for index, name in enumerate(full)]
