"""The machine that measures: what must agree for two records to be compared, what changes by itself, and who else was at work.

All files are read below `root`, so that tests can plant a machine. What cannot be read is left out, and `unknown` says why.
"""

import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgesr.bench import board, nvml
from edgesr.bench.clocks import clock_settings, current_clocks, temperatures, throttle_counts
from edgesr.bench.limits import memory_limit, throttled_seconds
from edgesr.bench.power import meters, why_no_meters
from edgesr.bench.processor import available_cores, processor_record
from edgesr.bench.sysfiles import fields, text

_ROOT = Path("/")
_TICKS = 100
"""Of /proc/stat in a second: USER_HZ, which Linux fixes at 100 for programs."""
_PACKAGES = """
torch triton onnxruntime onnxruntime-gpu onnx numpy openvino ncnn coremltools tensorrt tensorrt-cu12 tensorrt-cu13
nvidia-cuda-runtime nvidia-cuda-runtime-cu12 nvidia-cudnn-cu12 nvidia-cudnn-cu13
"""
_VARIABLES = """
OMP_ GOMP_ KMP_ MKL_ DNNL_ ONEDNN_ OPENBLAS_ ATEN_ TORCH_ TORCHINDUCTOR_ PYTORCH_ ORT_ OV_ NCNN_ CUDA_ CUDNN_ CUBLAS_
NVIDIA_TF32 MALLOC_ GLIBC_TUNABLES LD_PRELOAD PYTHONMALLOC
"""
"""Beginnings of the names of variables by which libraries change their speed or memory."""
_PLACES = ("_DIR", "_HOME", "_PATH", "_ROOT", "_CACHE")
"""Ends of the names of variables that only say where something lies."""


@dataclass(frozen=True, kw_only=True)
class Busy:
    """Seconds of work on the cores that this process may use, since the start. steal: what the hypervisor took from them.

    processors: how many cores these are.
    """

    processors: int
    busy: float
    steal: float


def busy(*, root: Path = _ROOT) -> Busy | None:
    """Read /proc/stat, which counts in steps of 10 ms for each core; None where there is none."""
    ours = {f"cpu{core}" for core in available_cores(root)}
    lines = [line.split() for line in (text(root / "proc/stat") or "").splitlines() if line.startswith("cpu")]
    cores = [line for line in lines if line[0] in ours] or [line for line in lines if line[0] != "cpu"]
    if not cores:
        return None
    # user nice system idle iowait irq softirq steal; guests are counted in user already
    ticks = [[int(value) for value in line[1:9]] for line in cores]
    at_work = sum(sum(core[:3]) + sum(core[5:7]) for core in ticks)
    return Busy(processors=len(cores), busy=at_work / _TICKS, steal=sum(core[7] for core in ticks) / _TICKS)


def contention(before: Busy, after: Busy, own_cpu_seconds: float) -> float:
    """Core seconds that other programs, and other virtual machines (steal), took of our cores between two readings.

    own_cpu_seconds: what all our own processes took meanwhile. The capacity to compare with is wall seconds times
    `after.processors`. The counters' grain (10 ms for each core) can make a short stretch slightly negative: add up, then judge.
    """
    return after.busy - before.busy - own_cpu_seconds + after.steal - before.steal


def environment_record(device: str, *, root: Path = _ROOT) -> dict[str, Any]:
    """What must agree for two records to be comparable. device: cpu or cuda. edgesr's own version is not in it: it may differ."""
    processor, unknown = processor_record(root)
    clocks, hidden = clock_settings(root)
    found: dict[str, Any] = {
        "device": device,
        "system": _system(root),
        "processor": processor | clocks,
        "memory": _memory(root),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": _packages(),
        "variables": _variables(),
        "board": board.board_record(root),
    }
    unknown = {f"processor.{name}": reason for name, reason in (unknown | hidden).items()}
    if not meters("cpu", root=root):
        unknown["energy"] = why_no_meters(root)
    if not found["memory"]:
        unknown["memory"] = "the system does not tell"
    if device == "cuda":
        found["gpu"], hidden = nvml.gpu_record()
        unknown |= {f"gpu.{name}": reason for name, reason in hidden.items()}
    return {**{name: value for name, value in found.items() if value}, "unknown": unknown}


def machine_state(device: str = "cpu", *, root: Path = _ROOT) -> dict[str, Any]:
    """What changes by itself: read it before and after. MHz, °C, MB of 2²⁰ bytes, seconds; see `throttling` for the counters."""
    clocks, source = current_clocks(root)
    counted = busy(root=root)
    memory = fields(root / "proc/meminfo")
    found: dict[str, Any] = {
        "load": _load(root),
        "clocks_mhz": clocks or None,
        "clocks_from": source,
        "temperatures_c": temperatures(root) or None,
        "throttled_by_heat": throttle_counts(root) or None,
        "throttled_by_quota_s": throttled_seconds(root),
        "cores": asdict(counted) if counted else None,
        "memory_available_mb": _megabytes(memory.get("MemAvailable")),
        "swap_used_mb": _swap_used(memory),
        "board": board.board_state(root) or None,
    }
    if device == "cuda":
        found["gpu"] = nvml.gpu_state() or None
    return {name: value for name, value in found.items() if value is not None}


def throttling(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    """Why the machine held itself back between two states, each as a sentence's end: "throttling: …"."""
    reasons = []
    then, now = before.get("throttled_by_heat", {}), after.get("throttled_by_heat", {})
    for part in sorted(now):
        more = now[part] - then.get(part, now[part])
        if more > 0:
            reasons.append(f"throttling: heat slowed the {part} {more} times")
    waited = after.get("throttled_by_quota_s", 0.0) - before.get("throttled_by_quota_s", 0.0)
    if waited > 0:
        reasons.append(f"throttling: the control group's quota held its processes for {waited:.1f} s")
    for reason in after.get("gpu", {}).get("slowed_by", []):
        reasons.append(f"throttling: the GPU is slowed by {reason}")
    return tuple(reasons)


def _system(root: Path) -> dict[str, Any]:
    chosen = (text(root / "sys/kernel/mm/transparent_hugepage/enabled") or "").partition("[")[2].partition("]")[0]
    found = {
        "name": platform.system(),
        "machine": platform.machine(),
        "kernel": text(root / "proc/sys/kernel/osrelease") or platform.release(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "huge_pages": chosen,
        "page_bytes": os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None,
    }
    return {name: value for name, value in found.items() if value}


def _memory(root: Path) -> dict[str, float]:
    """GB of 2³⁰ bytes, to a tenth: the kernel's own share changes a little between its builds. limit_gb: of the control group."""
    total = _megabytes(fields(root / "proc/meminfo").get("MemTotal"))
    if total is None and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    if not total:
        return {}
    found = {"total_gb": round(total / 1024, 1)}
    limit = memory_limit(root)
    if limit is not None and limit / 2**20 < total:  # version 1 writes "no limit" as a huge number
        found["limit_gb"] = round(limit / 2**30, 2)
    return found


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES.split():
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _variables() -> dict[str, str]:
    """Set ones only. Of a path the last part only: folders are the user's own matter."""
    return {
        name: ":".join(part.rsplit("/", 1)[-1] for part in value.split(":"))
        for name, value in sorted(os.environ.items())
        if name.startswith(tuple(_VARIABLES.split())) and not name.endswith(_PLACES)
    }


def _load(root: Path) -> list[float] | None:
    """Of 1, 5 and 15 minutes."""
    line = text(root / "proc/loadavg")
    if line is not None:
        return [float(value) for value in line.split()[:3]]
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _megabytes(kilobytes: str | None) -> float | None:
    return round(int(kilobytes.split()[0]) / 1024, 1) if kilobytes else None


def _swap_used(memory: dict[str, str]) -> float | None:
    total, free = _megabytes(memory.get("SwapTotal")), _megabytes(memory.get("SwapFree"))
    return None if total is None or free is None else round(total - free, 1)
