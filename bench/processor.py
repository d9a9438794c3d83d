"""The processor: its name, what its kernels may use, and how many of its cores are ours."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from edgesr.bench.limits import processor_quota
from edgesr.bench.sysfiles import asked, distinct, fields, members, numbered, text, why_not

_NAMES = """
sse4_1 sse4_2 f16c fma avx avx2 avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 avx_vnni avx_vnni_int8 avx10
amx_tile amx_int8 amx_bf16 amx_fp16 neon asimd asimdhp asimddp i8mm bf16 sve sve2 svei8mm svebf16 sme sme2
"""
FLAGS = frozenset(_NAMES.split())
"""What the runtimes choose their kernels by, as Linux writes it."""
_MAC_FLAGS = {
    "neon": "asimd",
    "FEAT_FP16": "asimdhp",
    "FEAT_DotProd": "asimddp",
    "FEAT_I8MM": "i8mm",
    "FEAT_BF16": "bf16",
    "FEAT_SME": "sme",
    "FEAT_SME2": "sme2",
    "avx2_0": "avx2",
    "avx512f": "avx512f",
    "fma": "fma",
}


def processor_record(root: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What must agree between two measurements; and what could not be read, with the reason."""
    info, folder = fields(root / "proc/cpuinfo"), root / "sys/devices/system/cpu"
    cores = available_cores(root)
    total = len(numbered(folder, "cpu")) or len(core_entries(root)) or os.cpu_count() or 1
    known: dict[str, Any] = {
        "model": _model(root),
        "revision": _revision(info),
        "flags": _flags(info, root),
        "cores_total": total,
        "cores_available": len(cores) or total,
        "cores": as_ranges(cores) or None,
        "quota_cores": processor_quota(root),
        "caches": _caches(folder / f"cpu{cores[0] if cores else 0}" / "cache"),
        "smt": {"0": False, "1": True}.get(text(folder / "smt/active") or ""),
        "virtual": "hypervisor" in info.get("flags", "").split() or None,
    }
    unknown = {}
    if not known["flags"]:
        path = root / "proc/cpuinfo"
        unknown["flags"] = "none that matter are named" if info else why_not(path, root)
    return {name: value for name, value in known.items() if value not in (None, [], {}, "")}, unknown


def available_cores(root: Path) -> list[int]:
    """The numbers of the cores that this process may run on; empty where the system does not tell."""
    return members(fields(root / "proc/self/status").get("Cpus_allowed_list", ""))


def as_ranges(cores: list[int]) -> str:
    """[0, 1, 2, 3, 6] -> `0-3,6`."""
    parts: list[list[int]] = []
    for core in cores:
        if parts and parts[-1][-1] == core - 1:
            parts[-1] = [parts[-1][0], core]
        else:
            parts.append([core])
    return ",".join("-".join(str(end) for end in part) for part in parts)


def core_entries(root: Path) -> list[dict[str, str]]:
    """/proc/cpuinfo, one dict for each core."""
    entries: list[dict[str, str]] = []
    for line in (text(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "processor":
            entries.append({})
        if name and entries:
            entries[-1][name] = value
    return entries


def is_virtual(root: Path) -> bool:
    """Whether a hypervisor is at work, as far as the processor says so."""
    return "hypervisor" in fields(root / "proc/cpuinfo").get("flags", "").split()


def _model(root: Path) -> str:
    """The maker's name; on Arm, where Linux gives none, the numbers of the kinds of cores."""
    entries = core_entries(root)
    name = distinct(entry.get("model name") for entry in entries)
    if name:
        return name
    kinds = [
        f"{entry['CPU implementer']}/{entry['CPU part']}" for entry in entries if entry.keys() >= {"CPU implementer", "CPU part"}
    ]
    if kinds:
        return "Arm implementer/part " + ", ".join(f"{kind} x{kinds.count(kind)}" for kind in dict.fromkeys(kinds))
    return _model_elsewhere()


def _model_elsewhere() -> str:
    """On systems without /proc."""
    if sys.platform == "win32":
        import winreg

        path = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    named = asked("sysctl", "-n", "machdep.cpu.brand_string") if sys.platform == "darwin" else None
    return named or platform.processor() or platform.machine()


def _revision(info: dict[str, str]) -> str:
    """What tells processors of one name apart: hypervisors like to give all the same."""
    x86 = [
        f"{name} {info[key]}"
        for name, key in (("family", "cpu family"), ("model", "model"), ("stepping", "stepping"))
        if key in info
    ]
    arm = [f"{name} {info[key]}" for name, key in (("variant", "CPU variant"), ("revision", "CPU revision")) if key in info]
    return " ".join([*filter(None, [info.get("vendor_id", "")]), *x86, *arm])


def _flags(info: dict[str, str], root: Path) -> list[str]:
    named = set(info.get("flags", info.get("Features", "")).split())
    if not (root / "proc").exists() and sys.platform == "darwin":
        lines = (asked("sysctl", "hw.optional") or "").splitlines()
        named = {_MAC_FLAGS.get(line.partition(":")[0].rpartition(".")[2], "") for line in lines if line.endswith(": 1")}
    return sorted(named & FLAGS)


def _caches(folder: Path) -> dict[str, str]:
    """Of the first of our cores, as in {"L1 Data": "32K", "L2 Unified": "1024K"}."""
    found = {}
    for path in numbered(folder, "index"):
        level, kind, size = (text(path / name) for name in ("level", "type", "size"))
        if level and size:
            found[f"L{level} {kind or ''}".strip()] = size
    return found
