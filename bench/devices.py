"""The devices that can be measured on, and whether this machine has them."""

import sys

from edgesr.backends import require
from edgesr.environment import environment, processor
from edgesr.errors import BackendMissingError, DeviceError, UnknownNameError
from edgesr.runtimes._trt.driver import Driver

DEVICES = ("cpu", "cuda", "all", "gpu", "ane")
"""The processor, CUDA; and Core ML's choices on a Mac: all units, the processor and GPU, the processor and Neural Engine."""


def check_device(device: str) -> None:
    """Raise UnknownNameError for no device, BackendMissingError, with what is there instead, for one that is not here."""
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if device in DEVICES[2:] and sys.platform != "darwin":
        raise BackendMissingError(f"{device} is a choice of Core ML's, on a Mac", hint="Here: edgesr bench --device cpu.")
    if device in DEVICES[2:]:
        require("coremltools", extra="coreml", what=f"--device {device}")
    if device == "cuda" and not (pytorch_has_cuda() or _has_gpu()):
        raise BackendMissingError(
            "this machine has no CUDA device",
            hint=f"What is here: cpu ({processor()}, {environment().processors} processors): edgesr bench --device cpu\n"
            "On a machine with an NVIDIA GPU: install its driver, then see `edgesr doctor`.",
        )


def pytorch_has_cuda() -> bool:
    """Whether PyTorch runs on CUDA here. On a Jetson it need not, and TensorRT does without it."""
    import torch

    return torch.cuda.is_available()


def _has_gpu() -> bool:
    """Whether the NVIDIA driver knows of a GPU."""
    try:
        Driver().first_gpu()
    except (BackendMissingError, DeviceError):
        return False
    return True
