"""The NPU's emulator in a process of its own: a run of minutes can be interrupted, and what it aborts with is an error here.

The child, python -m edgesr.runtimes._qnn.emulator WRAPPER CHIP, reads inputs from its standard input and writes results to its
standard output, both as the length of a NumPy file and the file, after an empty one that says that it is ready.
"""

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ArtifactError
from edgesr.runtimes._qnn.provider import for_chip, open_session


class Emulator:
    """A context binary that was loaded for a chip. The process ends with this object, or when a run is interrupted."""

    def __init__(self, wrapper: Path, chip: str) -> None:
        """Raises ArtifactError where Qualcomm's libraries do not load it."""
        self._name = wrapper.name
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgesr.runtimes._qnn.emulator", str(wrapper.absolute()), chip],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        self._end = weakref.finalize(self, _end, self._process, self._said)
        self._answer(f"QNN cannot load {wrapper.name}, which is for {chip}")

    def run(self, given: NDArray[Any]) -> NDArray[Any]:
        """What the network makes of its input; raises ArtifactError where the emulator dies of it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the missing answer says more
            _send(self._process.stdin, given)
        return self._answer(f"the emulator failed with {self._name}")

    def _answer(self, failure: str) -> NDArray[Any]:
        """The next result; whatever comes instead, an interrupt included, the process does not outlive it."""
        assert self._process.stdout is not None
        try:
            answer = _received(self._process.stdout)
            if answer is None:
                raise ArtifactError(f"{failure}: {self._last_words()}", hint="Export the model again, or for a smaller --size.")
        except BaseException:
            self._end()
            raise
        return answer

    def _last_words(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        lines = [line for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        died = f"it ended with {signal.Signals(-code).name}" if code < 0 else f"it ended with code {code}"
        return f"{lines[-1][:300]} ({died})" if lines else died


def _end(process: "subprocess.Popen[bytes]", said: IO[bytes]) -> None:
    process.kill()
    process.communicate()
    said.close()


def _send(stream: IO[bytes], array: NDArray[Any]) -> None:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    stream.write(len(file.getvalue()).to_bytes(8, "little") + file.getvalue())
    stream.flush()


def _received(stream: IO[bytes]) -> NDArray[Any] | None:
    """None where the stream ends."""
    length = stream.read(8)
    if len(length) < 8:
        return None
    data = stream.read(int.from_bytes(length, "little"))
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))


def _serve(wrapper: str, chip: str) -> None:
    """Answer until the input ends. What Qualcomm's libraries print on standard output goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        session = open_session(wrapper, for_chip(chip))
    except Exception as error:  # noqa: BLE001  # ONNX Runtime's exceptions share no base class
        sys.exit(str(error).splitlines()[0])
    (given,) = session.get_inputs()
    _send(answers, np.zeros(0))
    while (array := _received(sys.stdin.buffer)) is not None:
        (result,) = session.run(None, {given.name: array})
        _send(answers, np.asarray(result))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
