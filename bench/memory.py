"""Memory: a process of its own for each cell, in which nothing is timed. Every figure carries its metric's name."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from edgesr.bench.child import Child, Opening
from edgesr.bench.gpu import ProcessMemory
from edgesr.bench.latency import Files
from edgesr.bench.protocol import Protocol

PEAK = "peak RSS of the process"
ABOVE = "peak RSS above the bare import"
IMPORT = "RSS after the bare import"
MORE = "peak RSS after more runs"
DEVICE = "peak device memory of the "
"""What the metrics of a device's memory begin with."""
_GROWTH_MB = 1.0
"""A process that holds more by so much after each of its last runs leaks."""


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """metrics: name -> MB of 2²⁰ bytes. notes: what is to be said of them. parity: the output against the reference's."""

    metrics: dict[str, float]
    notes: tuple[str, ...]
    parity: dict[str, float]


def weigh(opening: Opening, files: Files, protocol: Protocol) -> Weighed:
    """The memory of a process that imports, opens, runs once, and runs again; raises CellError."""
    limit = protocol.cell_limit
    device = str(opening.arguments.get("device", "cpu"))
    with Child(opening) as child:
        with ProcessMemory(child.pid, device=device) as on_device:
            opened = child.ask("open", seconds=limit)
            first = child.ask("first", seconds=limit, image=str(files.image))
            more = child.ask("again", seconds=limit, runs=protocol.memory_runs)
        compared = child.compare(files.expected, seconds=limit)  # which needs memory of its own
    metrics = {
        PEAK: first["peak_mb"],
        ABOVE: round(first["peak_mb"] - opened["import_mb"], 1),
        IMPORT: opened["import_mb"],
        MORE: more["peak_mb"],
        **{name: round(value, 1) for name, value in more["device_mb"].items()},
        **on_device.found(),
    }
    return Weighed(metrics=metrics, notes=_notes(opened, more), parity=compared["parity"])


def _notes(opened: dict[str, Any], more: dict[str, Any]) -> tuple[str, ...]:
    notes = []
    if not opened["peak_was_reset"]:
        notes.append("the high-water mark could not be reset: the peak may be that of the import")
    after = more["resident_mb"]
    steps = [later - earlier for earlier, later in pairwise(after)]
    if len(steps) >= 3 and min(steps) > _GROWTH_MB:
        notes.append(f"grows by about {sorted(steps)[len(steps) // 2]:.0f} MB with every run")
    return tuple(notes)
