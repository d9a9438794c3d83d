"""A candidate's process: reads a JSON request from each line of its input, answers with a line of JSON, one at a time.

Usage: python -m bench_peers.worker KIND PATH THREADS
"""

import json
import os
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench_peers.runners import PACKAGES, Run, import_package, load
from edgesr.tensors import FloatArray


def peak_mb() -> float:
    """The largest resident memory of this process so far, in MB of 2²⁰ bytes.

    Not getrusage's ru_maxrss where Linux offers better: that one survives exec, and so begins at what the parent had.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


class Worker:
    """One candidate: imported, loaded, run, timed. Every request's answer is a dict."""

    def __init__(self, kind: str, path: str, threads: int) -> None:
        self.kind, self.path, self.threads = kind, path, threads
        self.run: Run = lambda image: image
        self.image: FloatArray = np.zeros((1, 3, 1, 1), dtype=np.float32)

    def load(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Import and load; seconds, settings, and the peak memory after the bare import."""
        import_package(self.kind)
        baseline = peak_mb()
        start = time.perf_counter_ns()
        self.run, settings = load(self.kind, self.path, self.threads)
        seconds = (time.perf_counter_ns() - start) / 1e9
        torch_there = "torch" in sys.modules and self.kind != "pytorch"
        if torch_there:
            raise RuntimeError("this process has imported PyTorch, which would disturb its figures")
        return {"package": PACKAGES[self.kind], "import_mb": round(baseline, 1), "load_seconds": seconds, "settings": settings}

    def compare(self, request: dict[str, Any]) -> dict[str, Any]:
        """One run on `image`; the peak memory, and the difference from `expected` (a path), or that it is the reference."""
        self.image = np.load(request["image"])
        output = self.run(self.image)
        peak = round(peak_mb(), 1)  # before the comparison, which needs memory of its own
        from edgesr.parity import difference

        threads = len(os.listdir("/proc/self/task")) if Path("/proc/self/task").exists() else None  # noqa: PTH208  # a plain count
        found = asdict(difference("picture", np.load(request["expected"]), output))
        return {"peak_mb": peak, "parity": found, "process_threads": threads}

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """`untimed` runs, then `runs` timed ones: nanoseconds of each."""
        samples = []
        for number in range(request["untimed"] + request["runs"]):
            start = time.perf_counter_ns()
            self.run(self.image)
            end = time.perf_counter_ns()
            if number >= request["untimed"]:
                samples.append(end - start)
        return {"ns": samples}


def main(kind: str, path: str, threads: str) -> None:
    """Answer until the input ends."""
    # Libraries print to standard output when they like to; the answers go where only we write.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(kind, path, int(threads))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request["do"])(request)
        except Exception as error:  # noqa: BLE001  # whatever a runtime raises is the answer
            answer = {"error": f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
