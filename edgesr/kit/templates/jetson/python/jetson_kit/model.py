"""What the kit knows of its network, from the artifact's manifest, and which engines belong to it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from jetson_kit.errors import KitError

MANIFEST = Path(__file__).parents[2] / "artifact" / "manifest.json"


@dataclass(frozen=True)
class Model:
    """input, output: the tensors' names. scale: the factor.

    radius: how far an output pixel sees, in input pixels; None where it sees the whole picture. onnx: the ONNX file's SHA-256.
    """

    input: str
    output: str
    scale: int
    radius: int | None
    onnx: str


@dataclass(frozen=True)
class Machine:
    """What engines are bound to: TensorRT's version, as in 10.3.0, the GPU's name, its compute capability, as in 8.7."""

    tensorrt: str
    gpu: str
    capability: str


def read_model(path: Path = MANIFEST) -> Model:
    """The kit's own network."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        (onnx,) = (file["sha256"] for file in data["files"] if file["name"] == data["artifact"])
        reach = data["reach"]
        return Model(
            input=data["input"]["name"],
            output=data["output"]["name"],
            scale=data["scale"],
            radius=reach["radius"] if reach["kind"] == "local" else None,
            onnx=onnx,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(f"{path} cannot be read: {error!r}", "Copy the whole kit again.") from error


def read_engine(path: Path, model: Model, machine: Machine, *, trusted: bool) -> bytes:
    """The bytes of an engine that may be loaded here.

    An engine is native code. Beside one that `edgesr build` made lies NAME.json: the engine has to be the very file that was
    built, from this kit's ONNX, by this TensorRT (three numbers of its version count) on this GPU. Without NAME.json it has to be
    `trusted`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KitError(f"there is no engine {path}: {error.strerror}", "Build it first: README.md, step 1.") from error
    manifest = path.with_suffix(".json")
    if not manifest.exists():
        if trusted:
            return data
        raise KitError(
            f"beside {path} there is no {manifest.name} that says who built it, and engines are native code",
            "If you built it yourself, add --trust.",
        )
    try:
        said = json.loads(manifest.read_text(encoding="utf-8"))
        built = [said[key] for key in ("sha256", "onnx_sha256", "tensorrt", "gpu", "compute_capability")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(f"{manifest} cannot be read: {error!r}", "Build the engine again: README.md, step 1.") from error
    here = [hashlib.sha256(data).hexdigest(), model.onnx, machine.tensorrt, machine.gpu, machine.capability]
    built[2], here[2] = (".".join(version.split(".")[:3]) for version in (str(built[2]), machine.tensorrt))
    names = ["its bytes", "its ONNX file", "TensorRT", "the GPU", "the compute capability"]
    for name, then, now in zip(names, built, here, strict=True):
        if then != now:
            raise KitError(
                f"{path} does not fit: of {name}, {manifest.name} says {then}, and here is {now}",
                "Build the engine again on this machine: README.md, step 1.",
            )
    return data
