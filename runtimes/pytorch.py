"""PyTorch eager: the reference itself, untouched. On a GPU also in half precision, as its authors would run it there."""

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesr.artifact import Artifact
from edgesr.errors import BackendMissingError, CheckpointError
from edgesr.manifest import Manifest
from edgesr.runtime import Bound, Options, Runtime, RuntimeSession
from edgesr.tensors import FloatArray, Size, SizeRule, size_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgesr.reference import Reference

DEFAULTS = Options()


class PyTorchSession:
    """A reference network. module: what runs, the reference's own or a compiled form of it."""

    def __init__(self, reference: "Reference", module: "nn.Module", options: Options) -> None:
        side = reference.spec.minimum_size
        self._module = module
        self._device, self._half = options.device or "cpu", options.precision == "fp16"
        self.scale = reference.spec.scale
        self.sizes = SizeRule(minimum=Size(height=side, width=side))
        self.settings = _settings(options)

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW), not clamped; raises SizeError for a size outside `sizes`."""
        import torch

        with torch.inference_mode():
            return self._fetched(self._module(self._placed(image)))

    def bind(self, image: FloatArray) -> Bound:
        """A run of the image from the device's memory, until the device is done; see `RuntimeSession.bind`."""
        import torch

        x = self._placed(image)

        def run() -> "Tensor":
            with torch.inference_mode():
                y: Tensor = self._module(x)
            if self._device == "cuda":
                torch.cuda.synchronize()
            return y

        return Bound(run, self._fetched)

    def device_mb(self) -> dict[str, float]:
        """What PyTorch's allocator on a CUDA device has held at most, in MB of 2²⁰ bytes."""
        import torch

        if self._device != "cuda":
            return {}
        return {
            "PyTorch allocator, peak": torch.cuda.max_memory_allocated() / 2**20,
            "PyTorch reserved, peak": torch.cuda.max_memory_reserved() / 2**20,
        }

    def _placed(self, image: FloatArray) -> "Tensor":
        import torch

        self.sizes.check(size_of(image))
        x = torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
        return x.half() if self._half else x

    def _fetched(self, y: "Tensor") -> FloatArray:
        return y.float().cpu().numpy()


def _settings(options: Options) -> dict[str, str]:
    """What PyTorch can do differently, as it is set."""
    import torch

    kinds = {"flash": "flash_sdp", "memory-efficient": "mem_efficient_sdp", "math": "math_sdp"}
    kinds |= {"cuDNN": "cudnn_sdp"} if options.device == "cuda" else {}
    attention = [name for name, kind in kinds.items() if getattr(torch.backends.cuda, f"{kind}_enabled")()]
    found = {
        "threads": str(torch.get_num_threads()),
        "memory format": "contiguous (NCHW)",
        "attention": f"scaled_dot_product_attention may take {', '.join(attention)}",
    }
    if options.precision == "fp16":
        found["precision"] = "weights, input and all between in float16 (module.half())"
    if options.device == "cuda":
        products, convolutions = float32_on_cuda()
        found |= {
            "float32 in products": products.fp32_precision,
            "float32 in convolutions": convolutions.fp32_precision,
            "cuDNN benchmark": str(torch.backends.cudnn.benchmark),
            "cuDNN": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]  # torch does not annotate it
        }
    return found


def float32_on_cuda() -> tuple[Any, Any]:
    """PyTorch's settings of what float32 means on a GPU, for matrix products and for convolutions: `fp32_precision` of each."""
    import torch

    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # torch puts another object in its module's place
    return torch.backends.cuda.matmul, convolutions


def reference_of(manifest: Manifest, *, weights: str | None = None) -> "Reference":
    """The reference that an artifact was made from.

    weights: a file or the name of fetched official weights; None looks for the checkpoint by the name in the manifest.
    Raises CheckpointError when the checkpoint is not there or is another one than the manifest's.
    """
    from edgesr.reference import load_reference

    recorded = manifest.weights
    if weights is None and recorded != "untrained" and recorded["kind"] != "demo":
        weights = recorded["name"]
    reference = load_reference(model=manifest.model, scale=manifest.scale, weights=weights)
    expected = None if recorded == "untrained" else recorded["sha256"]
    if reference.weights.sha256 != expected:
        raise CheckpointError(
            f"{reference.weights.name} (sha256 {str(reference.weights.sha256)[:12]}…) is not what this artifact was made from "
            f"({str(expected)[:12]}…)",
            hint="Name the checkpoint that it was exported from: --weights FILE",
        )
    return reference


def open_reference(reference: "Reference", options: Options = DEFAULTS) -> RuntimeSession:
    """The reference in eager mode; raises BackendMissingError where the device is missing."""
    return PyTorchSession(reference, placed_module(reference, options), options)


def placed_module(reference: "Reference", options: Options) -> "nn.Module":
    """The reference's module for pictures in [0,1], on its device and in its precision.

    The reference's own for float32 on the processor, else a copy.
    Sets for this process the number of threads and, on a GPU, that float32 is computed as such: by default PyTorch's convolutions
    keep 10 bits of the fraction (TF32), which is faster and misses the 1e-4 that float32 is held to.
    """
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        raise BackendMissingError(
            f"PyTorch {torch.__version__} finds no CUDA device that it can use", hint="Take --device cpu, or see: edgesr doctor"
        )
    if options.threads:
        torch.set_num_threads(options.threads)
    module = reference.unit_module()
    if (options.device or "cpu", options.precision) == ("cpu", "fp32"):
        return module
    if options.device == "cuda":
        for operators in float32_on_cuda():
            operators.fp32_precision = "ieee"
    dtype = torch.float16 if options.precision == "fp16" else torch.float32
    return copy.deepcopy(module).to(device=options.device or "cpu", dtype=dtype)


def _open(artifact: Artifact, options: Options) -> RuntimeSession:
    return open_reference(reference_of(artifact.manifest), options)


RUNTIME = Runtime(
    title="PyTorch, eager",
    formats=frozenset(),
    package="torch",
    open=_open,
    open_reference=open_reference,
    devices=("cpu", "cuda"),
)
