"""Whether an optional package is there. Imported by every runtime, so it brings nothing with it."""

from functools import cache
from importlib import util

from edgesr.errors import BackendMissingError


def available(package: str) -> bool:
    """Whether the module could be imported, without importing it."""
    return util.find_spec(package) is not None


def require(package: str, *, extra: str, what: str) -> None:
    """Raise BackendMissingError, with the command that installs it, when `what` needs a module that is not there."""
    if not available(package):
        name = f'"edgesr[{extra}]"' if extra else package
        raise BackendMissingError(f"{what} needs the package {package}, which is not installed", hint=f"pip install {name}")


def packages_of(module: str) -> dict[str, str]:
    """Package -> its version, for every installed one that brings the module, whatever the package is called; by name."""
    from importlib import metadata  # here, for a process that is measured should not carry what it imports

    return {name: metadata.version(name) for name in sorted(set(_packages().get(module, ())))}


@cache
def _packages() -> dict[str, list[str]]:
    from importlib import metadata

    return dict(metadata.packages_distributions())
