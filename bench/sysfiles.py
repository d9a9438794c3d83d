"""The small files in which Linux tells of itself, below any root, so that tests can plant them."""

import subprocess
from collections.abc import Iterable
from pathlib import Path


def text(path: Path) -> str | None:
    """What the file says; None where there is none or we may not read it."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip(" \t\r\n\0")
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The whole number in the file; None where there is none."""
    try:
        return int(text(path) or "")
    except ValueError:
        return None


def why_not(path: Path, root: Path) -> str:
    """Why `path` tells nothing."""
    name = f"/{path.relative_to(root)}"
    return f"{name} may not be read" if path.exists() else f"no {name}"


def fields(path: Path) -> dict[str, str]:
    """`name: value` lines, each name's first value; empty where there is no such file."""
    found: dict[str, str] = {}
    for line in (text(path) or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found


def numbered(folder: Path, prefix: str) -> list[Path]:
    """The entries `prefix0`, `prefix1`, … of the folder, in the order of their numbers."""
    try:
        names = [path for path in folder.iterdir() if path.name.removeprefix(prefix).isdecimal()]
    except OSError:
        return []
    return sorted((path for path in names if path.name.startswith(prefix)), key=lambda path: int(path.name[len(prefix) :]))


def members(ranges: str) -> list[int]:
    """`0-3,6` -> [0, 1, 2, 3, 6]."""
    found: list[int] = []
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def distinct(values: Iterable[object]) -> str | None:
    """The different values, in the order in which they come, as one text; None where there are none."""
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None)) or None


def asked(*command: str) -> str | None:
    """What a command prints; None where there is none, or it fails, or it takes more than 10 s."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
