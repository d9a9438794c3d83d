"""A cell's process: reads a JSON request from each line of its input, answers each with a line of JSON.

Usage: python -m edgesr.bench.worker OPENER ARGUMENTS PACKAGE. OPENER is `module:function`, ARGUMENTS are JSON, PACKAGE is what is
imported before the baseline of the memory is taken. The process holds no PyTorch unless the cell is PyTorch.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

import numpy as np

from edgesr.bench.resident import peak_mb, reset_peak, resident_mb
from edgesr.bench.views import crop, difference_crop, picture_from_bytes, picture_to_bytes
from edgesr.runtime import Bound, RuntimeSession
from edgesr.tensors import FloatArray


class Worker:
    """One cell: imported, opened, compared, timed. Every request's answer is a dict."""

    def __init__(self, opener: str, arguments: dict[str, Any], package: str) -> None:
        self.opener, self.arguments, self.package = opener, arguments, package
        self.session: RuntimeSession
        self.image: FloatArray
        self.bound: Bound

    def open(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Import and open: seconds, settings, and the resident memory after the bare import."""
        if self.package:
            importlib.import_module(self.package)
        module, _, function = self.opener.partition(":")
        call = getattr(importlib.import_module(module), function)
        baseline = resident_mb()
        reset = reset_peak()
        start = time.perf_counter_ns()
        self.session = call(**self.arguments)
        seconds = (time.perf_counter_ns() - start) / 1e9
        self._check_imports()
        return {"import_mb": baseline, "peak_was_reset": reset, "load_s": seconds, "settings": self.session.settings}

    def first(self, request: dict[str, Any]) -> dict[str, Any]:
        """The first inference on `image` (a path to an array): its time, and the peak memory so far."""
        self.image = np.load(request["image"])
        start = time.perf_counter_ns()
        self.bound = self.session.bind(self.image)
        self.bound()
        return {"ns": time.perf_counter_ns() - start, "peak_mb": peak_mb(), "device_mb": self._device_mb()}

    def compare(self, request: dict[str, Any]) -> dict[str, Any]:
        """The last run's output against `expected` (a path to an array), and crops of both to look at."""
        from edgesr.parity import difference

        self._check_imports()
        expected, output = np.load(request["expected"]), self.bound.output()
        found = difference("picture", expected, output)
        picture, white = difference_crop(expected, output)
        parity = {"max_abs": found.max_abs, "relative_l2": found.relative_l2, "psnr_db": found.psnr_db}
        return {"parity": parity, "output_png": crop(output), "difference_png": picture, "difference_white": white}

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """`untimed` runs, then `runs` timed ones: nanoseconds of each timed one, and the processor's for all."""
        processor = time.process_time_ns()
        for _ in range(request["untimed"]):
            self.bound()
        samples = []
        for _ in range(request["runs"]):
            start = time.perf_counter_ns()
            self.bound()
            samples.append(time.perf_counter_ns() - start)
        return {"ns": samples, "processor_ns": time.process_time_ns() - processor}

    def end_to_end(self, request: dict[str, Any]) -> dict[str, Any]:
        """`runs` times from an 8-bit picture (H,W,3) to an 8-bit picture (sH,sW,3)."""
        picture = picture_to_bytes(self.image)
        samples = []
        for _ in range(request["runs"]):
            start = time.perf_counter_ns()
            picture_to_bytes(self.session.run(picture_from_bytes(picture)))
            samples.append(time.perf_counter_ns() - start)
        return {"ns": samples}

    def again(self, request: dict[str, Any]) -> dict[str, Any]:
        """`runs` more: resident memory after each, and the peak."""
        after = []
        for _ in range(request["runs"]):
            self.bound()
            after.append(resident_mb())
        return {"resident_mb": after, "peak_mb": peak_mb(), "device_mb": self._device_mb()}

    def energy(self, request: dict[str, Any]) -> dict[str, Any]:
        """Joules of an inference, by meter; empty where the machine has none."""
        from edgesr.bench.power import energy_of

        return {"energy": energy_of(self.bound, request["for_seconds"], device=request["device"])}

    def _check_imports(self) -> None:
        if "torch" in sys.modules and self.package != "torch":
            raise RuntimeError("this process has imported PyTorch, which would disturb its figures")

    def _device_mb(self) -> dict[str, float]:
        """What PyTorch's allocator on a CUDA device has held at most."""
        torch = sys.modules.get("torch")
        if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
            return {}
        return {
            "PyTorch allocator, peak": torch.cuda.max_memory_allocated() / 2**20,
            "PyTorch reserved, peak": torch.cuda.max_memory_reserved() / 2**20,
        }


def main(opener: str, arguments: str, package: str) -> None:
    """Answer until the input ends."""
    # Libraries print to standard output when they like to; the answers go where only we write.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(opener, json.loads(arguments), package)
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
