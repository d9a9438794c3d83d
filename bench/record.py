"""A record: what a sweep found, with every raw sample, as one JSON file.

The schema is documented, with its history, in docs/benchmarks.md.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from edgesr.bench.checking import complaint
from edgesr.errors import RecordError
from edgesr.files import write_whole

SCHEMA = 1
KIND = "edgesr.bench"

Status = Literal["ok", "parity failed", "failed", "timed out"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a cell measures, apart from the machine.

    model: the variant's name. scale: 2, 3 or 4. runtime: a name in `edgesr.runtimes`. precision: as artifacts have it. size: of
    the input, "HxW" in pixels. device: one of `edgesr.bench.devices.DEVICES`. artifact: the folder that was given to be measured,
    or "". weights: that folder's checkpoint, or "" for what the model's name stands for.
    """

    model: str
    scale: int
    runtime: str
    precision: str
    size: str
    device: str
    artifact: str = ""
    weights: str = ""

    @property
    def key(self) -> str:
        """What tells it from the other cells of a record."""
        return _joined(self._network, self.artifact, self.runtime, self.precision, self.size, self.device)

    @property
    def group(self) -> str:
        """The same for all that is measured in turns and compared with one reference.

        Core ML's compute units stand beside the processor, on which PyTorch runs there.
        """
        return _joined(self._network, self.size, self.group_device)

    @property
    def group_device(self) -> str:
        """Where the reference runs: cpu or cuda."""
        return "cuda" if self.device == "cuda" else "cpu"

    @property
    def runs_in(self) -> str:
        """The runtime, with its compute units where these are not the group's device: `coreml (ane)`."""
        return self.runtime if self.device == self.group_device else f"{self.runtime} ({self.device})"

    @property
    def _network(self) -> str:
        return _joined(f"{self.model}-x{self.scale}", self.weights)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Of times in ms: all samples, none dropped. cv: standard deviation over mean."""

    samples: int
    min: float
    p50: float
    p90: float
    p99: float
    mean: float
    cv: float


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Times of one kind. rounds: nanoseconds, by round. stopped_by: why no more were taken. unstable: reasons not to trust it."""

    clock: str
    warm_up: tuple[int, ...]
    rounds: tuple[tuple[int, ...], ...]
    summary: Summary
    stopped_by: str
    unstable: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """p50 over that of the cell `to`, measured in turns with it; 95 % bootstrap interval over rounds, None for too few."""

    to: str
    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        """As tables show it, with its interval where it has one: `0.53 [0.50, 0.58]`."""
        interval = "" if self.low is None or self.high is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.value:.2f}{interval}"


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The output against the reference's on the same picture. passed: whether it keeps to the budget of its precision."""

    psnr_db: float
    relative_l2: float
    max_abs: float
    passed: bool
    budget: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row. reason: why its status is not "ok".

    settings: what the runtime says of itself. file_bytes, file_sha256: of the model file. rewrites: what it was exported with.
    load_s: seconds to open it, after the import. first_ms: the first inference. latency: of inference alone. end_to_end: 8-bit
    picture in, 8-bit picture out. on_device: of inference alone by the device's own clock. memory: metric's name -> MB of 2²⁰
    bytes. energy: metric's name -> J an inference. output_png: the middle of the output, base64. difference_png: the same of its
    absolute difference from the reference's, where white stands for `difference_white` (peak 1.0). ratio: of the latency.
    """

    subject: Subject
    status: Status
    reason: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    file_bytes: int | None = None
    file_sha256: str = ""
    rewrites: tuple[str, ...] = ()
    parity: Parity | None = None
    load_s: float | None = None
    first_ms: float | None = None
    latency: Timing | None = None
    end_to_end: Timing | None = None
    on_device: Timing | None = None
    memory: dict[str, float] = field(default_factory=dict)
    memory_notes: tuple[str, ...] = ()
    energy: dict[str, float] = field(default_factory=dict)
    output_png: str = ""
    difference_png: str = ""
    difference_white: float = 0.0
    ratio: Ratio | None = None

    @property
    def ranked(self) -> bool:
        """Whether its speed counts: it ran, and computed the reference's function."""
        return self.status == "ok"


@dataclass(frozen=True, kw_only=True)
class Record:
    """A sweep. settings: those of the protocol, which must agree for a comparison. environment: see `edgesr.bench.machine`.

    planned: the key of each cell that was asked for -> the sha256 of a given folder's model file, "" for what the sweep makes.
    before, after: what changes by itself, as load and clocks, read before and after the sweep.
    """

    command: str
    created: str
    edgesr: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    cells: tuple[Cell, ...]
    complete: bool = True
    planned: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record as its file holds it."""
        return {"schema": SCHEMA, "kind": KIND, **asdict(self)}


def write_record(path: Path, record: Record) -> None:
    """Write the record, all of it or nothing."""
    text = json.dumps(record.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, (text + "\n").encode())


def read_record(path: Path) -> Record:
    """Read a record; raises RecordError for a file that is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}", hint="Make one: edgesr bench MODEL -o DIR") from error
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise RecordError(f"{path} is not a record of `edgesr bench`", hint="Make one: edgesr bench MODEL -o DIR")
    if data.get("schema") != SCHEMA:
        raise RecordError(f"{path} has schema {data.get('schema')}, this version reads {SCHEMA}", hint="Measure again.")
    try:
        rest = {key: value for key, value in data.items() if key not in ("schema", "kind", "cells")}
        record = Record(**rest, cells=tuple(cell_from_json(cell) for cell in data["cells"]))
        wrong = complaint(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{path} is malformed: {error!r}", hint="Measure again.") from error
    if wrong:
        raise RecordError(f"{path} is malformed: {wrong}", hint="Measure again: edgesr bench MODEL -o DIR")
    return record


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def cell_from_json(data: dict[str, Any]) -> Cell:
    """A cell as `to_json` wrote it."""
    made: dict[str, Any] = {**data, "subject": Subject(**data["subject"])}
    for name, kind in (("parity", Parity), ("ratio", Ratio)):
        made[name] = kind(**data[name]) if data[name] else None
    for name in ("latency", "end_to_end"):
        made[name] = _timing(data[name]) if data[name] else None
    made["on_device"] = _timing(data["on_device"]) if data.get("on_device") else None
    for name in ("rewrites", "memory_notes"):
        made[name] = tuple(data[name])
    unknown = made.keys() - {each.name for each in fields(Cell)}
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    return Cell(**made)


def _timing(data: dict[str, Any]) -> Timing:
    rounds: Sequence[Sequence[int]] = data["rounds"]
    return Timing(
        **{
            **data,
            "warm_up": tuple(data["warm_up"]),
            "rounds": tuple(tuple(samples) for samples in rounds),
            "summary": Summary(**data["summary"]),
            "unstable": tuple(data["unstable"]),
        }
    )
