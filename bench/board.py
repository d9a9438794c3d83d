"""What a board or a computer says of itself as a whole; on a Jetson also its power mode and the clocks of its GPU."""

from pathlib import Path
from typing import Any

from edgesr.bench.sysfiles import asked, number, text

_JETSON_GPUS = ("gpu", "ga10b", "gv11b", "gp10b", "gb10b")


def board_record(root: Path) -> dict[str, Any]:
    """What must agree between two measurements. model: from the device tree, or the maker and product of a computer."""
    tree = text(root / "proc/device-tree/model")
    names = [text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name")]
    release = (text(root / "etc/nv_tegra_release") or "").partition("\n")[0]
    found = {
        "model": tree or " ".join(filter(None, names)),
        "jetson_linux": release.partition(", GCID")[0].lstrip("# "),
        "power_mode": _power_mode(root),
    }
    for folder in _gpus(root):
        for name in ("min_freq", "max_freq"):
            hertz = number(folder / name)
            if hertz is not None:
                found[f"gpu_{name.replace('freq', 'mhz')}"] = str(hertz // 10**6)
    return {name: value for name, value in found.items() if value}


def board_state(root: Path) -> dict[str, Any]:
    """What changes by itself: the clock of a Jetson's GPU in MHz."""
    clocks = [number(folder / "cur_freq") for folder in _gpus(root)]
    return {"gpu_mhz": clocks[0] // 10**6} if clocks and clocks[0] is not None else {}


def _power_mode(root: Path) -> str:
    """As `nvpmodel -q` says it, or the number that it has kept; "" where there is none."""
    if not (root / "etc/nvpmodel.conf").exists():
        return ""
    said = (asked("nvpmodel", "-q") or "").splitlines()
    named = next((line.partition(":")[2].strip() for line in said if "Power Mode" in line), "")
    kept = (text(root / "var/lib/nvpmodel/status") or "").split()
    return named or next((f"number {int(word[6:])}" for word in kept if word[:6] == "pmode:" and word[6:].isdecimal()), "")


def _gpus(root: Path) -> list[Path]:
    folder = root / "sys/class/devfreq"
    return [path for path in sorted(folder.glob("*")) if path.name.rpartition(".")[2] in _JETSON_GPUS]
