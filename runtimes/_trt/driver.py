"""CUDA's driver through ctypes: which GPU is here, and the capture of CUDA graphs, for which pycuda has no calls (2026.1).

The driver library comes with every NVIDIA driver, so that nothing has to be installed to ask it. The functions and constants are
those of cuda.h, CUDA 11.4 and later.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgesr.errors import BackendMissingError, DeviceError

_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
_NAME_BYTES = 96
_MAJOR, _MINOR = 75, 76
_THREAD_LOCAL = 1
_REASONS = {
    2: "out of memory",
    100: "it finds no GPU",
    101: "it finds no GPU of that number",
    803: "the driver and its library are of different versions",
    804: "the driver is too old for the CUDA that is installed",
}


@dataclass(frozen=True, kw_only=True)
class GpuInfo:
    """A GPU as the driver names it. compute_capability: as in 8.7. cuda: the newest CUDA that the driver runs, as in 12.6."""

    name: str
    compute_capability: str
    cuda: str
    memory_bytes: int


class Driver:
    """The driver, initialised. library: its functions. Raises BackendMissingError where there is no driver or no GPU."""

    def __init__(self, library: Any = None) -> None:
        self._library = library if library is not None else _load()
        code = int(self._library.cuInit(ctypes.c_uint(0)))
        if code:
            raise BackendMissingError(
                f"the NVIDIA driver cannot start: {_reason(code)}",
                hint="Run it on a machine with an NVIDIA GPU and its driver; nvidia-smi shows what is there.",
            )

    def first_gpu(self) -> GpuInfo:
        """The first GPU that CUDA may use here (CUDA_VISIBLE_DEVICES chooses it)."""
        device, version = ctypes.c_int(), ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        self._call("cuDriverGetVersion", ctypes.byref(version))
        name, total = ctypes.create_string_buffer(_NAME_BYTES), ctypes.c_size_t()
        self._call("cuDeviceGetName", name, ctypes.c_int(_NAME_BYTES), device)
        self._call("cuDeviceTotalMem_v2", ctypes.byref(total), device)
        parts = [ctypes.c_int(), ctypes.c_int()]
        for part, attribute in zip(parts, (_MAJOR, _MINOR), strict=True):
            self._call("cuDeviceGetAttribute", ctypes.byref(part), ctypes.c_int(attribute), device)
        return GpuInfo(
            name=name.value.decode(errors="replace"),
            compute_capability=".".join(str(part.value) for part in parts),
            cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
            memory_bytes=total.value,
        )

    def free_bytes(self) -> int | None:
        """How much memory is free on the device whose context is current in this thread; None where there is no context."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        return None if self._library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) else free.value

    def capture(self, stream: int, enqueue: Callable[[], None]) -> "CapturedGraph":
        """What `enqueue` puts on the stream, as a graph; nothing of it runs now.

        Raises DeviceError when it cannot be captured, and whatever `enqueue` raises. The capture is ended in every case, for a
        stream that stays in it refuses all else.
        """
        handle, graph = ctypes.c_void_p(stream), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", handle, ctypes.c_int(_THREAD_LOCAL))
        try:
            enqueue()
        except BaseException:
            if not self._library.cuStreamEndCapture(handle, ctypes.byref(graph)) and graph.value:
                self._library.cuGraphDestroy(graph)
            raise
        self._call("cuStreamEndCapture", handle, ctypes.byref(graph))
        executable = ctypes.c_void_p()
        try:
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        finally:
            self._library.cuGraphDestroy(graph)
        return CapturedGraph(self, executable, handle)

    def launch(self, executable: ctypes.c_void_p, stream: ctypes.c_void_p) -> None:
        """Put a graph on the stream."""
        self._call("cuGraphLaunch", executable, stream)

    def release(self, executable: ctypes.c_void_p) -> None:
        """Give a graph back."""
        self._library.cuGraphExecDestroy(executable)

    def _call(self, function: str, *arguments: Any) -> None:
        code = int(getattr(self._library, function)(*arguments))
        if code:
            raise DeviceError(
                f"CUDA's {function} failed: {_reason(code)}",
                hint="See the GPU's state: nvidia-smi, dmesg.",
            )


class CapturedGraph:
    """A graph that can be launched again and again."""

    def __init__(self, driver: Driver, executable: ctypes.c_void_p, stream: ctypes.c_void_p) -> None:
        self._driver, self._executable, self._stream = driver, executable, stream

    def launch(self) -> None:
        """Put it on the stream it was captured from."""
        self._driver.launch(self._executable, self._stream)

    def __del__(self) -> None:
        self._driver.release(self._executable)


def _reason(code: int) -> str:
    return f"{_REASONS[code]} (error {code})" if code in _REASONS else f"error {code}"


def _load() -> Any:
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BackendMissingError(
        f"there is no NVIDIA driver here: neither {' nor '.join(_LIBRARIES)} can be loaded",
        hint="Run it on a machine with an NVIDIA GPU and its driver; nvidia-smi shows what is there.",
    )
