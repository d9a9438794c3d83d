"""Processes of our own: a candidate's worker that answers requests, and a step that ends within a time limit."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SCRIPTS = Path(__file__).parent.parent


class CandidateError(Exception):
    """A candidate cannot be prepared, loaded or run; the message is the reason, in one line."""


def _environment(threads: int) -> dict[str, str]:
    paths = [str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(threads)}


class Child:
    """A worker process; `ask` waits for its answer. Ends with the `with` block."""

    def __init__(self, kind: str, path: Path | str, threads: int) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench_peers.worker", kind, str(path), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(threads),
            bufsize=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process, by force where it does not see that its input has ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._errors.close()

    def ask(self, do: str, *, seconds: float = 600, **request: Any) -> dict[str, Any]:
        """Send a request and wait; raises CandidateError for an error, a death or a silence longer than `seconds`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write((json.dumps({"do": do, **request}) + "\n").encode())
        except BrokenPipeError:
            raise CandidateError(self._last_words()) from None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise CandidateError(f"no answer to {do!r} within {seconds:.0f} s")
        line = b""
        while not line.endswith(b"\n"):
            part = self._process.stdout.readline()
            if not part:
                raise CandidateError(self._last_words())
            line += part
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CandidateError(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"its process ended with code {code}" + (f": {lines[-1][:200]}" if lines else "")


def step(name: str, *, seconds: float, **arguments: Any) -> dict[str, Any]:
    """Run a step of `preparing.py` in a process of its own; raises CandidateError when it fails or is not done in time.

    The answer gets `process_seconds`, from start to end.
    """
    start = time.perf_counter()
    command = [sys.executable, "-m", "bench_peers.preparing", name, json.dumps(arguments, default=str)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment(os.cpu_count() or 1), start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise CandidateError(f"not done within {seconds:.0f} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its own session: the converters that it started end with it
    if process.returncode:
        lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
        if process.returncode == -signal.SIGKILL:
            raise CandidateError("killed by the system, most likely for its memory")
        raise CandidateError(lines[-1][:300] if lines else f"ended with code {process.returncode}")
    answer: dict[str, Any] = json.loads(output.decode().splitlines()[-1])
    return {**answer, "process_seconds": round(time.perf_counter() - start, 1)}
