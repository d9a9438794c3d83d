"""Whether an optional package is there. Imported by every runtime, so it brings nothing with it."""

import sys
from functools import cache
from importlib import util
from typing import TYPE_CHECKING

from edgesr.errors import BackendMissingError

if TYPE_CHECKING:
    from logging import LogRecord


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
        name = f'"edgesr[{extra}]"' if extra else package
        raise BackendMissingError(f"{what} needs the package {package}, which is not installed", hint=f"pip install {name}")
    if package in _NO_NEWS:
        _silence(package)


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
