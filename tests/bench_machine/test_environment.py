"""What a record says of the machine, read from planted machines."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesr.bench.machine import environment_record

Plant = Callable[..., Path]

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8480+
stepping\t: 8
cpu MHz\t\t: 2000.000
flags\t\t: fpu sse4_2 avx2 avx512f avx512_vnni amx_int8 amx_tile pcid

processor\t: 1
model name\t: Intel(R) Xeon(R) Platinum 8480+
cpu MHz\t\t: 3800.000
flags\t\t: fpu sse4_2 avx2 avx512f avx512_vnni amx_int8 amx_tile pcid
"""
ORIN = """processor\t: 0
BogoMIPS\t: 62.50
Features\t: fp asimd aes asimdhp asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd42
CPU revision\t: 1

processor\t: 1
Features\t: fp asimd aes asimdhp asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd42
"""
CPU = "sys/devices/system/cpu"
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"


def governor(name: str, *, cores: int = 4, highest: int = 3800000) -> dict[str, str]:
    files: dict[str, str] = {}
    for core in range(cores):
        folder = f"{CPU}/cpu{core}/cpufreq"
        limits = {"scaling_max_freq": str(highest), "scaling_min_freq": "800000", "cpuinfo_max_freq": "3800000"}
        files |= {f"{folder}/{file}": words for file, words in {"scaling_governor": name, **limits}.items()}
    return files


def test_a_server(plant: Plant) -> None:
    caches = {f"{CPU}/cpu0/cache/index{i}/{k}": v for i, s in ((0, "48K"), (1, "32K")) for k, v in (("level", "1"), ("size", s))}
    kinds = {f"{CPU}/cpu0/cache/index0/type": "Data", f"{CPU}/cpu0/cache/index1/type": "Instruction"}
    root = plant(
        {
            "proc/cpuinfo": XEON,
            "proc/meminfo": "MemTotal:       65536000 kB\nMemAvailable:   60000000 kB",
            "proc/sys/kernel/osrelease": "6.8.0-45-generic",
            "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
            f"{CPU}/intel_pstate/no_turbo": "0",
            f"{CPU}/smt/active": "0",
            **governor("performance"),
            **caches,
            **kinds,
        }
    )
    found = environment_record("cpu", root=root)
    processor = found["processor"]
    assert processor["model"] == "Intel(R) Xeon(R) Platinum 8480+"
    assert processor["revision"] == "GenuineIntel family 6 model 143 stepping 8"
    assert processor["flags"] == ["amx_int8", "amx_tile", "avx2", "avx512_vnni", "avx512f", "sse4_2"]
    assert (processor["cores_total"], processor["cores_available"], processor["cores"]) == (4, 4, "0-3")
    assert (processor["governor"], processor["turbo"], processor["smt"]) == ("performance", True, False)
    assert (processor["clock_mhz_min"], processor["clock_mhz_max"], processor["clock_mhz_rated"]) == ("800", "3800", "3800")
    assert processor["caches"] == {"L1 Data": "48K", "L1 Instruction": "32K"}
    assert "quota_cores" not in processor
    assert (found["system"]["kernel"], found["system"]["huge_pages"]) == ("6.8.0-45-generic", "madvise")
    assert found["memory"] == {"total_gb": 62.5}
    assert found["packages"]["torch"]
    assert "edgesr" not in found["packages"]
    assert set(found["unknown"]) == {"energy"}
    assert json.loads(json.dumps(found)) == found


def test_what_cannot_be_read_is_left_out_with_the_reason(plant: Plant) -> None:
    found = environment_record("cpu", root=plant({"proc/cpuinfo": XEON}))
    assert "governor" not in found["processor"]
    assert found["unknown"]["processor.governor"] == f"no /{CPU}/cpu0/cpufreq/scaling_governor"
    assert "no_turbo" in found["unknown"]["processor.turbo"]
    assert "board" not in found


def test_cores_that_are_set_differently_are_both_named(plant: Plant) -> None:
    slow = {name: words.replace("performance", "powersave") for name, words in governor("performance", cores=2).items()}
    root = plant({"proc/cpuinfo": XEON, **governor("performance"), **slow})
    assert environment_record("cpu", root=root)["processor"]["governor"] == "powersave, performance"


def test_some_of_the_cores(plant: Plant) -> None:
    cores = {f"{CPU}/cpu{core}/online": "1" for core in range(8)}
    found = environment_record("cpu", root=plant(cores, status="Cpus_allowed_list:\t1-2,6"))["processor"]
    assert (found["cores_total"], found["cores_available"], found["cores"]) == (8, 3, "1-2,6")


def test_a_jetson(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    gpu = "sys/class/devfreq/17000000.ga10b"
    root = plant(
        {
            "proc/cpuinfo": ORIN,
            "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
            "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic",
            "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >",
            "var/lib/nvpmodel/status": "pmode:0002 fmode:quiet",
            f"{gpu}/cur_freq": "306000000",
            f"{gpu}/min_freq": "306000000",
            f"{gpu}/max_freq": "1300500000",
        }
    )
    found = environment_record("cpu", root=root)
    assert found["processor"]["model"] == "Arm implementer/part 0x41/0xd42 x2"
    assert found["processor"]["revision"] == "variant 0x0 revision 1"
    assert found["processor"]["flags"] == ["asimd", "asimddp", "asimdhp"]
    assert found["board"] == {
        "model": "NVIDIA Jetson AGX Orin Developer Kit",
        "jetson_linux": "R36 (release), REVISION: 4.3",
        "power_mode": "number 2",
        "gpu_min_mhz": "306",
        "gpu_max_mhz": "1300",
    }


@pytest.mark.skipif(sys.platform == "win32", reason="plants a shell script")
def test_a_jetson_names_its_power_mode(plant: Plant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "nvpmodel"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\necho 'NV Power Mode: MODE_30W'\necho 2\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    root = plant({"etc/nvpmodel.conf": "", "proc/device-tree/model": "NVIDIA Jetson"})
    assert environment_record("cpu", root=root)["board"]["power_mode"] == "MODE_30W"


def test_quota_of_version_2(plant: Plant) -> None:
    root = plant(
        {
            "proc/self/cgroup": "0::/pod/box",
            "proc/self/mountinfo": V2,
            "proc/meminfo": "MemTotal: 8388608 kB",
            "sys/fs/cgroup/pod/cpu.max": "150000 100000",
            "sys/fs/cgroup/pod/memory.max": "1073741824",
            "sys/fs/cgroup/pod/box/cpu.max": "max 100000",
            "sys/fs/cgroup/pod/box/memory.max": "2147483648",
        }
    )
    found = environment_record("cpu", root=root)
    assert found["processor"]["quota_cores"] == 1.5, "the group above has the stricter limit"
    assert found["memory"] == {"total_gb": 8.0, "limit_gb": 1.0}


def test_quota_in_a_container_that_does_not_see_its_groups_name(plant: Plant) -> None:
    mount = V2.replace(" / /sys", " /docker/4f2a /sys")
    files = {"proc/self/cgroup": "0::/../elsewhere", "proc/self/mountinfo": mount, "sys/fs/cgroup/cpu.max": "50000 100000"}
    assert environment_record("cpu", root=plant(files))["processor"]["quota_cores"] == 0.5


def test_quota_of_version_1(plant: Plant) -> None:
    root = plant(
        {
            "proc/self/cgroup": "4:memory:/box\n1:cpu,cpuacct:/box\n0::/",
            "proc/self/mountinfo": "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
            "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
            "proc/meminfo": "MemTotal: 8388608 kB",
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "300000",
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "9223372036854771712",
        }
    )
    found = environment_record("cpu", root=root)
    assert found["processor"]["quota_cores"] == 3
    assert "limit_gb" not in found["memory"], "version 1 writes no limit as a huge one"


def test_variables_that_change_speed(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("LD_PRELOAD", "lib/somewhere/libtcmalloc.so.4")
    monkeypatch.setenv("TORCH_HOME", "elsewhere")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    found = environment_record("cpu", root=plant({}))["variables"]
    assert (found["OMP_NUM_THREADS"], found["LD_PRELOAD"]) == ("1", "libtcmalloc.so.4")
    assert not {"TORCH_HOME", "SECRET_TOKEN"} & found.keys()


def test_it_is_stable_on_this_machine() -> None:
    assert environment_record("cpu") == environment_record("cpu")


def test_without_a_driver_the_gpu_is_unknown(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesr.bench.nvml._LIBRARIES", ("libno-such-driver.so",))
    found = environment_record("cuda", root=plant({}))
    assert "gpu" not in found
    assert "no NVIDIA driver" in found["unknown"]["gpu.all"]
