"""What pycuda raises becomes one error of ours, whichever call it is; with a module planted in its place."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgesr.errors import DeviceError
from edgesr.runtimes._trt import cuda, driver
from edgesr.runtimes._trt.cuda import CudaDevice
from edgesr.runtimes._trt.device import DeviceMemoryError
from tests.runtimes.trt.planted_cuda import PlantedCuda


class PlantedError(Exception):
    pass


class PlantedMemoryError(PlantedError):
    pass


class Thing:
    """A stream, event or allocation, in a module of which the call `refused` fails."""

    handle = 7

    def __init__(self, module: "Pycuda") -> None:
        self._module = module

    def __int__(self) -> int:
        return 256

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: self._module.call(name)


class Pycuda(ModuleType):
    Error, MemoryError = PlantedError, PlantedMemoryError

    def __init__(self) -> None:
        super().__init__("pycuda.driver")
        self.refused = ""

    def call(self, name: str) -> Any:
        if name == self.refused:
            raise (PlantedMemoryError if "alloc" in name else PlantedError)(f"{name} failed: planted")
        return {"mem_get_info": (1 << 20, 1 << 30), "time_since": 2.5}.get(name, Thing(self))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_: self.call(name)


def use(device: CudaDevice) -> float:
    """Everything that a session does with it, besides graphs."""
    memory, pinned = device.allocate(256), np.zeros(256, np.uint8)
    device.pinned(256)
    begin, end = device.event(), device.event()
    begin.record()
    device.upload(pinned, memory)
    device.download(memory, pinned)
    end.record()
    device.synchronize()
    device.free_bytes()
    memory.free()
    return end.milliseconds_since(begin)


CALLS = (
    "Stream mem_alloc pagelocked_empty Event record memcpy_htod_async memcpy_dtoh_async synchronize mem_get_info free time_since"
)


@pytest.mark.parametrize("refused", CALLS.split())
def test_whatever_it_refuses_is_our_error(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    planted = Pycuda()
    monkeypatch.setitem(sys.modules, "pycuda.driver", planted)
    monkeypatch.setattr(driver, "_load", PlantedCuda)
    monkeypatch.setattr(cuda, "_primary_context", lambda: None)
    assert use(CudaDevice()) == 2.5
    planted.refused = refused
    with pytest.raises(DeviceError) as caught:
        use(CudaDevice())
    if refused == "mem_alloc":
        assert isinstance(caught.value, DeviceMemoryError)
        assert "0 MB more were asked for and 1 MB are free" in caught.value.message
    else:
        assert caught.value.message == f"the GPU failed: {refused} failed: planted"
    assert "nvidia-smi" in caught.value.hint or refused == "mem_alloc"
