"""NVIDIA's management library, which comes with the driver: what the GPU is, how it fares, what it draws.

Called through ctypes, for the driver brings the library and no package brings the bindings.
"""

import ctypes
import os
from collections.abc import Callable
from typing import Any

_LIBRARIES = ("libnvidia-ml.so.1", "nvml.dll")
_TEXT = 96
_SLOWED_BY = {
    0x4: "its power cap",
    0x8: "hardware slowdown",
    0x20: "heat (by the driver)",
    0x40: "heat (by the hardware)",
    0x80: "the power supply's brake",
}
"""Of the bits that the driver gives, those that make a measurement slower than the GPU is."""
_CLOCKS = {"graphics": 0, "memory": 2}


_PROCESSES = 64
_UNKNOWN = 2**64 - 1


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _Process(ctypes.Structure):
    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class Gpu:
    """The first GPU that CUDA may use here. Every reading is None where the driver does not support it.

    library: the functions of NVML. Raises OSError when there is no driver, no GPU or no permission.
    """

    def __init__(self, library: Any = None) -> None:
        self._library = library if library is not None else _load()
        self._check(self._library.nvmlInit_v2())
        self._handle = ctypes.c_void_p()
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
        if visible.startswith(("GPU-", "MIG-")):
            self._check(self._library.nvmlDeviceGetHandleByUUID(visible.encode(), ctypes.byref(self._handle)))
        else:
            index = int(visible) if visible.isdecimal() else 0
            self._check(self._library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(self._handle)))

    def record(self) -> dict[str, Any]:
        """What must agree between two measurements."""
        memory = self._read("nvmlDeviceGetMemoryInfo", _Memory())
        major, minor = ctypes.c_int(), ctypes.c_int()
        capable = self._done("nvmlDeviceGetCudaComputeCapability", self._handle, ctypes.byref(major), ctypes.byref(minor))
        cuda = ctypes.c_int()
        told = self._done("nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(cuda))
        mode, pending = ctypes.c_uint(), ctypes.c_uint()
        partitioned = self._done("nvmlDeviceGetMigMode", self._handle, ctypes.byref(mode), ctypes.byref(pending))
        limit = self._number("nvmlDeviceGetEnforcedPowerLimit")
        return {
            "name": self._string("nvmlDeviceGetName", self._handle),
            "driver": self._string("nvmlSystemGetDriverVersion"),
            "cuda_of_driver": f"{cuda.value // 1000}.{cuda.value % 1000 // 10}" if told else None,
            "compute_capability": f"{major.value}.{minor.value}" if capable else None,
            "memory_gb": round(memory.total / 2**30, 1) if memory else None,
            "power_limit_w": round(limit / 1000) if limit is not None else None,
            "clock_mhz_max": self._number("nvmlDeviceGetMaxClockInfo", _CLOCKS["graphics"]),
            "persistence": self._number("nvmlDeviceGetPersistenceMode"),
            "partitioned": bool(mode.value) if partitioned else None,
        }

    def state(self) -> dict[str, Any]:
        """What changes by itself: MHz, °C, W, percent, MB of 2²⁰ bytes. slowed_by: why it runs below its clocks."""
        memory = self._read("nvmlDeviceGetMemoryInfo", _Memory())
        power = self._number("nvmlDeviceGetPowerUsage")
        bits = self._read("nvmlDeviceGetCurrentClocksThrottleReasons", ctypes.c_ulonglong())
        return {
            "clock_mhz": self._number("nvmlDeviceGetClockInfo", _CLOCKS["graphics"]),
            "memory_clock_mhz": self._number("nvmlDeviceGetClockInfo", _CLOCKS["memory"]),
            "temperature_c": self._number("nvmlDeviceGetTemperature", 0),
            "power_w": round(power / 1000, 1) if power is not None else None,
            "memory_used_mb": round(memory.used / 2**20, 1) if memory else None,
            "slowed_by": [reason for bit, reason in _SLOWED_BY.items() if bits.value & bit] if bits else None,
        }

    def used_mb(self) -> float | None:
        """What all processes hold of the GPU's memory, in MB of 2²⁰ bytes."""
        memory = self._read("nvmlDeviceGetMemoryInfo", _Memory())
        return round(memory.used / 2**20, 1) if memory else None

    def process_mb(self, pid: int) -> float | None:
        """What the process holds; None where the driver does not list it, as in containers with process numbers of their own."""
        count, found = ctypes.c_uint(_PROCESSES), (_Process * _PROCESSES)()
        if not self._done("nvmlDeviceGetComputeRunningProcesses_v3", self._handle, ctypes.byref(count), found):
            return None
        held = [one.used for one in found[: count.value] if one.pid == pid and one.used != _UNKNOWN]
        return round(sum(held) / 2**20, 1) if held else None

    def energy_joules(self) -> float | None:
        """Of the whole board since the driver was loaded."""
        millijoules = self._read("nvmlDeviceGetTotalEnergyConsumption", ctypes.c_ulonglong())
        return millijoules.value / 1000 if millijoules else None

    def power_watts(self) -> float | None:
        """Of the whole board now; an average over up to a second on most."""
        milliwatts = self._number("nvmlDeviceGetPowerUsage")
        return milliwatts / 1000 if milliwatts is not None else None

    def _number(self, name: str, *arguments: int) -> int | None:
        found = self._read(name, ctypes.c_uint(), *arguments)
        return found.value if found else None

    def _read(self, name: str, result: Any, *arguments: int) -> Any:
        """The result that the function has filled, or None."""
        return result if self._done(name, self._handle, *arguments, ctypes.byref(result)) else None

    def _string(self, name: str, *arguments: Any) -> str | None:
        buffer = ctypes.create_string_buffer(_TEXT)
        return buffer.value.decode(errors="replace") if self._done(name, *arguments, buffer, ctypes.c_uint(_TEXT)) else None

    def _done(self, name: str, *arguments: Any) -> bool:
        """Whether the call succeeded; older drivers lack some functions, some GPUs do not support them."""
        function: Callable[..., int] | None = getattr(self._library, name, None)
        return function is not None and function(*arguments) == 0

    def _check(self, code: int) -> None:
        if code:
            raise OSError(f"the NVIDIA driver answers with error {code} of NVML")


def gpu_record() -> tuple[dict[str, Any], dict[str, str]]:
    """What must agree between two measurements; and what could not be read, with the reason."""
    try:
        found = Gpu().record()
    except OSError as error:
        return {}, {"all": str(error)}
    known = {name: value for name, value in found.items() if value is not None}
    return known, {name: "the driver does not tell" for name in found if name not in known}


def gpu_state() -> dict[str, Any]:
    """What changes by itself; empty where there is no driver."""
    try:
        return {name: value for name, value in Gpu().state().items() if value is not None}
    except OSError:
        return {}


def _load() -> Any:
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise OSError(f"no NVIDIA driver: neither {' nor '.join(_LIBRARIES)} can be loaded")
