"""Memory of a device that is none: allocations by their address, copies that happen at once, and a look at what was left behind.

STANDIN_MEMORY is how many bytes the device has; STANDIN_CUDA=none takes it away, another word is the class or method that fails.
"""

import atexit
import os
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MEMORY = int(os.environ.get("STANDIN_MEMORY", "1000000000"))
allocated: dict[int, NDArray[np.uint8]] = {}
_contexts: list["Context"] = []


class Error(Exception):
    """What CUDA reports."""


class MemoryError(Error):
    """No memory is left."""


def _may_fail(what: str) -> None:
    if os.environ.get("STANDIN_CUDA") == what:
        raise Error(f"{what} failed: out of memory")


def init() -> None:
    if os.environ.get("STANDIN_CUDA") == "none":
        raise Error("cuInit failed: no CUDA-capable device is detected")


class Device:
    def __init__(self, number: int) -> None:
        assert number == 0

    def name(self) -> str:
        return "Orin"

    def compute_capability(self) -> tuple[int, int]:
        return (8, 7)

    def retain_primary_context(self) -> "Context":
        return Context()


class Context:
    def push(self) -> None:
        _may_fail("push")
        _contexts.append(self)

    def pop(self) -> None:
        assert not allocated or os.environ.get("STANDIN_CUDA") == "free", "memory outlives its context"
        _contexts.remove(self)


@atexit.register
def _all_is_given_back() -> None:
    assert not _contexts, "a context was not popped"


class DeviceAllocation:
    def __init__(self, count: int) -> None:
        assert _contexts, "no context is current"
        if count + sum(each.nbytes for each in allocated.values()) > MEMORY:
            raise MemoryError("cuMemAlloc failed: out of memory")
        self._address = max(allocated, default=4096) + 2**32
        allocated[self._address] = np.zeros(count, np.uint8)

    def __int__(self) -> int:
        return self._address

    def free(self) -> None:
        del allocated[self._address]
        _may_fail("free")


def mem_alloc(count: int) -> DeviceAllocation:
    return DeviceAllocation(count)


def pagelocked_empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    return np.full(shape, np.nan, dtype)


class Stream:
    handle = 77

    def __init__(self) -> None:
        _may_fail("Stream")

    def synchronize(self) -> None:
        assert _contexts, "no context is current"


class Event:
    def __init__(self) -> None:
        _may_fail("Event")

    def record(self, stream: Stream) -> None:
        assert stream.handle == Stream.handle

    def time_since(self, event: "Event") -> float:
        _may_fail("time_since")
        return 1.5


def memcpy_htod_async(dest: DeviceAllocation, src: NDArray[Any], stream: Stream) -> None:
    allocated[int(dest)][: src.nbytes] = src.reshape(-1).view(np.uint8)


def memcpy_dtoh_async(dest: NDArray[Any], src: DeviceAllocation, stream: Stream) -> None:
    dest.reshape(-1).view(np.uint8)[:] = allocated[int(src)][: dest.nbytes]
