"""A device of plain memory and an engine that repeats pixels, for the session's logic. It says nothing of CUDA or TensorRT.

It is strict where CUDA is silent: work is done at `synchronize` and not before, memory that was given back has no address any
more, and nothing may be allocated while a graph is captured.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import DeviceError
from edgesr.manifest import Profile
from edgesr.runtimes._trt.device import DeviceMemoryError

Work = Callable[[], None]


class Block:
    def __init__(self, device: "MemoryDevice", address: int, size: int) -> None:
        self._device, self.address, self.size = device, address, size

    def free(self) -> None:
        del self._device.live[self.address]


class Moment:
    def __init__(self, device: "MemoryDevice") -> None:
        self._device = device
        self.time: float | None = None

    def record(self) -> None:
        def happen() -> None:
            self.time = self._device.clock

        self.time = None
        self._device.put(happen)

    def milliseconds_since(self, earlier: "Moment") -> float:
        assert self.time is not None, "it has not happened yet"
        assert earlier.time is not None, "it has not happened yet"
        return self.time - earlier.time


class CapturedWork:
    def __init__(self, device: "MemoryDevice", work: list[Work]) -> None:
        self._device, self._work = device, work

    def launch(self) -> None:
        self._device.launches += 1
        for work in self._work:
            self._device.put(work)


class MemoryDevice:
    """total: bytes. allocations, pins, launches: how many there were. capturable: whether a capture may succeed."""

    stream = 7

    def __init__(self, *, total: int = 1 << 30, capturable: bool = True) -> None:
        self.total, self.capturable = total, capturable
        self.live: dict[int, bytearray] = {}
        self.allocations = self.pins = self.launches = 0
        self.clock = 0.0
        self._queue: list[Work] = []
        self.captured: list[Work] | None = None
        self._next = 256

    def put(self, work: Work) -> None:
        (self._queue if self.captured is None else self.captured).append(work)

    def at(self, address: int, size: int) -> memoryview:
        assert address in self.live, "memory that was given back, or never taken"
        assert len(self.live[address]) >= size, "more than was allocated"
        return memoryview(self.live[address])[:size]

    def allocate(self, count: int) -> Block:
        assert self.captured is None, "an allocation while a graph is captured"
        if count > self.free_bytes():
            raise DeviceMemoryError(asked_bytes=count, free_bytes=self.free_bytes())
        self.allocations += 1
        address, self._next = self._next, self._next + -(-count // 256) * 256
        self.live[address] = bytearray(count)
        return Block(self, address, count)

    def pinned(self, count: int) -> NDArray[np.uint8]:
        self.pins += 1
        return np.zeros(count, np.uint8)

    def upload(self, source: NDArray[Any], target: Any) -> None:
        def copy() -> None:
            self.at(target.address, source.nbytes)[:] = source.tobytes()

        self.put(copy)

    def download(self, source: Any, target: NDArray[Any]) -> None:
        def copy() -> None:
            target[...] = np.frombuffer(self.at(source.address, target.nbytes), target.dtype).reshape(target.shape)

        self.put(copy)

    def event(self) -> Moment:
        return Moment(self)

    def capture(self, enqueue: Work) -> CapturedWork:
        if not self.capturable:
            raise DeviceError("this cannot be captured")
        assert not self._queue, "work before the capture is not done"
        self.captured = []
        try:
            enqueue()
            return CapturedWork(self, self.captured)
        finally:
            self.captured = None

    def synchronize(self) -> None:
        assert self.captured is None, "no waiting while a graph is captured"
        queue, self._queue = self._queue, []
        for work in queue:
            work()

    def free_bytes(self) -> int:
        return self.total - sum(len(block) for block in self.live.values())


class RepeatingExecution:
    """A context: it gives every pixel `scale` times in both directions."""

    def __init__(self, engine: "RepeatingEngine") -> None:
        self._engine, self._device = engine, engine.device
        self._shape: tuple[int, ...] = ()
        self._addresses: dict[str, int] = {}
        self._scratch = (0, 0)
        self._runs = 0

    def set_input_shape(self, name: str, shape: Any, /) -> bool:
        assert name == "input"
        number, _, height, width = self._shape = tuple(shape)
        profile = self._engine.profile
        seen = (number, height, width)
        return all(low <= side <= high for low, side, high in zip(profile.minimum, seen, profile.maximum, strict=True))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        number, channels, height, width = self._shape
        scale = {"input": 1, "output": self._engine.scale}[name]
        return number, channels, scale * height, scale * width

    def update_device_memory_size_for_shapes(self) -> int:
        number, _, height, width = self._shape if self._engine.resizes else (0, 0, *self._engine.profile.maximum[1:])
        return max(number, 1) * height * width * self._engine.scratch_per_pixel

    def set_device_memory(self, memory: int, size: int) -> None:
        self._scratch = (memory, size)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle == self._device.stream
        assert self._scratch[1] >= self.update_device_memory_size_for_shapes(), "too little scratch memory"
        if self._engine.fails or (self._device.captured is not None and not self._runs):
            return False  # TensorRT, too, must have run once before its work can be captured
        self._runs += 1
        self._device.put(self._run)
        return True

    def _run(self) -> None:
        self._device.at(self._scratch[0], self._scratch[1])[:1] = b"x"
        shape, output = self._shape, self.get_tensor_shape("output")
        given = np.frombuffer(self._device.at(self._addresses["input"], 4 * prod(shape)), np.float32).reshape(shape)
        made = given.repeat(self._engine.scale, axis=2).repeat(self._engine.scale, axis=3)
        self._device.at(self._addresses["output"], 4 * prod(output))[:] = made.tobytes()
        self._device.clock += 2.5


class RepeatingEngine:
    """resizes: whether scratch memory follows the shape. fails: whether nothing runs."""

    def __init__(self, device: MemoryDevice, profile: Profile, *, scale: int = 2, scratch_per_pixel: int = 100) -> None:
        self.device, self.profile, self.scale, self.scratch_per_pixel = device, profile, scale, scratch_per_pixel
        self.resizes, self.fails = True, False
        self.executions = 0

    def execution(self) -> RepeatingExecution:
        self.executions += 1
        return RepeatingExecution(self)

    def errors(self) -> tuple[str, ...]:
        return ("IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (an illegal memory access was encountered)",)
