"""TensorRT engines without PyTorch: pycuda moves the pictures, the engine comes from `edgesr build`.

Nobody has run this with TensorRT where edgesr is made: docs/tensorrt.md says what was checked instead.
"""

import shlex
from functools import partial
from pathlib import Path

from edgesr.artifact import Artifact
from edgesr.backends import require
from edgesr.errors import ArtifactError
from edgesr.manifest import Profile
from edgesr.runtime import Options, Runtime
from edgesr.runtimes._trt.cuda import CudaDevice
from edgesr.runtimes._trt.engines import usable_engines
from edgesr.runtimes._trt.loading import LoadedEngine, here, load
from edgesr.runtimes._trt.profiles import check_target
from edgesr.runtimes._trt.session import Runnable, TensorrtSession


def _open(artifact: Artifact, _options: Options) -> TensorrtSession:
    """The artifact's engines for this machine. Their manifests and bytes are checked before TensorRT sees any of them."""
    check_target(artifact)
    require("pycuda", extra="tensorrt", what="runtime tensorrt")
    machine = here()
    runnables = [
        Runnable(
            load=partial(_load, artifact, path, manifest.profile),
            profile=manifest.profile,
            facts={"engine": path.stem, "TF32": manifest.options.get("tf32", "unknown")},
        )
        for path, manifest in usable_engines(artifact, machine)
    ]
    device = CudaDevice()  # before TensorRT, so that both work in the primary context
    settings = {"TensorRT": machine.tensorrt}
    return TensorrtSession(runnables, device, artifact.manifest, settings, folder=shlex.quote(str(artifact.folder)))


def _load(artifact: Artifact, path: Path, profile: Profile) -> LoadedEngine:
    engine = load(path.read_bytes(), path.name)
    engine.check(artifact.manifest, path.name)
    if engine.profile(artifact.manifest.input.name) != profile:
        again = "Build it again: edgesr build DIR --again"
        raise ArtifactError(f"{path.name} takes other shapes than its manifest says", hint=again)
    return engine


RUNTIME = Runtime(
    title="TensorRT",
    formats=frozenset({"onnx"}),
    package="tensorrt",
    extra="tensorrt",
    open=_open,
    target="tensorrt",
    of_one_size=True,
    devices=("cuda",),
)
