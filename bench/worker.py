"""A cell's process: reads a JSON request from each line of its input, answers each with a line of JSON.

Usage: python -m edgesr.bench.worker OPENER ARGUMENTS PACKAGE. OPENER is `module:function`, ARGUMENTS are JSON, PACKAGE is what is
imported before the baseline of the memory is taken. The process holds no PyTorch unless the cell is PyTorch: what asks for it
hears that it is not there. Packages that take it along where it is installed, as coremltools does, then go on without it.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

import numpy as np

from edgesr.bench.resident import peak_mb, reset_peak, resident_mb
from edgesr.bench.views import crop, difference_crop, picture_from_bytes, picture_to_bytes
from edgesr.runtime import Bound, RuntimeSession, TellsDeviceMemory
from edgesr.tensors import FloatArray


class WithoutPyTorch(MetaPathFinder):
    """Before all other finders: there is no PyTorch."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002  # the contract's
        """Raise ModuleNotFoundError for PyTorch; leave all else to the others."""
        if name == "torch":
            raise ModuleNotFoundError("this process may not import PyTorch, which would disturb its figures", name=name)


class Worker:
    """One cell: imported, opened, compared, timed. Every request's answer is a dict."""

    def __init__(self, opener: str, arguments: dict[str, Any], package: str) -> None:
        self.opener, self.arguments, self.package = opener, arguments, package
        self.session: RuntimeSession
        self.image: FloatArray
        self.bound: Bound

    def open(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Import and open: seconds, and the resident memory after the bare import."""
        if self.package:
            importlib.import_module(self.package)
        module, _, function = self.opener.partition(":")
        call = getattr(importlib.import_module(module), function)
        baseline = resident_mb()
        reset = reset_peak()
        start = time.perf_counter_ns()
        self.session = call(**self.arguments)
        seconds = (time.perf_counter_ns() - start) / 1e9
        return {"import_mb": baseline, "peak_was_reset": reset, "load_s": seconds}

    def settings(self, _request: dict[str, Any]) -> dict[str, Any]:
        """What the runtime says of how it has run."""
        return {"settings": self.session.settings}

    def first(self, request: dict[str, Any]) -> dict[str, Any]:
        """The first inference on `image` (a path to an array): its time, and the peak memory so far."""
        self.image = np.load(request["image"])
        start = time.perf_counter_ns()
        self.bound = self.session.bind(self.image)
        self.bound()
        return {"ns": time.perf_counter_ns() - start, "peak_mb": peak_mb(), "device_mb": self._device_mb()}

    def compare(self, request: dict[str, Any]) -> dict[str, Any]:
        """The last run's output against `expected` (a path to an array), and crops of both to look at.

        picture: whether the output is one, which is clamped; then `expected` is, too.
        """
        from edgesr.parity import difference

        expected, output = np.load(request["expected"]), self.bound.output()
        expected = expected.clip(0, 1) if request["picture"] else expected
        found = difference("picture", expected, output)
        picture, white = difference_crop(expected, output)
        parity = {"max_abs": found.max_abs, "relative_l2": found.relative_l2, "psnr_db": found.psnr_db}
        return {"parity": parity, "output_png": crop(output), "difference_png": picture, "difference_white": white}

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """`untimed` runs, then `runs` timed ones: nanoseconds of each timed one, and the processor's for all.

        device_ns: of each timed one by the device's own clock, where it has one.
        """
        processor = time.process_time_ns()
        for _ in range(request["untimed"]):
            self.bound()
        samples, device = [], []
        for _ in range(request["runs"]):
            start = time.perf_counter_ns()
            self.bound()
            samples.append(time.perf_counter_ns() - start)
            if (milliseconds := self.bound.device_milliseconds) is not None:
                device.append(round(milliseconds * 1e6))
        return {"ns": samples, "device_ns": device, "processor_ns": time.process_time_ns() - processor}

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

    def _device_mb(self) -> dict[str, float]:
        return self.session.device_mb() if isinstance(self.session, TellsDeviceMemory) else {}


def main(opener: str, arguments: str, package: str) -> None:
    """Answer until the input ends."""
    # Libraries print to standard output when they like to; the answers go where only we write.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if package != "torch":
        sys.meta_path.insert(0, WithoutPyTorch())
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
