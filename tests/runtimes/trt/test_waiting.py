"""An interrupt ends a long call in another thread, and nothing else does."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from edgesr.runtimes._trt.waiting import Phases, interruptible


def nothing() -> None:
    """Neither a stop nor a word."""


def test_results_and_errors_come_back() -> None:
    assert interruptible(lambda: 7, stop=nothing, tell=nothing) == 7
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0, stop=nothing, tell=nothing)


def test_an_interrupt_stops_the_work_waits_for_it_and_goes_on_its_way() -> None:
    phases, ended = Phases(), threading.Event()

    def work() -> str:
        phases.started("building", 10_000)
        for step in range(10_000):
            if step == 3:
                signal.raise_signal(signal.SIGINT)  # the main thread gets it, whichever thread it comes from
            time.sleep(0.01)
            if not phases.stepped("building", step):
                break
        ended.set()
        return "stopped" if step < 9_999 else "all done"

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interruptible(work, stop=phases.stop, tell=nothing)
    assert ended.is_set(), "the work was left running"
    assert time.monotonic() - start < 10


def test_an_interrupt_from_outside_stops_a_process_in_such_a_call() -> None:
    code = (
        "import time\n"
        "from edgesr.runtimes._trt.waiting import Phases, interruptible\n"
        "phases = Phases()\n"
        "def work():\n"
        "    print('begun', flush=True)\n"
        "    step = 0\n"
        "    while phases.stepped('building', step):\n"
        "        step += 1\n"
        "        time.sleep(0.01)\n"
        "    print('stopped', flush=True)\n"
        "try:\n"
        "    interruptible(work, stop=phases.stop, tell=lambda: None)\n"
        "except KeyboardInterrupt:\n"
        "    print('raised')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        try:
            rest, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert rest.splitlines() == ["stopped", "raised"]


def test_phases_tell_the_innermost_one() -> None:
    phases = Phases()
    assert phases.now == ("", 0, 0)
    phases.started("build", 4)
    assert phases.stepped("build", 0)
    phases.started("tactics", 30)
    assert phases.stepped("tactics", 11)
    assert phases.now == ("tactics", 12, 30)
    phases.finished("tactics")
    assert phases.now == ("build", 1, 4)
    phases.stop()
    assert not phases.stepped("build", 1)
    phases.finished("nobody knows it")
    assert phases.stepped("unheard of", 2) is False
