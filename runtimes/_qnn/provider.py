"""ONNX Runtime's QNN execution provider: a library that the package onnxruntime-qnn brings and that is registered at run time.

On x86 the same library emulates the HTP: the arithmetic is that of the NPU, the time is not. On a phone or a Windows PC with a
Snapdragon it is the HTP. Options: github.com/onnxruntime/onnxruntime-qnn, docs/execution_providers/QNN-ExecutionProvider.md.
"""

import importlib
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesr.backends import require
from edgesr.errors import BackendMissingError
from edgesr.runtimes._qnn.chips import CHIPS

if TYPE_CHECKING:
    import onnxruntime

PACKAGE = "onnxruntime_qnn"
PROVIDER = "QNNExecutionProvider"


def emulated() -> bool:
    """Whether there can be no HTP here, only its emulator."""
    return platform.machine().lower() in ("x86_64", "amd64")


def qnn_version() -> str:
    """Of Qualcomm's libraries in the package, such as 2.51.0."""
    return str(importlib.import_module(f"{PACKAGE}.build_and_package_info").qnn_version)


def found_here() -> str:
    """What networks would run on here, in words; raises BackendMissingError where nothing would."""
    require(PACKAGE, extra="qnn", what="the NPU of a Snapdragon")
    _devices()
    return f"QNN {qnn_version()}, {'the NPU emulated on this processor' if emulated() else 'for the NPU of this machine'}"


def wrapper_in(folder: Path) -> Path:
    """The ONNX file that an app opens in a form's folder: `net.sm8650` -> `net.sm8650/net-sm8650.onnx`."""
    return folder / f"{folder.stem}-{folder.suffix.removeprefix('.')}.onnx"


def graph_of(form: Path) -> Path:
    """The plain ONNX that was compiled into a form's folder: `net.sm8650` -> `net.onnx`, beside it."""
    return form.with_suffix(".onnx")


def binary_beside(wrapper: Path) -> Path:
    """The context binary that ONNX Runtime writes beside the wrapper."""
    return wrapper.with_name(f"{wrapper.stem}_qnn.bin")


def open_session(
    model: str, options: Mapping[str, str], entries: Mapping[str, str] | None = None, *, severity: int = 4
) -> "onnxruntime.InferenceSession":
    """A session whose nodes all run on the HTP; whatever ONNX Runtime raises is passed on.

    options: of the provider. entries: of the session. severity: of what ONNX Runtime logs, 2 from warnings on, 4 nothing: errors
    are raised. Raises BackendMissingError where the provider's library cannot be loaded.
    """
    import onnxruntime

    made = onnxruntime.SessionOptions()
    made.log_severity_level = severity
    for name, value in {"session.disable_cpu_ep_fallback": "1", **(entries or {})}.items():
        made.add_session_config_entry(name, value)
    backend = importlib.import_module(PACKAGE).get_qnn_htp_path()
    made.add_provider_for_devices(_devices(), {"backend_path": backend, **options})
    return onnxruntime.InferenceSession(model, made, enable_fallback=0)


def for_chip(chip: str) -> dict[str, str]:
    """The provider's options that have it compile for, or emulate, the chip, in float16."""
    facts = CHIPS[chip]
    return {"soc_model": str(facts.number), "htp_arch": str(facts.architecture), "enable_htp_fp16_precision": "1"}


@cache
def _devices() -> "list[Any]":
    """The provider's devices; its library is registered once for a process."""
    import onnxruntime

    try:
        onnxruntime.register_execution_provider_library(PROVIDER, importlib.import_module(PACKAGE).get_library_path())
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise BackendMissingError(
            f"the library of {PACKAGE} cannot be loaded: {str(error).splitlines()[0]}", hint='pip install "edgesr[qnn]"'
        ) from error
    found = [device for device in onnxruntime.get_ep_devices() if device.ep_name == PROVIDER]
    if not found:
        raise BackendMissingError("QNN's provider knows no device here", hint="See what is installed: edgesr doctor")
    return found
