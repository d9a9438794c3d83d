"""Whether an optional package is there. Imported by every runtime, so it brings nothing with it."""

import sys
from functools import cache
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

from edgesr.errors import BackendMissingError

if TYPE_CHECKING:
    from logging import LogRecord


_ON_JETSON = Path("/etc/nv_tegra_release")
_NO_NEWS = {
    "coremltools": (
        "has not been tested with coremltools",  # of PyTorch, whose models edgesr does not give it
        *(() if sys.platform == "darwin" else ("Failed to load _ML",)),  # parts that predict, on a Mac alone
    )
}
"""What packages log when they are imported, through the logger of their name, that a user can do nothing about."""


def available(package: str) -> bool:
    """Whether the module could be imported, without importing it."""
    return util.find_spec(package) is not None


def require(package: str, *, extra: str, what: str) -> None:
    """Raise BackendMissingError, with the command that installs it, when `what` needs a module that is not there."""
    if not available(package):
        hint = how_to_install(package, extra)
        raise BackendMissingError(f"{what} needs the package {package}, which is not installed", hint=hint)
    if package in _NO_NEWS:
        _silence(package)


def how_to_install(package: str, extra: str) -> str:
    """The next thing to type: pip's line; on a Jetson, whose TensorRT comes with its image, how to let Python see that one."""
    if extra in ("tensorrt", "ort-tensorrt") and _ON_JETSON.exists():
        return (
            "A Jetson's TensorRT comes with JetPack (apt install tensorrt python3-libnvinfer), for the system's Python:\n"
            "python3 -m venv --system-site-packages ENV, then there: pip install pycuda edgesr"
        )
    return f'pip install "edgesr[{extra}]"' if extra else f"pip install {package}"


def _silence(package: str) -> None:
    """Keep exactly these messages of the package from being printed."""
    import logging  # as below

    logger = logging.getLogger(package)
    if _is_news not in logger.filters:
        logger.addFilter(_is_news)


def _is_news(record: "LogRecord") -> bool:
    return not any(words in record.getMessage() for words in _NO_NEWS[record.name])


def packages_of(module: str) -> dict[str, str]:
    """Package -> its version, for every installed one that brings the module, whatever the package is called; by name."""
    from importlib import metadata  # here, for a process that is measured should not carry what it imports

    return {name: metadata.version(name) for name in sorted(set(_packages().get(module, ())))}


@cache
def _packages() -> dict[str, list[str]]:
    from importlib import metadata

    return dict(metadata.packages_distributions())
