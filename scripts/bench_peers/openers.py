"""How the harness's workers open the peers' files: `bench_peers.openers:NAME` with a path and a number of threads."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from edgesr.runtime import Bound
from edgesr.tensors import FloatArray

Run = Callable[[FloatArray], FloatArray]
"""Image (1,3,H,W) -> (1,3,sH,sW)."""


class Peer:
    """A loaded file: how it runs, and the settings that its runtime says it has."""

    def __init__(self, run: Run, settings: dict[str, str]) -> None:
        self.run, self.settings = run, settings

    def bind(self, image: FloatArray) -> Bound:
        """A run of the image, for the harness."""
        return Bound(lambda: self.run(image), lambda output: output)


def onnx(*, path: str, threads: int) -> Peer:
    """An ONNX file in ONNX Runtime with its defaults."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return Peer(lambda image: np.asarray(session.run(None, {name: image})[0]), {"threads": str(threads)})


def openvino(*, path: str, threads: int) -> Peer:
    """An ONNX file in OpenVINO. Float32 is forced: by default it computes in bfloat16 where the processor has it."""
    package = importlib.import_module("openvino")
    wanted = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = package.Core().compile_model(path, "CPU", wanted)
    request = compiled.create_infer_request()
    settings = {name: _plain(compiled.get_property(name)) for name in (*wanted, "NUM_STREAMS")}

    def run(image: FloatArray) -> FloatArray:
        return np.asarray(request.infer({0: image}, share_inputs=True, share_outputs=True)[0])

    return Peer(run, settings)


def _plain(value: Any) -> str:
    """A property's value as text: types print as `<Type: 'float32'>`, hints as `PerformanceMode.LATENCY`."""
    return str(value).removeprefix("<Type: '").removesuffix("'>").rpartition(".")[2]
