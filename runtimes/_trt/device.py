"""The seam between a session and the GPU: what a session needs of CUDA, and of TensorRT's engine, and nothing more.

`cuda.py` implements `Device` with pycuda and `loading.py` implements `Engine` with TensorRT; the tests of the session's logic
run it on plain memory.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import DeviceError


class DeviceMemoryError(DeviceError):
    """The device has not the memory that was asked for."""

    def __init__(self, *, asked_bytes: int, free_bytes: int, size: str = "", hint: str = "") -> None:
        """size: of the picture, where it is known."""
        where = f" for {size} (HxW)" if size else ""
        said = f"{asked_bytes / 2**20:.0f} MB more were asked for and {free_bytes / 2**20:.0f} MB are free"
        super().__init__(
            f"not enough device memory{where}: {said}", hint=hint or "Take smaller pieces: edgesr upscale --tile 256."
        )
        self.asked_bytes, self.free_bytes = asked_bytes, free_bytes


class Memory(Protocol):
    """A piece of the device's memory."""

    @property
    def address(self) -> int:
        """Where it begins; aligned to 256 bytes."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    def free(self) -> None:
        """Give it back; it must not be used again."""


class Event(Protocol):
    """A moment in the stream's work."""

    def record(self) -> None:
        """It is when all that was put on the stream so far is done."""

    def milliseconds_since(self, earlier: Any) -> float:
        """Time from another event of this device; both must have happened."""


class Graph(Protocol):
    """Work that was captured, to be put on the stream as one."""

    def launch(self) -> None:
        """Put it on the stream."""


class Device(Protocol):
    """One GPU and one stream on it: all work is done in the order in which it was put there, after the call has returned."""

    @property
    def stream(self) -> int:
        """The stream's handle."""

    def allocate(self, count: int) -> Memory:
        """`count` bytes; raises DeviceMemoryError."""

    def pinned(self, count: int) -> NDArray[np.uint8]:
        """`count` bytes of the host's memory that the device can copy from and to by itself."""

    def upload(self, source: NDArray[Any], target: Memory) -> None:
        """Copy from pinned memory, which must stay as it is until then, to the beginning of the device's."""

    def download(self, source: Memory, target: NDArray[Any]) -> None:
        """Copy from the beginning of the device's memory to pinned memory."""

    def event(self) -> Event:
        """A new event."""

    def capture(self, enqueue: Callable[[], None]) -> Graph:
        """What `enqueue` puts on the stream, as a graph, without running it; raises DeviceError when it cannot be captured."""

    def synchronize(self) -> None:
        """Wait until all that was put on the stream is done; raises DeviceError when some of it failed."""

    def free_bytes(self) -> int:
        """How much device memory is free."""


class Execution(Protocol):
    """What a session needs of TensorRT's IExecutionContext, by the same names; one is for one input shape."""

    def set_input_shape(self, name: str, shape: Any, /) -> bool:
        """Before all else."""

    def get_tensor_shape(self, name: str) -> Iterable[int]:
        """The shape of an input or output, known when the input's is."""

    def update_device_memory_size_for_shapes(self) -> int:
        """The bytes of scratch memory that the input's shape needs."""

    def set_device_memory(self, memory: int, size: int) -> None:
        """The scratch memory to use."""

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Where an input or output lies on the device."""

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Put the network on the stream."""


class Engine(Protocol):
    """A loaded engine."""

    def execution(self) -> Execution:
        """A new context without scratch memory."""

    def errors(self) -> tuple[str, ...]:
        """What TensorRT has said of errors since the last call of a method here."""
