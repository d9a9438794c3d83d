"""ONNX Runtime on the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgesr.artifact import Artifact, Manifest
from edgesr.errors import ArtifactError
from edgesr.runtime import Bound, Options, Runtime
from edgesr.tensors import FloatArray, SizeRule, size_of

if TYPE_CHECKING:
    import onnxruntime


class OrtSession:
    """A network in ONNX Runtime. Sizes are checked before anything runs."""

    def __init__(self, session: "onnxruntime.InferenceSession", manifest: Manifest) -> None:
        self._session = session
        self._input = manifest.input.name
        self._batch = manifest.input.shape[0]
        self._dtype = manifest.input.dtype
        self.scale = manifest.scale
        self.sizes: SizeRule = manifest.sizes
        threads = session.get_session_options().intra_op_num_threads
        self.settings = {
            "threads": str(threads) if threads else "ONNX Runtime's own choice",
            "providers": ", ".join(session.get_providers()),
            "memory": "freed after last use",
        }

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW), not clamped; raises SizeError for a size outside `sizes`."""
        self.sizes.check(size_of(image))
        if isinstance(self._batch, int) and len(image) != self._batch:
            return np.concatenate([self._run(image[i : i + 1]) for i in range(len(image))])
        return self._run(image)

    def bind(self, image: FloatArray) -> Bound:
        """A run of the image from memory that the session reads without a copy; see `RuntimeSession.bind`."""
        self.sizes.check(size_of(image))
        if isinstance(self._batch, int) and len(image) != self._batch:
            return Bound(lambda: self.run(image), lambda output: output)
        feed = {self._input: np.ascontiguousarray(image, dtype=self._dtype)}

        return Bound(lambda: self._session.run(None, feed), lambda outputs: outputs[0])

    def _run(self, image: FloatArray) -> FloatArray:
        (output,) = self._session.run(None, {self._input: np.ascontiguousarray(image, dtype=self._dtype)})
        return np.asarray(output, dtype=np.float32)


def _open(artifact: Artifact, wanted: Options) -> OrtSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = wanted.threads or 0
    # Every map is freed after its last use. The runtime's own plans keep maps longer, to reuse them, and from the second run on
    # hold one more block for all of them. Peak RSS in MB after one run and after five, without and with both plans: vapsr
    # 128x128 90, 90 and 101, 129; 180x320 147, 147 and 186, 286; esc-light 180x320 259, 261 and 394, 676. CPU time without,
    # relative to with, one thread on a busy machine: vapsr 0.95 at 128x128; esc-light 0.99 at 128x128 and at 180x320.
    # The arena stays: without it every run takes its pages anew, for 1.1 of the CPU time (vapsr, 180x320).
    options.enable_mem_reuse = False
    options.enable_mem_pattern = False
    return OrtSession(_load(artifact.path, onnxruntime.InferenceSession, options), artifact.manifest)


def _load(
    path: Path, session_type: type["onnxruntime.InferenceSession"], options: "onnxruntime.SessionOptions"
) -> "onnxruntime.InferenceSession":
    try:
        return session_type(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ArtifactError(f"ONNX Runtime cannot load {path.name}: {error}", hint="Export the model again.") from error


RUNTIME = Runtime(title="ONNX Runtime (CPU)", formats=frozenset({"onnx"}), package="onnxruntime", open=_open, target="ort")
