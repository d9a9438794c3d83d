"""Energy by planted meters."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesr.bench.nvml import Gpu
from edgesr.bench.power import Meter, energy_of, meters, why_no_meters

Plant = Callable[..., Path]
RAPL = "sys/class/powercap"
RAIL = "sys/class/hwmon/hwmon4"


def zone(name: str, folder: str, joules: float) -> dict[str, str]:
    readings = {"name": name, "energy_uj": str(int(joules * 1e6)), "max_energy_range_uj": "262143328850"}
    return {f"{RAPL}/{folder}/{file}": words for file, words in readings.items()}


def named(root: Path) -> dict[str, float | None]:
    return {meter.name: meter.read() for meter in meters("cpu", root=root)}


def test_rapl(plant: Plant) -> None:
    root = plant(
        {
            **zone("package-0", "intel-rapl:0", 12.5),
            **zone("core", "intel-rapl:0/intel-rapl:0:0", 7),
            **zone("dram", "intel-rapl:0/intel-rapl:0:1", 3),
            **zone("psys", "intel-rapl:1", 40),
            **zone("package-0", "intel-rapl-mmio:0", 99),
        }
    )
    assert named(root) == {"package energy (RAPL)": 12.5, "memory energy (RAPL)": 3.0, "platform energy (RAPL)": 40.0}


def test_rails_of_a_jetson(plant: Plant) -> None:
    rails = {"in1_label": "VDD_GPU_SOC", "in1_input": "19000", "curr1_input": "500", "in2_label": "NC", "in2_input": "0"}
    root = plant({f"{RAIL}/name": "ina3221", **{f"{RAIL}/{name}": words for name, words in rails.items()}})
    (meter,) = meters("cpu", root=root)
    assert (meter.name, meter.power, meter.read()) == ("VDD_GPU_SOC (INA3221)", True, 9.5)


def test_a_machine_without_meters(tmp_path: Path) -> None:
    def never() -> None:
        raise AssertionError("there is nothing to measure")

    assert energy_of(never, 1.0, device="cpu", root=tmp_path) == {}
    assert why_no_meters(tmp_path) == "no RAPL, no INA3221"


def test_counters_that_we_may_not_read_are_no_meters(plant: Plant) -> None:
    root = plant({f"{RAPL}/intel-rapl:0/name": "package-0", f"{RAPL}/intel-rapl:0/energy_uj": "not for you"})
    assert named(root) == {}
    assert "root only" in why_no_meters(root)


def test_energy_of_each_run_with_a_counter_that_wraps() -> None:
    readings = iter([8.0, 9.5])
    wrapping = Meter(name="package", read=lambda: next(readings, 1.0), wraps=10.0)
    runs: list[int] = []
    found = energy_of(lambda: runs.append(1), 0.0, using=[wrapping])
    assert len(runs) == 2, "one to warm up"
    assert found == {"package": pytest.approx(1.5)}
    readings = iter([8.0])
    assert energy_of(lambda: None, 0.0, using=[wrapping]) == {"package": pytest.approx(3.0)}


def test_meters_of_one_name_are_added_up() -> None:
    def package(joules: float) -> Meter:
        readings = itertools.count(0.0, joules)
        return Meter(name="package", read=lambda: next(readings))

    assert energy_of(lambda: None, 0.0, using=[package(2.0), package(3.0)]) == {"package": 5.0}


def test_power_is_integrated_over_time() -> None:
    meter = Meter(name="rail", read=lambda: 20.0, power=True)
    start = time.perf_counter()
    found = energy_of(lambda: time.sleep(0.02), 0.2, using=[meter])
    assert 20 * 0.02 <= found["rail"] <= 20 * (time.perf_counter() - start)


def test_a_meter_that_fails_meanwhile_says_nothing() -> None:
    readings = iter([1.0])
    failing = Meter(name="rail", read=lambda: next(readings, None))
    assert energy_of(lambda: None, 0.0, using=[failing, Meter(name="good", read=lambda: 1.0)]) == {"good": 0.0}


def test_an_error_in_the_run_comes_through() -> None:
    def broken() -> None:
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        energy_of(broken, 0.1, using=[Meter(name="rail", read=lambda: 1.0)])


class FakeNvml:
    """A driver that knows one GPU; what it lacks raises AttributeError, as ctypes does."""

    def __init__(self, **numbers: int) -> None:
        self.numbers = numbers

    def nvmlInit_v2(self) -> int:  # noqa: N802  # NVML's own names
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: object) -> int:  # noqa: N802  # NVML's own names
        return 0 if index == 0 else 2

    def nvmlDeviceGetName(self, handle: object, buffer: object, length: object) -> int:  # noqa: N802  # NVML's own names
        buffer.value = b"NVIDIA Planted"  # type: ignore[attr-defined]  # a ctypes buffer
        return 0

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name not in self.numbers:
            raise AttributeError(name)

        def fill(*arguments: object) -> int:
            arguments[-1]._obj.value = self.numbers[name]  # type: ignore[attr-defined]  # what ctypes.byref refers to
            return 0

        return fill


def test_a_gpu_through_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu = Gpu(
        FakeNvml(
            nvmlSystemGetCudaDriverVersion_v2=12080,
            nvmlDeviceGetEnforcedPowerLimit=700000,
            nvmlDeviceGetClockInfo=1980,
            nvmlDeviceGetTemperature=41,
            nvmlDeviceGetPowerUsage=123456,
            nvmlDeviceGetCurrentClocksThrottleReasons=0x1 | 0x4 | 0x40,
            nvmlDeviceGetTotalEnergyConsumption=2500,
        )
    )
    record, state = gpu.record(), gpu.state()
    assert (record["name"], record["cuda_of_driver"], record["power_limit_w"]) == ("NVIDIA Planted", "12.8", 700)
    assert record["compute_capability"] is None, "this driver does not tell"
    assert (state["clock_mhz"], state["temperature_c"], state["power_w"]) == (1980, 41, 123.5)
    assert state["slowed_by"] == ["its power cap", "heat (by the hardware)"]
    assert gpu.energy_joules() == 2.5


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(OSError, match="error 2"):
        Gpu(FakeNvml())
