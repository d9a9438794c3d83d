"""The contract of a runtime: what a file in `edgesr/runtimes/` declares as its `RUNTIME`."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from edgesr.tensors import FloatArray, Size, SizeRule

if TYPE_CHECKING:
    from edgesr.artifact import Artifact
    from edgesr.reference import Reference


FloatPrecision = Literal["fp32", "fp16"]
"""What a network computes in: float32 or float16."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a session runs. threads: of the processor, None leaves them to the runtime. device: None takes its default.

    precision: of a reference in PyTorch; a file's is in the file.
    """

    threads: int | None = None
    device: str | None = None
    precision: FloatPrecision = "fp32"


class Session(Protocol):
    """A loaded network."""

    @property
    def scale(self) -> int:
        """The upscaling factor s."""

    @property
    def sizes(self) -> SizeRule:
        """The input sizes that it takes."""

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW), not clamped.

        Raises SizeError before anything runs when the size is outside `sizes`.
        """


class Bound:
    """A network with its input in place, as it is measured: every call runs it, until the device is done."""

    def __init__(self, run: Callable[[], Any], fetch: Callable[[Any], FloatArray]) -> None:
        """run: what is timed. fetch: what it returned -> the output (N,3,sH,sW)."""
        self._run, self._fetch = run, fetch
        self._last: Any = None

    def __call__(self) -> None:
        """Run it once."""
        self._last = None  # so that two outputs are never alive
        self._last = self._run()

    @property
    def device_milliseconds(self) -> float | None:
        """What the last run took by the device's own clock; None where nobody asked it."""
        return None

    def output(self) -> FloatArray:
        """What the last run made, (N,3,sH,sW)."""
        return np.array(self._fetch(self._last), dtype=np.float32)


class RuntimeSession(Session, Protocol):
    """A network that a runtime has loaded, which can be measured too."""

    @property
    def settings(self) -> dict[str, str]:
        """What the runtime says of how it runs, as threads and precision, for a record of measurements."""

    def bind(self, image: FloatArray) -> Bound:
        """Put the image where the network reads it; the result runs the network on it.

        What `run` does besides, such as copies from and to a device, is not part of a run of it.
        """


@runtime_checkable
class TellsDeviceMemory(Protocol):
    """A session that knows what it has taken of a device's memory."""

    def device_mb(self) -> dict[str, float]:
        """Metric -> MB of 2²⁰ bytes, the most so far."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule found in a model file, before it ran anywhere.

    predicted: what will probably happen. source: who says so. places: the names of the operations or inputs that it is about.
    """

    rule: str
    predicted: str
    source: str
    places: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What the system itself says of where it will run a model. devices: operation -> device. trouble: why it does not say it."""

    devices: dict[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def summary(self) -> str:
        """As in `180 NeuralEngine, 3 CPU`, or why nothing is known."""
        counts = Counter(self.devices.values()).most_common()
        return ", ".join(f"{times} {device}" for device, times in counts) or f"unknown: {self.trouble}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a vendor's compiler says of what it made, which is no measurement. about: of what. facts: whole numbers are bytes."""

    about: str
    facts: dict[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a model file holds: how often each operator runs, the most frequent first, what rules and compilers say of it.

    placement: what the system says, where it can be asked.
    functions: of a file with several, how many operations each has; the first is the one that the rest is about.
    """

    operators: dict[str, int]
    findings: tuple[Finding, ...] = ()
    placement: Placement | None = None
    functions: dict[str, int] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One way to run a network.

    formats: the artifact formats that it opens, as targets name them; empty for the reference, which is built anew from the
        model and weights that a manifest names.
    package: the module that it needs and imports only when a session opens.
    extra: the extra of `pip install edgesr[extra]` that brings the package; empty when the base has it.
    open: a verified artifact -> a session; raises BackendMissingError where a device is missing. That the package is there has
        been checked before.
    open_reference: for PyTorch's own runtimes: a reference -> a session.
    prepare, open_prepared: for a runtime with a converter of its own: a reference and a size -> a folder -> a session. The first
        brings PyTorch and takes long, so that `edgesr bench` calls it in a process of its own.
    inspect: an artifact -> what its model file holds, without running it.
    whole_numbers: whether a picture (`TensorInfo.is_picture`) comes out of it in 8 bits; elsewhere it is clamped, not rounded.
    peer: here for comparison only: no artifact is opened in it unless it is named.
    platforms: the systems on which it runs, as `sys.platform` names them; empty for all.
    target: whose artifacts `edgesr bench` measures it with; empty for the reference. target_on: device -> another target for it.
        of_one_size: whether these are made for the size that is measured. measures: whether its latency means something.
    devices: what it can run on, the default first.
    """

    title: str
    formats: frozenset[str]
    package: str
    extra: str = ""
    open: Callable[["Artifact", Options], RuntimeSession]
    open_reference: Callable[["Reference", Options], RuntimeSession] | None = None
    prepare: Callable[["Reference", Size, Path], None] | None = None
    open_prepared: Callable[[Path, Options], RuntimeSession] | None = None
    inspect: Callable[["Artifact"], Inspection] | None = None
    whole_numbers: bool = False
    peer: bool = False
    platforms: frozenset[str] = frozenset()
    target: str = ""
    target_on: Mapping[str, str] = field(default_factory=dict)
    of_one_size: bool = False
    measures: bool = True
    devices: tuple[str, ...] = ("cpu",)
