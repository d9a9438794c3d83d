"""The runtimes: every public file of this folder declares one as `RUNTIME` (see `edgesr.runtime.Runtime`)."""

import sys
from functools import cache

from edgesr.artifact import Artifact
from edgesr.backends import require
from edgesr.errors import BackendMissingError, UsageError
from edgesr.registry import Registry, discover
from edgesr.runtime import Options, Runtime, RuntimeSession

DEFAULTS = Options()


@cache
def runtimes() -> Registry[Runtime]:
    """All runtimes by name."""
    return discover("edgesr.runtimes", "RUNTIME", Runtime)


def runs_here(runtime: Runtime) -> bool:
    """Whether the runtime is one for this system."""
    return not runtime.platforms or sys.platform in runtime.platforms


def usual_runtime(form: str) -> str:
    """The first that opens files of the format here and is no peer; empty where there is none."""
    return next((name for name, one in _opening(form).items() if not one.peer and runs_here(one)), "")


def open_artifact(artifact: Artifact, *, runtime: str | None = None, options: Options = DEFAULTS) -> RuntimeSession:
    """Open an artifact in the named runtime, or in its usual one.

    Raises UnknownNameError, UsageError when the runtime does not open the format or has not the device, BackendMissingError when
    its package is not there, and what opening raises.
    """
    form = artifact.manifest.format
    fitting = _opening(form)
    name = runtime or usual_runtime(form)
    chosen = runtimes()[name]
    if chosen.formats and form not in chosen.formats:
        raise UsageError(f"runtime {name} does not open {form} files", hint=f"Runtimes that do: {', '.join(fitting)}.")
    if not runs_here(chosen):
        others = ", ".join(other for other, candidate in fitting.items() if runs_here(candidate))
        raise BackendMissingError(
            f"runtime {name} runs on {' and '.join(chosen.platforms)} only", hint=f"Here: --runtime {others}."
        )
    require(chosen.package, extra=chosen.extra, what=f"runtime {name}")
    if options.device and options.device not in chosen.devices:
        raise UsageError(f"runtime {name} does not run on {options.device}", hint=f"It runs on {', '.join(chosen.devices)}.")
    return chosen.open(artifact, options)


def _opening(form: str) -> dict[str, Runtime]:
    """The runtimes that open files of the format."""
    return {name: one for name, one in runtimes().items() if form in one.formats}
