"""In place of TensorRT: engines that repeat pixels. It shows how the kit's runner uses the calls, not that they work.

An engine's file is JSON, as in {"low": [24, 32], "high": [24, 32], "scale": 2}. More may be there: `names`, `dtype`; `fails`, the
message with which every run does; `refuses`, the one with which it is not loaded. STANDIN_DRIVER=old keeps it from starting.
"""

import enum
import json
import os
from typing import Any

import numpy as np
from pycuda.driver import allocated

__version__ = "10.3.0"
float32, float16 = "float32", "float16"


class ILogger:
    class Severity(enum.Enum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        if os.environ.get("STANDIN_DRIVER") == "old":
            logger.log(ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> "ICudaEngine | None":
        self.logger.log(ILogger.Severity.WARNING, "this is worth no line")
        said = json.loads(serialized_engine)
        if "refuses" in said:
            self.logger.log(ILogger.Severity.ERROR, said["refuses"])
            return None
        return ICudaEngine(said, self.logger)


class ICudaEngine:
    def __init__(self, said: dict[str, Any], logger: ILogger) -> None:
        self.said, self.logger = said, logger
        self.names = said.get("names", ["input", "output"])
        self.num_io_tensors = len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return str(self.names[index])

    def get_tensor_dtype(self, name: str) -> str:
        return str(self.said.get("dtype", float32))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert name in self.names
        low, high = self.said["low"], self.said["high"]
        return (1, 3, *low) if low == high else (1, 3, -1, -1)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        assert (name, profile_index) == ("input", 0)
        low, high = self.said["low"], self.said["high"]
        return [(1, 3, *low), (1, 3, *high), (1, 3, *high)]

    def create_execution_context(self) -> "IExecutionContext":
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self.engine = engine
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "input"
        self.shape = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        scale = self.engine.said["scale"]
        return (*self.shape[:2], scale * self.shape[2], scale * self.shape[3])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle == 77
        if "fails" in self.engine.said:
            self.engine.logger.log(ILogger.Severity.ERROR, self.engine.said["fails"])
            return False
        scale = self.engine.said["scale"]
        image = allocated[self.addresses["input"]].view(np.float32).reshape(self.shape)
        large = image.repeat(scale, axis=2).repeat(scale, axis=3)
        allocated[self.addresses["output"]][:] = np.ascontiguousarray(large).reshape(-1).view(np.uint8)
        return True
