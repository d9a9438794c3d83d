"""ONNX Runtime's providers for NVIDIA GPUs: whether they are there and came up, and on which of them every operator runs.

ONNX Runtime itself goes on with the processor where a provider cannot be had, and says so in its log alone. Here it is an error.
"""

import contextlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesr import ort_packages
from edgesr.errors import ArtifactError, BackendMissingError

if TYPE_CHECKING:
    import onnxruntime

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

_RECORD = "session.record_ep_graph_assignment_info"
"""ONNX Runtime from 1.24 on tells where each operator went."""
_REFUSE = "session.disable_cpu_ep_fallback"
"""ONNX Runtime before 1.24 can only refuse a file of which any operator at all would run on the processor."""

ON_SHAPES = """
Add And Cast Ceil Concat Constant ConstantOfShape Cos Div Equal Expand Floor Gather Greater GreaterOrEqual Identity Less
LessOrEqual Max Min Mod Mul Neg Not Or Pow Range ReduceProd Reshape Shape Sin Size Slice Split Sqrt Squeeze Sub Tile Transpose
Unsqueeze Where
"""
"""What may run on the processor beside a GPU: operators that compute sizes, positions and their waves from sizes alone.

ONNX Runtime puts them there on purpose where all that they read are sizes (`GetCpuPreferredNodes`), for a GPU would be slower.
On maps all of them have CUDA kernels in float32 and float16, so that one on the processor works on no map, unless an operator
that is not in this list does before it. In the exported networks no other operator follows from the size alone.
"""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """An execution provider with its options, as `onnxruntime.InferenceSession` takes them."""

    name: str
    options: Mapping[str, str]


def cuda() -> Provider:
    """The CUDA provider. Float32 means float32: without TF32, which is the default and keeps 10 bits of the fraction.

    The arena takes from the device what is asked for, where the default would take the next power of two. For every new size
    cuDNN tries its algorithms and takes the fastest: the first run of a size is slow. Both the search and the workspace that an
    algorithm may have are ONNX Runtime's defaults, stated here because they decide speed and memory.
    """
    return Provider(
        name=CUDA,
        options={
            "device_id": "0",
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "cudnn_conv_use_max_workspace": "1",
            "use_tf32": "0",
        },
    )


def open_on_gpu(
    model: Path | bytes, providers: Sequence[Provider], options: "onnxruntime.SessionOptions"
) -> tuple["onnxruntime.InferenceSession", str]:
    """A session whose operators run on the providers, the first before the others, and where they went, in words.

    model: a file, or what would be in it. Raises BackendMissingError where the first provider is missing or does not come up,
    ArtifactError where operators on maps would run on the processor, or the file cannot be loaded.
    """
    import onnxruntime

    wanted = providers[0].name
    here = onnxruntime.get_available_providers()
    if wanted not in here:
        packages = ort_packages.installed()
        raise BackendMissingError(
            f"this ONNX Runtime ({ort_packages.described(packages)}) has no {wanted}, only {', '.join(here)}",
            hint=_hint("Install the build for GPUs alone:", *ort_packages.commands(packages, gpu=True)),
        )
    unloaded = _preload(onnxruntime)
    tells = hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")
    options.add_session_config_entry(_RECORD if tells else _REFUSE, "1")
    options.log_severity_level = 3  # errors alone: it warns of sizes that are computed on the processor on purpose
    try:
        session = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=[(each.name, dict(each.options)) for each in providers],
            enable_fallback=0,
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise _refused(error, wanted, model, unloaded) from error
    if session.get_providers()[:1] != [wanted]:
        raise _did_not_come_up(wanted, unloaded)
    return session, placement(session, wanted) if tells else f"all on {wanted}: this ONNX Runtime refuses anything else"


def placement(session: Any, wanted: str) -> str:
    """How many operators went to which provider, in words.

    Raises ArtifactError for operators on maps on the processor, or where the provider `wanted` took none.
    """
    went: dict[str, Counter[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        went.setdefault(part.ep_name, Counter()).update(node.op_type for node in part.get_nodes())
    strays = Counter({kind: times for kind, times in went.get(CPU, Counter()).items() if kind not in ON_SHAPES.split()})
    if strays:
        named = ", ".join(f"{times} {kind}" for kind, times in strays.most_common(5))
        raise ArtifactError(
            f"ONNX Runtime would run {strays.total()} operators on the processor, for which it has no kernel on the GPU: {named}",
            hint="Run it on the processor (--device cpu), or export it with standard operators (--target onnx).",
        )
    if wanted not in went:
        raise ArtifactError(
            f"{wanted} took none of the operators: {', '.join(sorted(went)) or 'nothing'} has them all",
            hint="Run it without: --runtime ort --device cuda.",
        )
    counts = {name: kinds.total() for name, kinds in went.items()}
    return ", ".join(
        f"{count} operators on {name.removesuffix('ExecutionProvider')}{' (sizes)' if name == CPU else ''}"
        for name, count in sorted(counts.items(), key=lambda item: -item[1])
    )


def _preload(module: Any) -> list[str]:
    """Load CUDA's libraries from the packages that have them, as nothing else would; the lines that say what was not found."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # it prints what it could not load
        module.preload_dlls()
    return [line.strip() for line in said.getvalue().splitlines() if line.startswith("Failed")]


def _did_not_come_up(wanted: str, unloaded: Sequence[str]) -> BackendMissingError:
    why = "; ".join(unloaded) or "what ONNX Runtime printed above says why"
    return BackendMissingError(
        f"{wanted} did not come up, and ONNX Runtime would have run on the processor without a word: {why}",
        hint=_hint("Its libraries (CUDA, cuDNN) must be of the versions that it was built for.", *_libraries_of(wanted)),
    )


def _refused(error: Exception, wanted: str, model: Path | bytes, unloaded: Sequence[str]) -> BackendMissingError | ArtifactError:
    """The error for a session that ONNX Runtime did not make."""
    text = str(error).strip()
    name = "the model" if isinstance(model, bytes) else model.name
    if "assigned to the default CPU EP" in text and unloaded:
        return _did_not_come_up(wanted, unloaded)
    if "assigned to the default CPU EP" in text:
        return ArtifactError(
            f"{name} holds operators that ONNX Runtime would run on the processor, and this version does not say which",
            hint="Sizes that are computed at run time are enough for it: export with --size, or take ONNX Runtime 1.24 or later.",
        )
    if any(word in text.lower() for word in ("cuda", "cudnn", "cublas", "tensorrt", "nvinfer")):
        return BackendMissingError(f"{wanted} did not come up: {text.splitlines()[0]}", hint=_hint(*_libraries_of(wanted)))
    return ArtifactError(f"ONNX Runtime cannot load {name}: {text}", hint="Export the model again.")


def _libraries_of(wanted: str) -> tuple[str, ...]:
    """Which TensorRT it must be: pip, asked for TensorRT alone, brings one that ONNX Runtime cannot load."""
    if wanted != TENSORRT:
        return ()
    return ('ONNX Runtime, up to 1.31 at least, is built for TensorRT 10, not 11: pip install "edgesr[ort-tensorrt]"',)


def _hint(*lines: str) -> str:
    return "\n".join((*lines, "See what is installed and what works: edgesr doctor"))
