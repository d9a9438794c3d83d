"""ONNX Runtime with TensorRT inside: its TensorRT provider builds an engine for a file, and keeps it in the user's cache.

The first run of a size builds for minutes. `edgesr build` and the runtime `tensorrt` do without ONNX Runtime.
"""

import importlib
import os
from pathlib import Path

from edgesr.artifact import Artifact
from edgesr.backends import require
from edgesr.errors import ArtifactError, BackendMissingError
from edgesr.runtime import Options, Runtime
from edgesr.runtimes._ort_providers import TENSORRT, Provider, cuda
from edgesr.runtimes.ort import OrtSession, gpu_session

_TF32 = "NVIDIA_TF32_OVERRIDE"
"""What NVIDIA's libraries read: 0 forbids TF32, which TensorRT takes for float32 otherwise; the provider has no option for it."""


def tensorrt(cache: Path, *, half: bool) -> Provider:
    """The TensorRT provider. cache: the folder of its engines and of what it learns of kernels' times. half: whether the file
    computes in float16.

    ONNX Runtime 1.31 makes networks that are not strongly typed (read from its library, which asks TensorRT 10 for no flag): the
    file's types are wishes there, and float16 is taken only where it is allowed.
    """
    return Provider(
        name=TENSORRT,
        options={
            "device_id": "0",
            "trt_fp16_enable": "1" if half else "0",
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(cache),
        },
    )


def engines_of(artifact: Artifact) -> Path:
    """Where the engines of a file go: an engine is code, so that none is taken from the artifact's folder, whoever made it."""
    from edgesr.weights import cache_folder

    return cache_folder() / "ort-tensorrt" / artifact.manifest.model_sha256[:16]


def _open(artifact: Artifact, wanted: Options) -> OrtSession:
    require("onnxruntime", extra="", what="runtime ort-tensorrt")
    half, cache = artifact.manifest.precision == "fp16", engines_of(artifact)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"{cache} cannot be written: {error.strerror}", hint="Name a cache folder that you may write to: EDGESR_CACHE=DIR."
        ) from error
    if not half:
        os.environ.setdefault(_TF32, "0")
    try:
        importlib.import_module("tensorrt")  # which loads TensorRT's libraries from its packages, where the system has none
    except (ImportError, OSError) as error:
        raise BackendMissingError(
            f"TensorRT is installed but cannot be loaded: {error}", hint="See `edgesr doctor`, and the driver: nvidia-smi."
        ) from error
    session = gpu_session(artifact, wanted, [tensorrt(cache, half=half), cuda()])
    session.settings |= {
        "engines": f"{cache.parent.name}/{cache.name} in the user's cache",
        _TF32: os.environ.get(_TF32, "not set"),
    }
    return session


RUNTIME = Runtime(
    title="ONNX Runtime (TensorRT)",
    formats=frozenset({"onnx"}),
    package="tensorrt",
    extra="ort-tensorrt",
    open=_open,
    target="onnx",
    devices=("cuda",),
)
