"""What changes by itself: load, clocks, heat, and who else was at work."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesr.bench.machine import busy, contention, machine_state, throttling

Plant = Callable[..., Path]
CPU = "sys/devices/system/cpu"


def stat(*cores: tuple[int, ...]) -> dict[str, str]:
    """/proc/stat with cores of (user, nice, system, idle, iowait, irq, softirq, steal) ticks."""
    lines = [f"cpu{number} {' '.join(map(str, (*core, 0, 0)))}" for number, core in enumerate(cores)]
    total = " ".join(str(sum(column)) for column in zip(*cores, strict=True))
    return {"proc/stat": "\n".join([f"cpu  {total} 0 0", *lines, "intr 1 2 3"])}


def test_contention_is_what_others_and_the_hypervisor_took(plant: Plant) -> None:
    status = "Cpus_allowed_list:\t0-1"
    before = busy(
        root=plant(stat((100, 0, 10, 500, 5, 0, 1, 7), (100, 0, 10, 500, 5, 0, 1, 7), (9, 0, 0, 9, 0, 0, 0, 0)), status=status)
    )
    after = busy(
        root=plant(
            stat((250, 20, 15, 600, 9, 1, 2, 37), (250, 0, 10, 500, 5, 0, 1, 7), (999, 0, 0, 9, 0, 0, 0, 0)), status=status
        )
    )
    assert before is not None
    assert after is not None
    assert after.processors == 2, "the third core is not ours, and its work does not count"
    # 1.77 s and 1.5 s of work, 0.3 s of steal, 3 s of ours
    assert contention(before, after, 3.0) == pytest.approx(0.27 + 0.3)


def test_contention_without_proc(tmp_path: Path) -> None:
    assert busy(root=tmp_path) is None


def test_a_program_of_our_own_is_no_contention() -> None:
    before = busy()
    if before is None:
        pytest.skip("this system does not count")
    start = time.process_time()
    while time.process_time() - start < 0.2:
        pass
    after = busy()
    assert after is not None
    assert after.busy - before.busy > 0.15


def test_state(plant: Plant) -> None:
    root = plant(
        {
            "proc/loadavg": "0.50 1.25 2.00 1/200 999",
            "proc/meminfo": "MemAvailable: 2097152 kB\nSwapTotal: 1048576 kB\nSwapFree: 524288 kB",
            f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "3799999",
            f"{CPU}/cpu2/cpufreq/scaling_cur_freq": "1200000",
            f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "3",
            f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4",
            f"{CPU}/cpu0/thermal_throttle/package_throttle_count": "9",
            f"{CPU}/cpu1/thermal_throttle/package_throttle_count": "9",
            "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp",
            "sys/class/thermal/thermal_zone0/temp": "54000",
            "sys/class/thermal/thermal_zone1/type": "acpitz",
            "sys/class/thermal/thermal_zone1/temp": "30500",
            "sys/class/thermal/thermal_zone2/type": "acpitz",
            "sys/class/thermal/thermal_zone2/temp": "31500",
            "sys/class/hwmon/hwmon3/name": "k10temp",
            "sys/class/hwmon/hwmon3/temp1_input": "61250",
            "sys/class/hwmon/hwmon3/temp1_label": "Tctl",
            "sys/class/devfreq/17000000.ga10b/cur_freq": "306000000",
        }
    )
    assert machine_state(root=root) == {
        "load": [0.5, 1.25, 2.0],
        "clocks_mhz": {"0": 3800.0, "2": 1200.0},
        "clocks_from": "scaling_cur_freq",
        "temperatures_c": {"x86_pkg_temp": 54.0, "acpitz": 30.5, "acpitz #2": 31.5, "k10temp Tctl": 61.2},
        "throttled_by_heat": {"core": 7, "package": 9},
        "memory_available_mb": 2048.0,
        "swap_used_mb": 512.0,
        "board": {"gpu_mhz": 306},
    }


def test_clocks_under_a_hypervisor_are_called_nominal(plant: Plant) -> None:
    info = "processor\t: 0\ncpu MHz\t\t: 2596.126\nflags\t\t: avx2 hypervisor"
    state = machine_state(root=plant({"proc/cpuinfo": info}))
    assert state["clocks_mhz"] == {"0": 2596.1}
    assert "nominal" in state["clocks_from"]


def test_state_of_an_empty_machine(tmp_path: Path) -> None:
    state = machine_state(root=tmp_path)
    assert "clocks_mhz" not in state
    assert state["clocks_from"].startswith("unknown")


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ({}, {}, []),
        ({"throttled_by_heat": {"core": 7}}, {"throttled_by_heat": {"core": 7}}, []),
        ({"throttled_by_heat": {"core": 7}}, {"throttled_by_heat": {"core": 9}}, ["throttling: heat slowed the core 2 times"]),
        ({}, {"throttled_by_heat": {"core": 9}}, []),
        (
            {"throttled_by_quota_s": 1.0},
            {"throttled_by_quota_s": 3.5},
            ["throttling: the control group's quota held its processes for 2.5 s"],
        ),
        ({}, {"gpu": {"slowed_by": ["its power cap"]}}, ["throttling: the GPU is slowed by its power cap"]),
    ],
)
def test_throttling(before: dict[str, Any], after: dict[str, Any], reasons: list[str]) -> None:
    assert list(throttling(before, after)) == reasons


def test_quota_that_held_us(plant: Plant) -> None:
    mount = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    files = {"proc/self/cgroup": "0::/box", "proc/self/mountinfo": mount}
    root = plant({**files, "sys/fs/cgroup/box/cpu.stat": "usage_usec 5\nthrottled_usec 2500000"})
    assert machine_state(root=root)["throttled_by_quota_s"] == 2.5
