"""The device memory of a process, as the driver counts it (NVML), sampled while the process works."""

import threading
from types import TracebackType
from typing import Self

from edgesr.bench.nvml import Gpu

_INTERVAL = 0.02


class ProcessMemory:
    """Samples what process `pid` holds on a CUDA device, in a thread, until the `with` block ends; does nothing for a processor.

    The driver counts what every library of the process holds, CUDA's context included; between two samples a short peak may hide.
    """

    def __init__(self, pid: int, *, device: str) -> None:
        self._pid = pid
        self._gpu = _gpu() if device == "cuda" else None
        self._before = self._gpu.used_mb() if self._gpu else None
        self._own: float | None = None
        self._all: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if self._gpu:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        if self._gpu:
            self._thread.join()

    def found(self) -> dict[str, float]:
        """Metric -> MB of 2²⁰ bytes: of the process, or where the driver does not list it what the whole GPU holds more."""
        how = f"NVML, every {_INTERVAL * 1000:.0f} ms"
        if self._own is not None:
            return {f"peak device memory of the process ({how})": self._own}
        if self._all is not None and self._before is not None:
            return {f"peak device memory of the whole GPU, above that before ({how})": round(self._all - self._before, 1)}
        return {}

    def _watch(self) -> None:
        assert self._gpu is not None
        while not self._stop.wait(_INTERVAL):
            self._own = _larger(self._own, self._gpu.process_mb(self._pid))
            self._all = _larger(self._all, self._gpu.used_mb())


def _larger(one: float | None, other: float | None) -> float | None:
    return one if other is None else max(one or 0.0, other)


def _gpu() -> Gpu | None:
    try:
        return Gpu()
    except OSError:
        return None
