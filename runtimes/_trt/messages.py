"""What TensorRT says through its logger, and one readable error made of it."""

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from edgesr.errors import BackendMissingError, DeviceError, EdgesrError

if TYPE_CHECKING:
    import tensorrt as trt

_KEPT = 500
_SHOWN = 3
_WHERE = re.compile(r"^(?:\[[\w./\\]+::[^\]]*\]\s*)?(?:\w+::\w+: )?")
"""Where in TensorRT's own source a message comes from, which tells a user nothing."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A failure that has a remedy of its own: how it is recognised, what it is called, what to do."""

    pattern: re.Pattern[str]
    error: type[EdgesrError]
    says: str
    hint: str


_KINDS = (
    _Kind(
        pattern=re.compile(r"CUDA \w+ failure with error: 35\b|driver version is insufficient", re.IGNORECASE),
        error=BackendMissingError,
        says="the NVIDIA driver is too old for this TensorRT",
        hint="Install a newer driver (on a Jetson: a newer JetPack), or the TensorRT that fits this one; nvidia-smi shows which.",
    ),
    _Kind(
        pattern=re.compile(r"CUDA \w+ failure with error: (?:38|100)\b|no CUDA-capable device", re.IGNORECASE),
        error=BackendMissingError,
        says="there is no NVIDIA GPU that CUDA can use",
        hint="Run it on the machine with the GPU; nvidia-smi shows what is there.",
    ),
    _Kind(
        pattern=re.compile(r"expecting library version|version tag does not match|incompatible device", re.IGNORECASE),
        error=DeviceError,
        says="the engine was built by another TensorRT or for another GPU",
        hint="Build it here: edgesr build DIR",
    ),
    _Kind(
        pattern=re.compile(r"insufficient workspace", re.IGNORECASE),
        error=DeviceError,
        says="a layer needs more scratch memory than it was allowed",
        hint="Allow more, or leave it out: --workspace MB",
    ),
)
OUT_OF_MEMORY = re.compile(r"out of memory|OutOfMemory|could not be allocated|\bMEM_ALLOC|insufficient memory", re.IGNORECASE)
"""How TensorRT says that the device has not memory enough."""


class Messages:
    """The last messages, by severity; `tell`, where set, gets every one as it comes, from whichever thread."""

    def __init__(self) -> None:
        self._said: deque[tuple[str, str]] = deque(maxlen=_KEPT)
        self.tell: Callable[[str], None] | None = None

    def add(self, severity: str, text: str) -> None:
        """Take a message: severity is error, warning or info."""
        self._said.append((severity, text))
        if self.tell:
            self.tell(f"TensorRT {severity}: {text}")

    def forget(self) -> None:
        """Begin anew, so that an error is not told with what was said before."""
        self._said.clear()

    @property
    def errors(self) -> tuple[str, ...]:
        """The errors, the first one first, without repetitions."""
        return tuple(dict.fromkeys(text for severity, text in self._said if severity == "error"))


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A logger for TensorRT and what it has heard."""

    logger: "trt.ILogger"
    messages: Messages


@cache
def listener() -> Listener:
    """The process's listener. One for all: TensorRT keeps the first logger that it is given and warns of every other."""
    import tensorrt as trt

    messages = Messages()
    errors, warning = (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR), trt.ILogger.WARNING

    class Collector(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # pybind11 asks for it by name

        def log(self, severity: "trt.ILogger.Severity", msg: str) -> None:
            messages.add("error" if severity in errors else "warning" if severity == warning else "info", msg)

    return Listener(logger=Collector(), messages=messages)


def failure(what: str, errors: Sequence[str], *, hint: str, kind: type[EdgesrError] = DeviceError) -> EdgesrError:
    """One error of what TensorRT said: `what` could not be done, and why; with its own remedy where the reason is a known one."""
    reasons = [_WHERE.sub("", text).strip() for text in errors]
    for known in _KINDS:
        for reason in reasons:
            if known.pattern.search(reason):
                return known.error(f"{what}: {known.says} ({reason})", hint=known.hint)
    more = f" (and {len(reasons) - _SHOWN} more)" if len(reasons) > _SHOWN else ""
    return kind(f"{what}: {'; '.join(reasons[:_SHOWN]) or 'TensorRT gave no reason'}{more}", hint=hint)
