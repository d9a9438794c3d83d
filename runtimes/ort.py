"""ONNX Runtime, on the processor or on an NVIDIA GPU."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesr.artifact import Artifact
from edgesr.errors import ArtifactError
from edgesr.manifest import Manifest
from edgesr.runtime import Bound, Options, Runtime
from edgesr.runtimes._ort_providers import CPU, Provider, cuda, open_on_gpu
from edgesr.tensors import FloatArray, SizeRule, size_of

if TYPE_CHECKING:
    import onnxruntime


class OrtSession:
    """A network in ONNX Runtime. Sizes are checked before anything runs.

    device: where inputs and outputs lie, as ONNX Runtime names it: cpu or cuda.
    """

    def __init__(self, session: "onnxruntime.InferenceSession", manifest: Manifest, *, device: str = "cpu") -> None:
        self._session, self._manifest, self._device = session, manifest, device
        self._batch = manifest.input.shape[0]
        self._last: _Binding | None = None
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
        """A run of the image from the device's memory into the device's memory; see `RuntimeSession.bind`."""
        self.sizes.check(size_of(image))
        if isinstance(self._batch, int) and len(image) != self._batch:
            return Bound(lambda: self.run(image), lambda output: output)
        binding = self._binding(image.shape)
        binding.put(image)
        return Bound(binding.run, lambda _: binding.output())

    def _run(self, image: FloatArray) -> FloatArray:
        if self._device == "cpu":
            feed = np.ascontiguousarray(image, dtype=self._manifest.input.dtype)
            (output,) = self._session.run(None, {self._manifest.input.name: feed})
            return np.asarray(output, dtype=np.float32)
        if self._last is None or self._last.shape != image.shape:
            self._last = None  # before the next is made, so that two are never alive
            self._last = self._binding(image.shape)
        self._last.put(image)
        self._last.run()
        return self._last.output()

    def _binding(self, shape: tuple[int, ...]) -> "_Binding":
        return _Binding(self._session, self._manifest, shape, self._device)


class _Binding:
    """Input and output of one shape, allocated on the device and bound once: a run allocates neither and copies nothing."""

    def __init__(self, session: "onnxruntime.InferenceSession", manifest: Manifest, shape: tuple[int, ...], device: str) -> None:
        import onnxruntime

        self.shape = shape
        self._session = session
        self._dtype = np.dtype(manifest.input.dtype)
        batch, channels, height, width = shape
        larger = [batch, channels, manifest.scale * height, manifest.scale * width]
        made = onnxruntime.OrtValue.ortvalue_from_shape_and_type
        with _enough_memory(shape):
            self._input = made(list(shape), self._dtype, device, 0)
            self._output = made(larger, np.dtype(manifest.output.dtype), device, 0)
        self._binding: Any = session.io_binding()
        self._binding.bind_ortvalue_input(manifest.input.name, self._input)
        self._binding.bind_ortvalue_output(manifest.output.name, self._output)

    def put(self, image: FloatArray) -> None:
        """Copy an image of the shape to the device."""
        self._input.update_inplace(np.ascontiguousarray(image, dtype=self._dtype))

    def run(self) -> None:
        """Run it, until the device is done; raises MemoryError where the device has not enough memory."""
        with _enough_memory(self.shape):
            self._session.run_with_iobinding(self._binding)
        # A run ends when its own stream is done (OnRunEnd); this waits for the whole device, whatever a provider leaves on it.
        self._binding.synchronize_outputs()

    def output(self) -> FloatArray:
        """Copy the output from the device."""
        return np.array(self._output.numpy(), dtype=np.float32)


@contextlib.contextmanager
def _enough_memory(shape: tuple[int, ...]) -> Iterator[None]:
    """Turn ONNX Runtime's error for too little memory into MemoryError, which names the size."""
    try:
        yield
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        if "failed to allocate memory" not in str(error).lower() and "out of memory" not in str(error).lower():
            raise
        batch, _, height, width = shape
        many = f" {batch} times" * (batch > 1)
        half, tile = f"{-(-height // 2)}x{-(-width // 2)}", -(-max(height, width) // 2)
        smaller = f"{half} takes about a quarter, as in edgesr upscale --tile {tile}"
        raise MemoryError(f"the device has not enough for {height}x{width} pixels{many}; {smaller}") from error


def session_options(wanted: Options) -> "onnxruntime.SessionOptions":
    """What a session of ours is opened with, whatever it runs on."""
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
    return options


def gpu_session(artifact: Artifact, wanted: Options, providers: Sequence[Provider]) -> OrtSession:
    """An artifact on the providers, the first before the others; raises what `open_on_gpu` does.

    Options that are folders are not among the settings: these go into records, and folders are the user's own matter.
    """
    session, placed = open_on_gpu(artifact.path, providers, session_options(wanted))
    opened = OrtSession(session, artifact.manifest, device="cuda")
    opened.settings |= {"placement": placed}
    for provider in providers:
        used = session.get_provider_options().get(provider.name, {})
        stated = {name: used.get(name, value) for name, value in provider.options.items() if not name.endswith("_path")}
        opened.settings |= {f"{provider.name} {name}": value for name, value in stated.items()}
    return opened


def _open(artifact: Artifact, wanted: Options) -> OrtSession:
    if wanted.device == "cuda":
        return gpu_session(artifact, wanted, [cuda()])
    return OrtSession(session_on_processor(artifact.path, wanted), artifact.manifest)


def session_on_processor(path: Path, wanted: Options) -> "onnxruntime.InferenceSession":
    """A session for an ONNX file on the processor; raises ArtifactError where ONNX Runtime cannot load it."""
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(str(path), session_options(wanted), providers=[CPU])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ArtifactError(f"ONNX Runtime cannot load {path.name}: {error}", hint="Export the model again.") from error


RUNTIME = Runtime(
    title="ONNX Runtime (CPU, CUDA)",
    formats=frozenset({"onnx"}),
    package="onnxruntime",
    open=_open,
    target="ort",
    target_on={"cuda": "onnx"},
    devices=("cpu", "cuda"),
)
