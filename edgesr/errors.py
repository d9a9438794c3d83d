"""Every error that edgesr raises on purpose.

    EdgesrError               exit 1   base class; never raised itself
    ├─ UsageError             exit 2   what was asked for does not exist or does not fit together
    │  ├─ UnknownNameError    exit 2   no such model, target, runtime, rewrite or weights file
    │  └─ SizeError           exit 2   height or width below or above what the model takes
    │     └─ NoEngineError    exit 1   a size that the artifact takes, and no engine that was built of it
    ├─ CheckpointError        exit 1   a checkpoint that cannot be read, trusted or matched to a network
    ├─ DownloadError          exit 1   a download that broke off, lied or brought the wrong file
    ├─ ImageError             exit 1   a picture that cannot be read or written
    ├─ ArtifactError          exit 1   an artifact folder that is incomplete, altered or not ours
    ├─ ExportError            exit 1   a network that could not be converted
    ├─ RecordError            exit 1   a record of measurements that cannot be read, or compared with another
    ├─ DeviceError            exit 1   a GPU that failed, or has not memory enough for what was asked of it
    ├─ RegistryError          exit 1   a malformed or duplicate plugin file
    ├─ ParityError            exit 3   the result is not the same function as the reference
    ├─ BackendMissingError    exit 4   a package or device that this machine does not have
    └─ RegressionError        exit 5   a measured figure that misses its gate

A message says what was wrong and the value seen; `hint` is the next thing to type or do. Causes are chained.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class EdgesrError(Exception):
    """Base class: `message` says what was wrong, `hint` (may be empty) what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(EdgesrError):
    """What was asked for does not exist or does not fit together."""

    exit_code = 2


class UnknownNameError(UsageError):
    """No such name; the message names the nearest known one."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        names = sorted(known)
        near = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        super().__init__(
            f"no {kind} named {name!r}{guess}",
            hint=hint or f"Known: {', '.join(names) or 'none'}.",
        )


class SizeError(UsageError):
    """A height or width that the model cannot take."""


class NoEngineError(SizeError):
    """A size that the artifact takes, and no engine that was built of it: nothing is wrong with what was asked for."""

    exit_code = 1


class CheckpointError(EdgesrError):
    """A checkpoint that cannot be read, trusted or matched to a network."""


class DownloadError(EdgesrError):
    """A download that broke off, lied about its length or brought the wrong file."""


class ImageError(EdgesrError):
    """A picture that cannot be read or written."""


class ArtifactError(EdgesrError):
    """An artifact folder that is incomplete, altered or not ours."""


class ExportError(EdgesrError):
    """A network that could not be converted."""


class RecordError(EdgesrError):
    """A record of measurements that cannot be read, or compared with another."""


class DeviceError(EdgesrError):
    """A GPU that failed, or has not memory enough for what was asked of it."""


class RegistryError(EdgesrError):
    """A malformed or duplicate plugin file."""


class ParityError(EdgesrError):
    """The result is not the same function as the reference."""

    exit_code = 3


class BackendMissingError(EdgesrError):
    """A package or device that this machine does not have."""

    exit_code = 4


class RegressionError(EdgesrError):
    """A measured figure that misses its gate."""

    exit_code = 5
