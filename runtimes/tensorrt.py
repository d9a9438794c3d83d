"""TensorRT engines without PyTorch: pycuda moves the pictures, the engine comes from `edgesr build`.

Nobody has run this with TensorRT where edgesr is made: docs/tensorrt.md says what was checked instead.
"""

import shlex

from edgesr.artifact import Artifact
from edgesr.backends import require
from edgesr.runtime import Options, Runtime
from edgesr.runtimes._trt.cuda import CudaDevice
from edgesr.runtimes._trt.engines import usable_engines
from edgesr.runtimes._trt.loading import here, load
from edgesr.runtimes._trt.profiles import check_target
from edgesr.runtimes._trt.session import Runnable, TensorrtSession


def _open(artifact: Artifact, _options: Options) -> TensorrtSession:
    """The artifact's engines for this machine. Their manifests are checked before TensorRT sees a byte of them."""
    check_target(artifact)
    require("pycuda", extra="tensorrt", what="runtime tensorrt")
    machine = here()
    found = usable_engines(artifact, machine)
    device = CudaDevice()  # before TensorRT, so that both work in the primary context
    runnables = []
    for path, manifest in found:
        engine = load(path.read_bytes(), path.name)
        engine.check(artifact.manifest, path.name)
        runnables.append(Runnable(engine=engine, profile=manifest.profile))
    settings = {
        "TensorRT": machine.tensorrt,
        "engines": ", ".join(path.stem for path, _ in found),
        "TF32": ", ".join(sorted({manifest.options.get("tf32", "unknown") for _, manifest in found})),
    }
    return TensorrtSession(runnables, device, artifact.manifest, settings, folder=shlex.quote(str(artifact.folder)))


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
