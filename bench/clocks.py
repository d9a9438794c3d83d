"""Clocks and heat of the processor: how they are set, what they are now, and how often heat has won."""

from pathlib import Path
from typing import Any

from edgesr.bench.processor import available_cores, core_entries, is_virtual
from edgesr.bench.sysfiles import distinct, number, numbered, text, why_not

_CPU = Path("sys/devices/system/cpu")
_TEXTS = {
    "governor": "scaling_governor",
    "clock_driver": "scaling_driver",
    "energy_preference": "energy_performance_preference",
}
_KILOHERTZ = {"clock_mhz_max": "scaling_max_freq", "clock_mhz_min": "scaling_min_freq", "clock_mhz_rated": "cpuinfo_max_freq"}
_PROCESSOR_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


def clock_settings(root: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Governor, driver, limits (MHz) and turbo of our cores; and what could not be read, with the reason.

    A limit below the rated clock, set by somebody or by heat, makes another machine of it.
    """
    cpu = root / _CPU
    folders = [cpu / f"cpu{core}/cpufreq" for core in available_cores(root) or [0]]
    known: dict[str, Any] = {name: distinct(text(folder / file) for folder in folders) for name, file in _TEXTS.items()}
    for name, file in _KILOHERTZ.items():
        known[name] = distinct(khz // 1000 for folder in folders if (khz := number(folder / file)) is not None)
    forbidden, boost = number(cpu / "intel_pstate/no_turbo"), number(cpu / "cpufreq/boost")
    known["turbo"] = not forbidden if forbidden is not None else bool(boost) if boost is not None else None
    unknown = {}
    if known["governor"] is None:
        unknown["governor"] = why_not(folders[0] / "scaling_governor", root)
    if known["turbo"] is None:
        unknown["turbo"] = f"{why_not(cpu / 'intel_pstate/no_turbo', root)}, {why_not(cpu / 'cpufreq/boost', root)}"
    return {name: value for name, value in known.items() if value is not None}, unknown


def current_clocks(root: Path) -> tuple[dict[str, float], str]:
    """Core -> MHz, and who told; empty with the reason where nobody does."""
    paths = {str(core): root / _CPU / f"cpu{core}/cpufreq/scaling_cur_freq" for core in available_cores(root)}
    found = {core: round(khz / 1000, 1) for core, path in paths.items() if (khz := number(path)) is not None}
    if found:
        return found, "scaling_cur_freq"
    told = {entry["processor"]: round(float(entry["cpu MHz"]), 1) for entry in core_entries(root) if "cpu MHz" in entry}
    if not told:
        return {}, "unknown: neither cpufreq nor /proc/cpuinfo tells"
    return told, "/proc/cpuinfo" + (", which under a hypervisor is the nominal clock" if is_virtual(root) else "")


def temperatures(root: Path) -> dict[str, float]:
    """Sensor -> °C: the thermal zones, and the processor's own sensors; two of one name are numbered."""
    readings = [(text(zone / "type"), number(zone / "temp")) for zone in numbered(root / "sys/class/thermal", "thermal_zone")]
    for chip in numbered(root / "sys/class/hwmon", "hwmon"):
        name = text(chip / "name")
        if name in _PROCESSOR_SENSORS:
            labels = sorted(chip.glob("temp*_input"))
            readings += [
                (f"{name} {text(path.with_name(path.name.replace('input', 'label'))) or ''}".strip(), number(path))
                for path in labels
            ]
    found: dict[str, float] = {}
    for name, thousandths in readings:
        if name and thousandths is not None:
            times = sum(known == name or known.startswith(f"{name} #") for known in found)
            found[f"{name} #{times + 1}" if times else name] = round(thousandths / 1000, 1)
    return found


def throttle_counts(root: Path) -> dict[str, int]:
    """How often heat has slowed our cores (summed) and their package since the start; empty where nobody counts."""
    folders = [root / _CPU / f"cpu{core}/thermal_throttle" for core in available_cores(root)]
    counts: dict[str, int] = {}
    for part, combined in (("core", sum), ("package", max)):  # every core repeats its package's count
        values = [count for folder in folders if (count := number(folder / f"{part}_throttle_count")) is not None]
        if values:
            counts[part] = combined(values)
    return counts
