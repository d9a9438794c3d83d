"""OpenVINO on the CPU, for comparison: it reads the standard ONNX file. Float32 is forced where the file has it.

By default OpenVINO computes in bfloat16 where the processor has it, which is another precision than the file's.
"""

import importlib
from typing import Any

import numpy as np

from edgesr.artifact import Artifact
from edgesr.errors import ArtifactError
from edgesr.manifest import Manifest
from edgesr.runtime import Bound, Options, Runtime
from edgesr.tensors import FloatArray, SizeRule, size_of

_ASKED = ("INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS", "PERFORMANCE_HINT", "NUM_STREAMS")


class OpenVinoSession:
    """A compiled model with a request for `run`, and one for each bound image."""

    def __init__(self, compiled: Any, manifest: Manifest) -> None:
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._dtype = manifest.input.dtype
        self._batch = manifest.input.shape[0]
        self.scale = manifest.scale
        self.sizes: SizeRule = manifest.sizes
        self.settings = {name: _plain(compiled.get_property(name)) for name in _ASKED}

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW), not clamped; raises SizeError for a size outside `sizes`."""
        self.sizes.check(size_of(image))
        if isinstance(self._batch, int) and len(image) != self._batch:
            return np.concatenate([self.run(image[i : i + 1]) for i in range(len(image))])
        self._request.infer({0: np.ascontiguousarray(image, dtype=self._dtype)}, share_inputs=True)
        return np.array(self._request.get_output_tensor(0).data, dtype=np.float32)

    def bind(self, image: FloatArray) -> Bound:
        """A run of the image from memory that OpenVINO reads without a copy; see `RuntimeSession.bind`."""
        self.sizes.check(size_of(image))
        if isinstance(self._batch, int) and len(image) != self._batch:
            return Bound(lambda: self.run(image), lambda output: output)
        feed = {0: np.ascontiguousarray(image, dtype=self._dtype)}
        request = self._compiled.create_infer_request()  # its own, so that no other run writes over its output
        return Bound(
            lambda: request.infer(feed, share_inputs=True, share_outputs=True), lambda _: request.get_output_tensor(0).data
        )


def _plain(value: Any) -> str:
    """A property's value as text: types print as `<Type: 'float32'>`, hints as `PerformanceMode.LATENCY`."""
    return str(value).removeprefix("<Type: '").removesuffix("'>").rpartition(".")[2]


def _open(artifact: Artifact, options: Options) -> OpenVinoSession:
    openvino = importlib.import_module("openvino")
    wanted: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY"}
    if artifact.manifest.precision == "fp32":
        wanted["INFERENCE_PRECISION_HINT"] = "f32"
    if options.threads:
        wanted["INFERENCE_NUM_THREADS"] = options.threads
    try:
        compiled = openvino.Core().compile_model(str(artifact.path), "CPU", wanted)
    except RuntimeError as error:
        raise ArtifactError(
            f"OpenVINO cannot load {artifact.path.name}: {_last_line(error)}", hint="Export for it: --target onnx."
        ) from error
    return OpenVinoSession(compiled, artifact.manifest)


def _last_line(error: RuntimeError) -> str:
    return [line for line in str(error).splitlines() if line.strip()][-1]


RUNTIME = Runtime(
    title="OpenVINO (CPU)", formats=frozenset({"onnx"}), package="openvino", extra="peers", open=_open, peer=True, target="onnx"
)
