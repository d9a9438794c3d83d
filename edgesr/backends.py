"""Whether an optional package is there. Imported by every runtime, so it brings nothing with it."""

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
