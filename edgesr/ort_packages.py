"""Which installed packages bring the module `onnxruntime`, and what to type when they are not the right ones.

`onnxruntime` (for processors), `onnxruntime-gpu` (with the CUDA and TensorRT providers; a Jetson's own wheel has one of these two
names) and others are builds of one module, in one folder. Where two are installed, the files are a mixture, of which the last one
wrote most; and uninstalling one of them takes away files of the other.
"""

from collections.abc import Mapping

from edgesr.backends import packages_of

MODULE = "onnxruntime"
FOR_PROCESSORS = "onnxruntime"
FOR_GPUS = '"onnxruntime-gpu[cuda,cudnn]"'
"""What pip is asked for: the extras bring CUDA's libraries and cuDNN, where the system does not have them."""


def installed() -> dict[str, str]:
    """Package -> its version, for every one that brings the module, by name."""
    return packages_of(MODULE)


def described(packages: Mapping[str, str]) -> str:
    """For messages: `onnxruntime 1.31.1`, several with `and`."""
    return " and ".join(f"{name} {version}" for name, version in packages.items()) or "no onnxruntime"


def commands(packages: Mapping[str, str], *, gpu: bool) -> tuple[str, ...]:
    """What to type to have one build alone: the one for GPUs or the one for processors. packages: those that are installed."""
    wanted = FOR_GPUS if gpu else FOR_PROCESSORS
    return (*((f"pip uninstall -y {' '.join(packages)}",) if packages else ()), f"pip install {wanted}")


def complaint(packages: Mapping[str, str]) -> str:
    """What is wrong with having these, or "" where one alone is installed."""
    if not packages:
        return "onnxruntime is not installed"
    if len(packages) == 1:
        return ""
    return (
        f"{described(packages)} are builds of one module in one folder: which providers it has is chance, "
        "and uninstalling one breaks the other"
    )
