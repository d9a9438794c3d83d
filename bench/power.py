"""Energy by the meters that the machine has, in a pass of its own; each meter's name says what it covers.

A meter does not know for whom the power is drawn: its figure holds what the covered part draws when idle, too.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesr.bench.nvml import Gpu
from edgesr.bench.sysfiles import number, numbered, text

_ROOT = Path("/")
_INTERVAL = 0.05
"""Seconds between readings: counters must not wrap twice between two, and a power must be caught as it changes."""
_RAPL = {"package": "package energy (RAPL)", "dram": "memory energy (RAPL)", "psys": "platform energy (RAPL)"}
_RAILS = (1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Meter:
    """Something that tells joules since some moment, or watts now (`power`).

    read: None where it fails. wraps: the count of joules after which it begins at 0 again.
    """

    name: str
    read: Callable[[], float | None]
    power: bool = False
    wraps: float | None = None


class _Tally:
    """Adds up what a meter tells."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.name = meter.name
        self._last: tuple[float, float] | None = None
        self.joules = 0.0
        self.failed = False

    def take(self) -> None:
        """Read the meter."""
        value, now = self._meter.read(), time.perf_counter()
        if value is None:
            self.failed = True
            return
        if self._last is not None:
            before, then = self._last
            if self._meter.power:
                self.joules += (value + before) / 2 * (now - then)
            else:
                self.joules += value - before + ((self._meter.wraps or 0.0) if value < before else 0.0)
        self._last = value, now


def energy_of(
    run: Callable[[], None],
    seconds: float,
    *,
    device: str | None = None,
    using: Sequence[Meter] | None = None,
    root: Path = _ROOT,
) -> dict[str, float]:
    """Meter's name -> J for each call of `run`: one before, then calls for at least `seconds`. Empty where there is no meter.

    device: cpu leaves a GPU's meter out. using: instead of those that the machine has.
    """
    tallies = [_Tally(meter) for meter in (meters(device, root=root) if using is None else using)]
    if not tallies:
        return {}
    run()
    with _read_often(tallies):
        count, start = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - start < seconds:
            run()
            count += 1
    failed = {tally.name for tally in tallies if tally.failed}
    names = dict.fromkeys(tally.name for tally in tallies if tally.name not in failed)
    return {name: round(sum(tally.joules for tally in tallies if tally.name == name) / count, 6) for name in names}


@contextlib.contextmanager
def _read_often(tallies: Sequence[_Tally]) -> Iterator[None]:
    """Read at the beginning, in a thread meanwhile, and at the end."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_INTERVAL):
            _take(tallies)

    _take(tallies)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        _take(tallies)


def _take(tallies: Sequence[_Tally]) -> None:
    for tally in tallies:
        tally.take()


def meters(device: str | None = None, *, root: Path = _ROOT) -> list[Meter]:
    """Those that can be read now. Several of one name, as of two packages, are to be added up."""
    found = [*_rapl(root), *_rails(root)] + (_gpu() if device == "cuda" else [])
    return [meter for meter in found if meter.read() is not None]


def why_no_meters(root: Path = _ROOT) -> str:
    """Why the processor's energy cannot be read, for people to mend."""
    zones = [zone for zone in numbered(root / "sys/class/powercap", "intel-rapl:") if (zone / "energy_uj").exists()]
    return "energy_uj of RAPL may be read by root only" if zones else "no RAPL, no INA3221"


def _rapl(root: Path) -> list[Meter]:
    """Intel's and AMD's own counters. The zone of a package has its parts as zones below."""
    zones = numbered(root / "sys/class/powercap", "intel-rapl:")
    zones += [part for zone in zones for part in numbered(zone, f"{zone.name}:")]
    meters = []
    for zone in zones:
        name = _RAPL.get((text(zone / "name") or "").partition("-")[0])
        limit = number(zone / "max_energy_range_uj")
        if name:
            meters.append(Meter(name=name, read=_scaled(zone / "energy_uj"), wraps=limit / 1e6 if limit else None))
    return meters


def _rails(root: Path) -> list[Meter]:
    """A Jetson's rails; the one of the whole board (VDD_IN or the like) holds the others."""
    meters = []
    for chip in numbered(root / "sys/class/hwmon", "hwmon"):
        for rail in _RAILS if text(chip / "name") == "ina3221" else ():
            label = text(chip / f"in{rail}_label")
            if label and label != "NC":
                watts = _product(_scaled(chip / f"in{rail}_input", 1e3), _scaled(chip / f"curr{rail}_input", 1e3))
                meters.append(Meter(name=f"{label} (INA3221)", read=watts, power=True))
    return meters


def _gpu() -> list[Meter]:
    try:
        gpu = Gpu()
    except OSError:
        return []
    if gpu.energy_joules() is not None:
        return [Meter(name="GPU board energy (NVML)", read=gpu.energy_joules)]
    return [Meter(name="GPU board energy (NVML power, sampled)", read=gpu.power_watts, power=True)]


def _scaled(path: Path, units: float = 1e6) -> Callable[[], float | None]:
    def read() -> float | None:
        value = number(path)
        return None if value is None else value / units

    return read


def _product(volts: Callable[[], float | None], amperes: Callable[[], float | None]) -> Callable[[], float | None]:
    def read() -> float | None:
        tension, current = volts(), amperes()
        return None if tension is None or current is None else tension * current

    return read
