"""The device of a session: pycuda for context, stream, buffers and events, the driver's own calls for graphs. No PyTorch."""

import atexit
import importlib
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import BackendMissingError, DeviceError
from edgesr.runtimes._trt.device import DeviceMemoryError, Memory
from edgesr.runtimes._trt.driver import CapturedGraph, Driver


class _Failures:
    """Turns what pycuda raises into DeviceError; around every call of a frame, so that it costs next to nothing."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        if error is not None and isinstance(error, importlib.import_module("pycuda.driver").Error):
            raise DeviceError(
                f"the GPU failed: {error}", hint="See its state: nvidia-smi, and the kernel's log: dmesg."
            ) from error


_FAILURES = _Failures()


class CudaMemory:
    """Device memory of pycuda's."""

    def __init__(self, allocation: Any, size: int) -> None:
        self._allocation = allocation
        self.address, self.size = int(allocation), size

    def free(self) -> None:
        """Give it back; it must not be used again."""
        with _FAILURES:
            self._allocation.free()


class CudaEvent:
    """An event of pycuda's on the device's stream."""

    def __init__(self, event: Any, stream: Any) -> None:
        self._event, self._stream = event, stream

    def record(self) -> None:
        """It is when all that was put on the stream so far is done."""
        with _FAILURES:
            self._event.record(self._stream)

    def milliseconds_since(self, earlier: "CudaEvent") -> float:
        """Time from another event; both must have happened. CUDA gives it to about half a microsecond."""
        with _FAILURES:
            return float(self._event.time_since(earlier._event))


class CudaDevice:
    """The first GPU that CUDA may use, and a stream of its own; for the thread that made it.

    TensorRT works in the device's primary context, so that is the one taken here: one process, one context. Whatever CUDA refuses
    is a DeviceError.
    """

    def __init__(self) -> None:
        """Raises BackendMissingError where there is no GPU."""
        self._driver = Driver()
        self._cuda = pycuda_driver()
        with _FAILURES:
            _primary_context()
            self._stream = self._cuda.Stream()

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return int(self._stream.handle)

    def allocate(self, count: int) -> CudaMemory:
        """`count` bytes; raises DeviceMemoryError."""
        with _FAILURES:
            try:
                return CudaMemory(self._cuda.mem_alloc(count), count)
            except self._cuda.MemoryError as error:
                raise DeviceMemoryError(asked_bytes=count, free_bytes=self.free_bytes()) from error

    def pinned(self, count: int) -> NDArray[np.uint8]:
        """`count` bytes of page-locked memory; given back with the array."""
        with _FAILURES:
            memory: NDArray[np.uint8] = self._cuda.pagelocked_empty((count,), np.uint8)
        return memory

    def upload(self, source: NDArray[Any], target: Memory) -> None:
        """Copy from pinned memory to the beginning of the device's."""
        with _FAILURES:
            self._cuda.memcpy_htod_async(target.address, source, self._stream)

    def download(self, source: Memory, target: NDArray[Any]) -> None:
        """Copy from the beginning of the device's memory to pinned memory."""
        with _FAILURES:
            self._cuda.memcpy_dtoh_async(target, source.address, self._stream)

    def event(self) -> CudaEvent:
        """A new event."""
        with _FAILURES:
            return CudaEvent(self._cuda.Event(), self._stream)

    def capture(self, enqueue: Callable[[], None]) -> CapturedGraph:
        """What `enqueue` puts on the stream, as a graph; raises DeviceError when it cannot be captured."""
        return self._driver.capture(self.stream, enqueue)

    def synchronize(self) -> None:
        """Wait until all that was put on the stream is done; raises DeviceError when some of it failed."""
        with _FAILURES:
            self._stream.synchronize()

    def free_bytes(self) -> int:
        """How much device memory is free."""
        with _FAILURES:
            free, _ = self._cuda.mem_get_info()
        return int(free)


def pycuda_driver() -> Any:
    """The calls of CUDA that pycuda has, initialised; raises BackendMissingError."""
    try:
        cuda = importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise BackendMissingError(
            f"pycuda, which moves pictures to the GPU and back, is not here: {error}",
            hint="pip install pycuda (it is compiled: nvcc must be on the PATH, on a Jetson in /usr/local/cuda/bin)",
        ) from error
    cuda.init()
    return cuda


@cache
def _primary_context() -> Any:
    """The first device's primary context, current in this thread until the process ends."""
    context = pycuda_driver().Device(0).retain_primary_context()
    context.push()
    atexit.register(context.pop)
    return context
