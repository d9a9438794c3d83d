"""A module in the place of `tensorrt`, for the logic around it: what is asked of it, what is made of its answers.

It has no name that TensorRT 10 or 11 lacks (test_tensorrt_api.py holds that), and it proves nothing about TensorRT. Its engines
are JSON, and run on a MemoryDevice.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from edgesr.manifest import Profile
from tests.runtimes.trt.memory_device import MemoryDevice, RepeatingEngine, RepeatingExecution


class Enum:
    def __init__(self, name: str, value: int) -> None:
        self.name, self.value = name, value

    def __int__(self) -> int:
        return self.value


class Behaviour:
    """What the module is to do wrong, and what was asked of it. steps: of a build, of which each takes `pause` seconds."""

    def __init__(self) -> None:
        self.device = MemoryDevice()
        self.version = "10.13.3.9"
        self.starts = True
        self.parses = True
        self.builds = True
        self.loads = True
        self.says: list[str] = []
        self.steps, self.pause = 3, 0.0
        self.open_shape = True
        self.known_caches = {b"", b"times"}
        self.flags: set[str] = {"TF32"}
        self.asked: list[str] = []
        self.built = self.stepped = 0
        self.began = threading.Event()


class ILogger:
    class Severity(Enum):
        pass

    INTERNAL_ERROR = Severity("INTERNAL_ERROR", 0)
    ERROR = Severity("ERROR", 1)
    WARNING = Severity("WARNING", 2)
    INFO = Severity("INFO", 3)

    def log(self, severity: "ILogger.Severity", msg: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError


class Tensor:
    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)


class NetworkDefinition:
    def __init__(self, behaviour: Behaviour, profile: Profile) -> None:
        _, height, width = profile.maximum
        self._input = Tensor((1, 3, -1, -1) if behaviour.open_shape else (1, 3, height, width))

    def get_input(self, index: int) -> Tensor:
        assert index == 0
        return self._input


class ParserError:
    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text

    def node_name(self) -> str:
        return "/body/Loop_3"

    def node_operator(self) -> str:
        return "Loop"


class OptimizationProfile:
    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def set_shape(self, input: str, min: tuple[int, ...], opt: tuple[int, ...], max: tuple[int, ...]) -> None:
        assert input == "input"
        self.shapes = [min, opt, max]


class TimingCache:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytes:
        return self.data + b"times"


class BuilderConfig:
    def __init__(self, behaviour: Behaviour, log: Callable[[str], None]) -> None:
        self._behaviour, self._log = behaviour, log
        self._cache: TimingCache | None = None
        self.progress_monitor: Any = None
        self.profiles: list[OptimizationProfile] = []

    def set_memory_pool_limit(self, pool: Enum, pool_size: int) -> None:
        self._behaviour.asked.append(f"{pool.name} {pool_size}")

    def clear_flag(self, flag: Enum) -> None:
        self._behaviour.flags.discard(flag.name)

    def set_preview_feature(self, feature: Enum, enable: bool) -> None:
        self._behaviour.asked.append(f"{feature.name} {enable}")

    def add_optimization_profile(self, profile: OptimizationProfile) -> int:
        self.profiles.append(profile)
        return 0

    def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache | None:
        if serialized_timing_cache not in self._behaviour.known_caches:
            self._log("ITimingCache: Error Code 1: Serialization (the magic number does not match)")
            return None
        return TimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self._cache = cache
        return True

    def get_timing_cache(self) -> TimingCache:
        assert self._cache is not None
        return self._cache


class CudaEngine:
    def __init__(self, behaviour: Behaviour, data: dict[str, Any]) -> None:
        self._behaviour, self._data = behaviour, data
        low, best, high = ((n, height, width) for n, _, height, width in data["shapes"])
        self._profile = Profile(minimum=low, optimum=best, maximum=high)
        self.device_memory_size_v2 = 100 * high[1] * high[2]
        self.num_io_tensors = 2

    def create_execution_context(self, strategy: Enum) -> RepeatingExecution | None:
        assert strategy.name == "USER_MANAGED"
        return RepeatingEngine(self._behaviour.device, self._profile).execution()

    def get_tensor_name(self, index: int) -> str:
        return str(self._data["names"][index])

    def get_tensor_mode(self, name: str) -> Enum:
        return TENSOR_MODES[name == self.get_tensor_name(0)]

    def get_tensor_dtype(self, name: str) -> Enum:
        return Enum("FLOAT", 0)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (1, 3, -1, -1)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        assert (name, profile_index) == ("input", 0)
        return [tuple(shape) for shape in self._data["shapes"]]


TENSOR_MODES = {True: Enum("INPUT", 1), False: Enum("OUTPUT", 2)}


def members(name: str, *names: str) -> type:
    return type(name, (), {each: Enum(each, value) for value, each in enumerate(names)})


def plan(shapes: Sequence[Sequence[int]], *, names: Sequence[str] = ("input", "output")) -> bytes:
    """The bytes of an engine."""
    return json.dumps({"shapes": [list(shape) for shape in shapes], "names": list(names)}).encode()


class Builder:
    behaviour: Behaviour
    own: Profile

    def __init__(self, logger: ILogger) -> None:
        self._logger = logger
        if not self.behaviour.starts:
            for text in self.behaviour.says:
                self._log(text)
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def _log(self, text: str) -> None:
        self._logger.log(ILogger.ERROR, text)

    def create_network(self, flags: int = 0) -> NetworkDefinition:
        self.behaviour.asked.append(f"network flags {flags}")
        return NetworkDefinition(self.behaviour, self.own)

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig(self.behaviour, self._log)

    def create_optimization_profile(self) -> OptimizationProfile:
        return OptimizationProfile()

    def build_serialized_network(self, network: NetworkDefinition, config: BuilderConfig) -> bytes | None:
        self.behaviour.built += 1
        monitor = config.progress_monitor
        monitor.phase_start("Building Engine", None, self.behaviour.steps)
        for step in range(self.behaviour.steps):
            self.behaviour.began.set()
            time.sleep(self.behaviour.pause)
            self.behaviour.stepped += 1
            if not monitor.step_complete("Building Engine", step):
                self._log("IBuilder::buildSerializedNetwork: Error Code 1: cancelled by the progress monitor")
                return None
        monitor.phase_finish("Building Engine")
        for text in self.behaviour.says:
            self._log(text)
        shapes = config.profiles[0].shapes if config.profiles else [(1, 3, *self.own.maximum[1:])] * 3
        return plan(shapes) if self.behaviour.builds else None


class OnnxParser:
    behaviour: Behaviour

    def __init__(self, network: NetworkDefinition, logger: ILogger) -> None:
        self.num_errors = 0 if self.behaviour.parses else 1

    def parse_from_file(self, model: str) -> bool:
        assert model.endswith("toy-x2.onnx")
        return self.behaviour.parses

    def get_error(self, index: int) -> ParserError:
        return ParserError("a Loop whose trip count is not known")


class Runtime:
    behaviour: Behaviour

    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> CudaEngine | None:
        if not self.behaviour.loads:
            for text in self.behaviour.says:
                self._logger.log(ILogger.ERROR, text)
            return None
        return CudaEngine(self.behaviour, json.loads(bytes(serialized_engine)))


def module(behaviour: Behaviour, own: Profile) -> ModuleType:
    """The module. own: the shapes of a network whose input leaves none open."""
    made = ModuleType("tensorrt")
    made.__spec__ = ModuleSpec("tensorrt", None)
    for one in (Builder, OnnxParser, Runtime):
        setattr(made, one.__name__, type(one.__name__, (one,), {"behaviour": behaviour, "own": own}))
    made.__dict__.update(
        __version__=behaviour.version,
        ILogger=ILogger,
        IProgressMonitor=IProgressMonitor,
        NetworkDefinitionCreationFlag=members("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH", "STRONGLY_TYPED"),
        MemoryPoolType=members("MemoryPoolType", "WORKSPACE"),
        BuilderFlag=members("BuilderFlag", "TF32"),
        PreviewFeature=members("PreviewFeature", "RUNTIME_ACTIVATION_RESIZE_10_10"),
        ExecutionContextAllocationStrategy=members("ExecutionContextAllocationStrategy", "STATIC", "USER_MANAGED"),
        TensorIOMode=type("TensorIOMode", (), {"INPUT": TENSOR_MODES[True], "OUTPUT": TENSOR_MODES[False]}),
    )
    return made
