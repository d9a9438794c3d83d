"""The parent's side: a cell's worker that answers requests, and a step of preparation, each in a process of its own."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class CellError(Exception):
    """A cell cannot be prepared, opened or run; the message is the reason, in one line."""


class CellTimeoutError(CellError):
    """It did not end within its time."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a worker opens what it measures: `module:function`, its arguments, and the package whose import is the baseline.

    picture: whether it gives a picture, which is clamped.
    """

    opener: str
    arguments: Mapping[str, Any]
    package: str
    threads: int | None = None
    picture: bool = False

    def environment(self) -> dict[str, str]:
        """The process environment, with the number of threads for libraries that read it there."""
        return {**os.environ, **({"OMP_NUM_THREADS": str(self.threads)} if self.threads else {})}


class Child:
    """A worker process; `ask` waits for its answer. Ends with the `with` block."""

    def __init__(self, opening: Opening) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgesr.bench.worker", opening.opener, json.dumps(dict(opening.arguments)), opening.package],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=opening.environment(),
            bufsize=0,
            start_new_session=True,
        )
        self._begun = b""
        self._picture = opening.picture

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and what it started, by force where it does not see that its input has ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._errors.close()

    def ask(self, do: str, *, seconds: float, **request: Any) -> dict[str, Any]:
        """Send a request and wait; raises CellError for an error or a death, CellTimeoutError for a silence of `seconds`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps({"do": do, **request}) + "\n").encode())
        except BrokenPipeError:
            raise CellError(self._last_words()) from None
        answer: dict[str, Any] = json.loads(self._line(do, time.monotonic() + seconds, seconds))
        if "error" in answer:
            raise CellError(answer["error"])
        return answer

    def compare(self, expected: Path, *, seconds: float) -> dict[str, Any]:
        """Ask for the last run's output against the reference's; raises as `ask` does."""
        return self.ask("compare", seconds=seconds, expected=str(expected), picture=self._picture)

    def _line(self, do: str, end: float, seconds: float) -> bytes:
        """The next line of output, which may come in parts."""
        assert self._process.stdout is not None
        while b"\n" not in self._begun:
            if not select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
                raise CellTimeoutError(f"no answer to {do!r} within {seconds:.0f} s")
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                raise CellError(self._last_words())
            self._begun += part
        line, _, self._begun = self._begun.partition(b"\n")
        return line

    def _last_words(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "its process was killed by the system, most likely for its memory"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        died = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
        return f"its process ended with {died}" + (f": {lines[-1][:200]}" if lines else "")


def step(function: str, *, seconds: float, **arguments: Any) -> dict[str, Any]:
    """Run `module:function` with the arguments in a process of its own; its answer, a dict.

    Raises CellError when it fails, CellTimeoutError when it is not done in time.
    """
    command = [sys.executable, "-m", "edgesr.bench.preparing", function, json.dumps(arguments, default=str)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise CellTimeoutError(f"not done within {seconds:.0f} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its own session: the converters that it started end with it
    if process.returncode:
        lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
        if process.returncode == -signal.SIGKILL:
            raise CellError("killed by the system, most likely for its memory")
        raise CellError(lines[-1][:300] if lines else f"ended with code {process.returncode}")
    answer: dict[str, Any] = json.loads(output.decode().splitlines()[-1])
    return answer
