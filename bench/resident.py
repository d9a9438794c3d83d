"""Resident memory of this process in MB of 2²⁰ bytes, and its high-water mark."""

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident_mb() -> float:
    """What is resident now; where the system does not tell, the largest so far."""
    return _status("VmRSS") if _STATUS.exists() else peak_mb()


def peak_mb() -> float:
    """The largest so far, since the last reset where that was possible.

    Not getrusage's ru_maxrss where Linux offers better: that one survives exec, and so begins at what the parent had.
    """
    if _STATUS.exists():
        return _status("VmHWM")
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024), 1)


def reset_peak() -> bool:
    """Let the high-water mark begin at what is resident now; whether the system let us."""
    try:
        with _CLEAR.open("w") as file:
            file.write("5")
    except OSError:
        return False
    return True


def _status(name: str) -> float:
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(name))
    return round(int(line.split()[1]) / 1024, 1)
