"""Engines from bytes to something that runs; the only place that deserialises one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesr.errors import ArtifactError, DeviceError
from edgesr.manifest import Manifest, Profile
from edgesr.runtimes._trt.driver import Driver
from edgesr.runtimes._trt.engines import Here
from edgesr.runtimes._trt.messages import OUT_OF_MEMORY, Messages, failure, listener
from edgesr.runtimes._trt.versions import tensorrt_version

if TYPE_CHECKING:
    import tensorrt as trt

_DTYPES = {"float32": "FLOAT", "float16": "HALF"}


def here() -> Here:
    """What this machine has; raises BackendMissingError."""
    gpu = Driver().first_gpu()
    return Here(tensorrt=tensorrt_version().text, gpu=gpu.name, compute_capability=gpu.compute_capability, driver=gpu.cuda)


@dataclass(frozen=True, kw_only=True)
class LoadedEngine:
    """An engine in the device's memory. runtime: which made it and must live as long."""

    engine: "trt.ICudaEngine"
    runtime: "trt.Runtime"
    messages: Messages

    def execution(self) -> "trt.IExecutionContext":
        """A new context without scratch memory, which the session gives it."""
        import tensorrt as trt

        self.messages.forget()
        context: trt.IExecutionContext | None = self.engine.create_execution_context(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if context is None:
            raise failure("the engine cannot be run", self.messages.errors, hint="Build it again: edgesr build DIR --again")
        return context

    def errors(self) -> tuple[str, ...]:
        """What TensorRT has said of errors since the last call."""
        said = self.messages.errors
        self.messages.forget()
        return said

    @property
    def scratch_bytes(self) -> int:
        """What the largest shape needs besides weights, input and output."""
        return int(self.engine.device_memory_size_v2)

    def profile(self, name: str) -> Profile:
        """The shapes (N,H,W) of the input `name` that it takes."""
        fixed = tuple(self.engine.get_tensor_shape(name))
        open_shapes = self.engine.get_tensor_profile_shape(name, 0) if -1 in fixed else ()
        shapes = [tuple(shape) for shape in open_shapes] or [fixed] * 3
        low, best, high = ((int(n), int(height), int(width)) for n, _, height, width in shapes)
        return Profile(minimum=low, optimum=best, maximum=high)

    def check(self, manifest: Manifest, name: str) -> None:
        """Raise ArtifactError when it has not the artifact's one input and one output."""
        import tensorrt as trt

        engine = self.engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        seen = {
            each: (engine.get_tensor_mode(each) == trt.TensorIOMode.INPUT, engine.get_tensor_dtype(each).name) for each in names
        }
        wanted = {
            manifest.input.name: (True, _DTYPES.get(manifest.input.dtype)),
            manifest.output.name: (False, _DTYPES.get(manifest.output.dtype)),
        }
        if seen != wanted:
            raise ArtifactError(f"{name} has other inputs and outputs than this artifact: {seen}", hint="It is not its engine.")


def load(plan: bytes, name: str) -> LoadedEngine:
    """Deserialise an engine, which is code that runs here; `name` is for messages. Raises DeviceError or BackendMissingError."""
    import tensorrt as trt

    heard = listener()
    heard.messages.forget()
    try:
        runtime = trt.Runtime(heard.logger)
    except TypeError as error:  # what pybind11 makes of a constructor that returns nothing
        raise failure("TensorRT cannot start", heard.messages.errors, hint="See `edgesr doctor`.") from error
    engine: trt.ICudaEngine | None = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        errors = heard.messages.errors
        if any(OUT_OF_MEMORY.search(text) for text in errors):
            raise DeviceError(
                f"there is not enough device memory to load {name}: {errors[0]}", hint="Close what else uses the GPU: nvidia-smi"
            )
        raise failure(f"{name} cannot be loaded", errors, hint="Build it again: edgesr build DIR --again")
    return LoadedEngine(engine=engine, runtime=runtime, messages=heard.messages)
