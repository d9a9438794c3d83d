"""Waiting for a long call of somebody else's in such a way that Ctrl-C ends it."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_INTERVAL = 0.1


class Phases:
    """What a builder is at, told from its threads and read from ours; and whether it is to stop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, tuple[int, int]] = {}
        self._stopped = threading.Event()

    def started(self, phase: str, steps: int) -> None:
        """A phase of so many steps begins, perhaps within another."""
        with self._lock:
            self._running[phase] = (0, steps)

    def stepped(self, phase: str, step: int) -> bool:
        """Step number `step`, from 0, is done; whether to go on."""
        with self._lock:
            _, steps = self._running.get(phase, (0, step + 1))
            self._running[phase] = (step + 1, steps)
        return not self._stopped.is_set()

    def finished(self, phase: str) -> None:
        """A phase ends."""
        with self._lock:
            self._running.pop(phase, None)

    def stop(self) -> None:
        """Let the next step be the last."""
        self._stopped.set()

    @property
    def now(self) -> tuple[str, int, int]:
        """The innermost phase, the steps done in it, and of how many; "" before the first."""
        with self._lock:
            if not self._running:
                return "", 0, 0
            phase, (done, steps) = next(reversed(self._running.items()))
            return phase, done, steps


def interruptible(work: Callable[[], T], *, stop: Callable[[], None], tell: Callable[[], None]) -> T:
    """Run `work` in a thread of its own, call `tell` meanwhile, and return its result or raise its exception.

    Python handles an interrupt in the main thread and only between two steps of its own, so that a call that lasts minutes
    there would not see it. Here it does: `stop` is called, `work` is awaited, and the interrupt goes on its way. A second
    interrupt does not wait.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()  # not Thread.join: before Python 3.13 an interrupted join takes the thread for ended

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  # it is raised again in the thread that waits
            errors.append(error)
        finally:
            done.set()

    try:
        threading.Thread(target=run, daemon=True).start()
        while not done.wait(_INTERVAL):
            tell()
    except KeyboardInterrupt:
        stop()
        done.wait()
        raise
    if errors:
        raise errors[0]
    return results[0]
