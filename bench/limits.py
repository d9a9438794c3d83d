"""What the control groups of this process allow it: Linux's versions 1 and 2, and both at once."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edgesr.bench.sysfiles import number, text


def processor_quota(root: Path) -> float | None:
    """How many cores' time the process may use, the least of its own group's and all above; None where there is no limit."""
    found = []
    for folder in _folders(root, "cpu"):
        quota, period = number(folder / "cpu.cfs_quota_us"), number(folder / "cpu.cfs_period_us")
        words = (text(folder / "cpu.max") or "").split()
        if len(words) == 2 and words[0] != "max":
            quota, period = int(words[0]), int(words[1])
        if quota and period and quota > 0:
            found.append(quota / period)
    return round(min(found), 3) if found else None


def memory_limit(root: Path) -> int | None:
    """Bytes that the group may use, the least of its own and all above; None where there is no limit."""
    files = [folder / name for folder in _folders(root, "memory") for name in ("memory.limit_in_bytes", "memory.max")]
    return min((limit for path in files if (limit := number(path)) is not None), default=None)


def throttled_seconds(root: Path) -> float | None:
    """How long the quota has held the group's processes since its start; None where nobody counts."""
    for folder in _folders(root, "cpu"):
        counts = dict(line.split()[:2] for line in (text(folder / "cpu.stat") or "").splitlines() if len(line.split()) >= 2)
        for name, unit in (("throttled_usec", 1e6), ("throttled_time", 1e9)):
            if name in counts:
                return int(counts[name]) / unit
    return None


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The controller's folders for this process: its own group's first, then those above it, as far as we see them."""
    for point, inside, controllers in _mounts(root):
        group = _group(root, controller if controllers else "")
        if group is None or (controllers and controller not in controllers):
            continue
        # A container sees its group as the root of what is mounted, or names a path that it does not see at all.
        below = group.relative_to(inside) if group.is_relative_to(inside) else PurePosixPath()
        folder = root / point.relative_to("/")
        own = folder / below
        yield from (each for each in (own, *own.parents) if each.is_relative_to(folder) and each.is_dir())


def _mounts(root: Path) -> Iterator[tuple[PurePosixPath, PurePosixPath, list[str]]]:
    """Where a hierarchy is mounted, which of its groups is seen there, and its controllers: none are named for version 2."""
    for line in (text(root / "proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        kind, *rest = after.split()
        if kind in ("cgroup", "cgroup2"):
            words = before.split()
            options = rest[-1].split(",")
            yield PurePosixPath(words[4]), PurePosixPath(words[3]), options if kind == "cgroup" else []


def _group(root: Path, controller: str) -> PurePosixPath | None:
    """The process's group in a hierarchy; version 2 has no controller's name."""
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return PurePosixPath(path)
    return None
