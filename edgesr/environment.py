"""What this machine has: our requirements and extras, the runtimes and the targets, without importing any of them."""

import os
import platform
import re
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from edgesr import ort_packages
from edgesr.backends import how_to_install

_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")


@dataclass(frozen=True, kw_only=True)
class Package:
    """A required package. extra: the extra that brings it, "" for the base. installed: its version, None when it is missing.

    builds: of a package that comes in several builds, those that are installed, with their versions: more than one is a conflict.
    """

    name: str
    wanted: str
    extra: str
    installed: str | None
    builds: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Literal["ok", "missing", "other version", "conflict"]:
        """Whether it is there in a version that we want, and nothing else in its place."""
        if self.installed is None:
            return "missing"
        if len(self.builds) > 1:
            return "conflict"
        return (
            "ok"
            if Requirement(f"{self.name}{self.wanted}").specifier.contains(self.installed, prereleases=True)
            else "other version"
        )

    @property
    def remedy(self) -> str:
        """What to type when it is not ok."""
        if self.state == "ok":
            return ""
        if len(self.builds) > 1 or self.builds.keys() - {self.name}:
            return "; ".join(ort_packages.commands(self.builds, gpu=any("gpu" in build for build in self.builds)))
        return how_to_install(self.name, self.extra) if self.extra else "pip install edgesr"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The machine and the packages, in the order of our metadata."""

    python: str
    system: str
    processors: int
    packages: tuple[Package, ...]


def environment() -> Environment:
    """Read what is installed from the packages' metadata; no packages where edgesr itself runs from its folder, not installed."""
    try:
        requirements = metadata.requires("edgesr") or []
    except metadata.PackageNotFoundError:
        requirements = []
    return Environment(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        packages=tuple(_package(text) for text in requirements),
    )


def processor() -> str:
    """The processor's own name where Linux tells it."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(": ")[2] for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def _package(text: str) -> Package:
    requirement = Requirement(text)
    extra = _EXTRA.search(str(requirement.marker or ""))
    if requirement.name == ort_packages.MODULE:
        builds = ort_packages.installed()
        version = next(iter(builds.values()), None)
        return Package(name=requirement.name, wanted=str(requirement.specifier), extra="", installed=version, builds=builds)
    try:
        installed: str | None = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        installed = None
    return Package(name=requirement.name, wanted=str(requirement.specifier), extra=extra[1] if extra else "", installed=installed)
