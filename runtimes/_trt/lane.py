"""Running one engine: buffers, contexts and CUDA graphs, kept so that nothing is allocated for a shape that ran before."""

from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ArtifactError, DeviceError
from edgesr.manifest import Manifest
from edgesr.runtimes._trt.device import Device, DeviceMemoryError, Engine, Execution, Graph, Memory
from edgesr.runtimes._trt.memory import in_proportion, largest_that_fits, too_large
from edgesr.runtimes._trt.messages import failure
from edgesr.tensors import FloatArray, Size, SizeRule

_KEPT = 8
"""Shapes whose contexts and graphs are kept: a picture in tiles has four at most."""
_ALIGNMENT = 256
_USES = ("input", "output", "scratch")
_AGAIN = "Build it again: edgesr build DIR --again"
Shape = tuple[int, ...]


@dataclass(kw_only=True)
class Prepared:
    """A shape that is ready to run. given, made: its input and output in pinned memory. graph: from the second run on."""

    execution: Execution
    given: NDArray[Any]
    made: NDArray[Any]
    runs: int = 0
    graph: Graph | None = None


class Lane:
    """One engine on one stream, with one input, one output and one scratch buffer, as large as the largest shape so far needs.

    A shape has a context of its own, because a captured graph holds its context's state. When a buffer must grow, all contexts
    and graphs go, for they know the old addresses; a shape that ran and is no larger than others costs no allocation again.
    limits: the sizes that the engine takes. graph_trouble: why graphs are not used; "" while they are.
    """

    def __init__(self, engine: Engine, device: Device, manifest: Manifest, limits: SizeRule) -> None:
        self._engine, self._device, self._manifest, self._limits = engine, device, manifest, limits
        self._dtypes = (np.dtype(manifest.input.dtype), np.dtype(manifest.output.dtype))
        self._memory: dict[str, Memory] = {}
        self._pinned: dict[str, NDArray[np.uint8]] = {}
        self._prepared: OrderedDict[Shape, Prepared] = OrderedDict()
        self._begin, self._end = device.event(), device.event()
        self.graph_trouble = ""

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) -> (N,3,sH,sW), in memory of its own; raises DeviceError, DeviceMemoryError."""
        prepared = self.put(image)
        self.enqueue(prepared)
        return self.fetch(prepared)

    def put(self, image: FloatArray) -> Prepared:
        """Let the image's copy to the device be the next thing on the stream."""
        prepared = self._prepared.get(image.shape) or self._prepare(image.shape)
        self._prepared.move_to_end(image.shape)
        np.copyto(prepared.given, image)
        self._device.upload(prepared.given, self._memory["input"])
        return prepared

    def enqueue(self, prepared: Prepared) -> None:
        """Put the network on the stream, between the two events: as it is the first time, then as a graph."""
        if prepared.runs == 1 and not self.graph_trouble:
            # Not earlier: TensorRT finishes its own preparations for a shape in the first run, and they cannot be captured.
            self._device.synchronize()
            try:
                prepared.graph = self._device.capture(lambda: self._execute(prepared))
            except DeviceError as error:
                self.graph_trouble = error.message
        prepared.runs += 1
        self._begin.record()
        if prepared.graph:
            prepared.graph.launch()
        else:
            self._execute(prepared)
        self._end.record()

    def fetch(self, prepared: Prepared) -> FloatArray:
        """The output of what ran last, once it is done, as float32 in memory of its own."""
        self._device.download(self._memory["output"], prepared.made)
        self._device.synchronize()
        return np.array(prepared.made, dtype=np.float32)

    def synchronize(self) -> None:
        """Wait until the stream is empty."""
        self._device.synchronize()

    @property
    def captured(self) -> bool:
        """Whether a shape runs as a graph."""
        return any(each.graph for each in self._prepared.values())

    @property
    def milliseconds(self) -> float:
        """What the last run of the network took on the device, by its events; without the copies."""
        return self._end.milliseconds_since(self._begin)

    @property
    def device_bytes(self) -> dict[str, int]:
        """What the lane holds of the device's memory, by use."""
        return {use: memory.size for use, memory in self._memory.items()}

    def _execute(self, prepared: Prepared) -> None:
        if not prepared.execution.execute_async_v3(self._device.stream):
            raise failure("the engine failed", self._engine.errors(), hint=_AGAIN)

    def _prepare(self, shape: Shape) -> Prepared:
        execution = self._engine.execution()
        output = self._shape_of_output(execution, shape)
        needs = self._needs(execution, shape, output)
        try:
            self._grow(needs)
        except DeviceMemoryError as error:
            raise self._too_large(execution, shape, sum(needs.values()), error) from error
        inputs, outputs = self._manifest.input.name, self._manifest.output.name
        execution.set_device_memory(self._memory["scratch"].address, self._memory["scratch"].size)
        for name, use in ((inputs, "input"), (outputs, "output")):
            if not execution.set_tensor_address(name, self._memory[use].address):
                raise failure(f"the engine does not take {name}", self._engine.errors(), hint=_AGAIN)
        prepared = Prepared(
            execution=execution,
            given=_view(self._pinned["input"], self._dtypes[0], shape),
            made=_view(self._pinned["output"], self._dtypes[1], output),
        )
        self._prepared[shape] = prepared
        while len(self._prepared) > _KEPT:
            self._prepared.popitem(last=False)
        return prepared

    def _shape_of_output(self, execution: Execution, shape: Shape) -> Shape:
        """Tell the context the input's shape; the output's, which must be the scaled one."""
        if not execution.set_input_shape(self._manifest.input.name, shape):
            raise failure(f"the engine does not take {shape}", self._engine.errors(), hint=_AGAIN)
        scale, (number, _, height, width) = self._manifest.scale, shape
        output = tuple(execution.get_tensor_shape(self._manifest.output.name))
        if output != (number, 3, scale * height, scale * width):
            raise ArtifactError(f"the engine gives {output} for {shape}", hint=_AGAIN)
        return output

    def _needs(self, execution: Execution, shape: Shape, output: Shape) -> dict[str, int]:
        """Bytes by use; never none, for an address is needed."""
        scratch = execution.update_device_memory_size_for_shapes()
        sizes = (prod(shape) * self._dtypes[0].itemsize, prod(output) * self._dtypes[1].itemsize, scratch)
        return {use: -(-max(size, 1) // _ALIGNMENT) * _ALIGNMENT for use, size in zip(_USES, sizes, strict=True)}

    def _grow(self, needs: dict[str, int]) -> None:
        """Buffers of at least these bytes. What is too small goes first, so that old and new are never there together."""
        small = [use for use, size in needs.items() if use not in self._memory or self._memory[use].size < size]
        if small:
            self._device.synchronize()
            self._prepared.clear()
        for use in small:
            if use in self._memory:
                self._memory.pop(use).free()
            self._pinned.pop(use, None)
        for use in small:
            if use != "scratch":
                self._pinned[use] = self._device.pinned(needs[use])
            self._memory[use] = self._device.allocate(needs[use])

    def _too_large(self, execution: Execution, shape: Shape, needed: int, cause: DeviceMemoryError) -> DeviceMemoryError:
        """What to say when a shape's memory is not there: TensorRT itself tells what smaller ones would need."""
        number, _, height, width = shape
        size, free = Size(height=height, width=width), self._device.free_bytes() + sum(self.device_bytes.values())

        def needs_of(other: Size) -> int:
            smaller = (number, 3, other.height, other.width)
            return sum(self._needs(execution, smaller, self._shape_of_output(execution, smaller)).values())

        fitting = None if self._limits.fixed else largest_that_fits(self._limits, needs_of, free)
        build = fitting is None  # of one size, or an engine whose contexts ask for the memory of its largest size at every size
        fitting = fitting or in_proportion(size, needed, free)
        return too_large(size, fitting, self._manifest, cause, build=build)


def _view(memory: NDArray[np.uint8], dtype: "np.dtype[Any]", shape: Shape) -> NDArray[Any]:
    """The beginning of the memory as an array."""
    return memory[: prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
