"""An engine in TensorRT 10 or 11; PyCUDA for the context, memory, the stream and events. Never run by edgesr: see the README."""

import contextlib
from pathlib import Path
from types import TracebackType

import numpy as np
import pycuda.driver as cuda
import tensorrt as trt

from jetson_kit.errors import KitError, MissingError
from jetson_kit.model import Machine, Model, read_engine
from jetson_kit.tiles import FloatArray, Size

FOREIGN = "It was not built from this kit's ONNX file."
OLD = "The driver may be too old for this TensorRT: see nvidia-smi, or tegrastats."
SMALLER = "Run smaller tiles (--tile), build an engine for a smaller size, or close other programs."


class Messages(trt.ILogger):
    """Keeps what TensorRT says went wrong, for one error instead of many lines."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: list[str] = []

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Called by TensorRT, from any of its threads."""
        if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
            self.errors.append(msg)

    def failure(self, what: str, kind: type[KitError] = KitError, hint: str = "") -> KitError:
        """An error that names the first thing that went wrong since the last one."""
        said, self.errors = self.errors, []
        reason = said[0].strip() if said else "TensorRT gave no reason"
        memory = any("memory" in each.lower() for each in said)
        return kind(f"{what}: {reason}", SMALLER if memory else hint)


class Buffers:
    """For pictures of one shape: pinned memory of the host, and memory of the device."""

    def __init__(self, shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.host_input = cuda.pagelocked_empty(shape, np.float32)
        self.host_output = cuda.pagelocked_empty(output_shape, np.float32)
        self.device_input = cuda.mem_alloc(self.host_input.nbytes)
        try:
            self.device_output = cuda.mem_alloc(self.host_output.nbytes)
        except cuda.Error:
            self.device_input.free()
            raise

    def free(self) -> None:
        """Give the device's memory back at once, whoever still refers to it."""
        self.device_input.free()
        self.device_output.free()


class Engine:
    """Runs pictures from `minimum` to `maximum`, each (1,3,H,W) -> (1,3,sH,sW). Use it in a `with` statement."""

    def __init__(self, path: Path, model: Model, *, trusted: bool) -> None:
        self.scale = model.scale
        self._model = model
        self._messages = Messages()
        self._buffers: Buffers | None = None
        try:
            cuda.init()
            device = cuda.Device(0)
        except cuda.Error as error:
            raise MissingError(
                f"there is no GPU that CUDA can use: {error}", "Check the driver: nvidia-smi, or tegrastats."
            ) from error
        major, minor = device.compute_capability()
        machine = Machine(tensorrt=trt.__version__, gpu=device.name(), capability=f"{major}.{minor}")
        data = read_engine(path, model, machine, trusted=trusted)
        try:
            self._cuda = device.retain_primary_context()
            self._cuda.push()
        except cuda.Error as error:
            raise KitError(f"CUDA cannot start on {device.name()}: {error}", SMALLER) from error
        try:
            self._load(path, data)
        except cuda.Error as error:
            self.close()
            raise KitError(f"CUDA failed while {path} was loaded: {error}", SMALLER) from error
        except BaseException:
            self.close()
            raise

    def _load(self, path: Path, data: bytes) -> None:
        try:
            self._runtime = trt.Runtime(self._messages)
        except TypeError as error:  # what the bindings make of a constructor that returns nothing
            raise self._messages.failure("TensorRT cannot start", MissingError, OLD) from error
        engine: trt.ICudaEngine | None = self._runtime.deserialize_cuda_engine(data)
        if engine is None:
            raise self._messages.failure(f"{path} is no engine for TensorRT {trt.__version__} and this GPU")
        self._engine = engine
        self._check_tensors(path)
        context: trt.IExecutionContext | None = engine.create_execution_context()
        if context is None:
            raise self._messages.failure(f"{path} cannot be run")
        self._context = context
        self._stream = cuda.Stream()
        self._begin, self._end = cuda.Event(), cuda.Event()

    def _check_tensors(self, path: Path) -> None:
        """The tensors are the network's, and what sizes they take; of several profiles the first is used."""
        engine, model = self._engine, self._model
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        if sorted(names) != sorted((model.input, model.output)):
            raise KitError(f"{path} has the tensors {', '.join(names)}", FOREIGN)
        if any(engine.get_tensor_dtype(name) != trt.float32 for name in names):
            raise KitError(f"{path} does not take and give float32", FOREIGN)
        shape = tuple(engine.get_tensor_shape(model.input))
        low, _, high = engine.get_tensor_profile_shape(model.input, 0) if -1 in shape else (shape, shape, shape)
        self.minimum, self.maximum = Size(*tuple(low)[2:]), Size(*tuple(high)[2:])

    def run(self, image: FloatArray) -> FloatArray:
        """(1,3,H,W) -> (1,3,sH,sW), in memory that the next run uses again; `milliseconds` is what the GPU took."""
        size = Size(*image.shape[2:])
        if not all(low <= side <= high for low, side, high in zip(self.minimum, size, self.maximum, strict=True)):
            takes = f"this engine takes {self.minimum} to {self.maximum} (HxW), not {size}"
            raise KitError(takes, "Ask for another --tile, or build one for this size.")
        try:
            if self._buffers is None or self._buffers.shape != image.shape:
                self._prepare(image.shape)
            buffers = self._buffers
            assert buffers
            np.copyto(buffers.host_input, image)
            cuda.memcpy_htod_async(buffers.device_input, buffers.host_input, self._stream)
            self._begin.record(self._stream)
            if not self._context.execute_async_v3(self._stream.handle):
                raise self._messages.failure(f"the engine failed at {size} (HxW)")
            self._end.record(self._stream)
            cuda.memcpy_dtoh_async(buffers.host_output, buffers.device_output, self._stream)
            self._stream.synchronize()
            self.milliseconds = float(self._end.time_since(self._begin))
        except cuda.MemoryError as error:
            raise KitError(f"the GPU has not enough memory for {size} (HxW)", SMALLER) from error
        except cuda.Error as error:
            raise KitError(f"CUDA failed at {size} (HxW): {error}") from error
        return buffers.host_output

    def _prepare(self, shape: tuple[int, ...]) -> None:
        """Make the engine ready for pictures of this shape; the old buffers go first."""
        model, context = self._model, self._context
        self._free()
        if not context.set_input_shape(model.input, shape):
            raise self._messages.failure(f"the engine refuses {shape}")
        output = tuple(context.get_tensor_shape(model.output))
        if output != (1, 3, self.scale * shape[2], self.scale * shape[3]):
            raise KitError(f"the engine gives {output} for {shape}", FOREIGN)
        self._buffers = Buffers(shape, output)
        for name, memory in ((model.input, self._buffers.device_input), (model.output, self._buffers.device_output)):
            if not context.set_tensor_address(name, int(memory)):
                raise self._messages.failure(f"the engine refuses the memory for {name}")

    def _free(self) -> None:
        buffers, self._buffers = self._buffers, None
        if buffers:
            buffers.free()

    def close(self) -> None:
        """Free everything while CUDA's context is there; once closed it does not run.

        After a run that failed CUDA may refuse this, too: what failed first is what counts.
        """
        with contextlib.suppress(cuda.Error):
            self._free()
        for name in ("_context", "_engine", "_runtime", "_begin", "_end", "_stream"):
            self.__dict__.pop(name, None)
        with contextlib.suppress(cuda.Error):
            self._cuda.pop()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
