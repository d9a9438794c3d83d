"""What a context binary says of itself, read by Qualcomm's own library for that, which the package onnxruntime-qnn brings.

The functions and structures are those of QNN's headers System/QnnSystemInterface.h, System/QnnSystemContext.h (binary and graph
information of version 3) and HTP/QnnHtpSystemContext.h (a graph's blob of version 1, with one of version 2 behind it).
"""

import ctypes
import importlib
import sys
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_uint8, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesr.errors import ArtifactError, BackendMissingError
from edgesr.runtimes._qnn.provider import PACKAGE

_VERSION = 3
_BLOBS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class ContextBinary:
    """A compiled graph: for which chip, by QNN's number, by which build of the compiler, and bytes of memory.

    vtcm: of the NPU's own memory. spill: of the buffer in main memory for what does not fit into it for a while. maps: what lies
    in main memory throughout. constants, instructions: what the NPU reads. ends: input and output.
    """

    compiler: str
    chip: int
    vtcm: int
    spill: int
    maps: int
    constants: int
    instructions: int
    ends: int


class _Version(Structure):
    _fields_ = (("major", c_uint32), ("minor", c_uint32), ("patch", c_uint32))


class _Blob(Structure):
    """Of the HTP: version 1, and what version 2 adds."""

    _fields_ = (
        ("version", c_uint32),
        ("spill", c_uint64),
        ("vtcm", c_uint32),
        ("optimisation", c_uint32),
        ("compressed", c_uint8),
        ("threads", c_uint64),
        ("second_version", c_uint32),
        ("key_tile", c_uint64),
        ("value_tile", c_uint64),
        ("shared_ends", c_uint32),
        ("ends", c_uint64),
        ("instructions", c_uint64),
        ("constants", c_uint64),
        ("maps", c_uint64),
        ("shared_weights", c_uint64),
    )


class _Graph(Structure):
    _fields_ = (
        ("version", c_uint32),
        ("name", c_char_p),
        *((f"{kind}_{part}", of) for kind in ("input", "output", "updatable") for part, of in (("n", c_uint32), ("s", c_void_p))),
        ("blob_bytes", c_uint32),
        ("blob", POINTER(_Blob)),
        ("first", c_uint32),
        ("last", c_uint32),
    )


class _Facts(Structure):
    _fields_ = (
        ("backend", c_uint32),
        ("compiler", c_char_p),
        ("core", _Version),
        ("interface", _Version),
        ("chip_version", c_char_p),
        ("context", _Version),
        ("context_bytes", c_uint64),
        ("tensor_n", c_uint32),
        ("tensors", c_void_p),
        ("graph_n", c_uint32),
        ("graphs", POINTER(_Graph)),
        ("platform", c_void_p),
        ("settings_bytes", c_uint32),
        ("settings", c_void_p),
        ("chip", c_uint32),
    )


class _Binary(Structure):
    _fields_ = (("version", c_uint32), ("facts", _Facts))


class _Interface(Structure):
    _fields_ = (
        ("backend", c_uint32),
        ("name", c_char_p),
        ("version", _Version),
        ("create", CFUNCTYPE(c_uint64, POINTER(c_void_p))),
        ("binary_info", c_void_p),
        ("metadata", CFUNCTYPE(c_uint64, c_void_p, c_char_p, c_uint64, POINTER(POINTER(_Binary)))),
        ("free", CFUNCTYPE(c_uint64, c_void_p)),
    )


def read_context_binary(path: Path) -> ContextBinary:
    """Raises ArtifactError for a file that this QNN does not read, BackendMissingError where its library is missing."""
    data = path.read_bytes()
    interface, context, found = _interface(), c_void_p(), POINTER(_Binary)()
    _check(interface.create(byref(context)), path)
    try:
        _check(interface.metadata(context, data, len(data), byref(found)), path)
        return _told(found.contents, path)
    finally:
        interface.free(context)


def _told(binary: Any, path: Path) -> ContextBinary:
    _check(binary.version != _VERSION or binary.facts.graph_n != 1, path)
    facts, graph = binary.facts, binary.facts.graphs[0]
    _check(graph.version != _VERSION or graph.blob_bytes < ctypes.sizeof(_Blob), path)
    blob = graph.blob.contents
    _check((blob.version, blob.second_version) != _BLOBS, path)
    memory = {name: int(getattr(blob, name)) for name in ("vtcm", "spill", "maps", "constants", "instructions", "ends")}
    return ContextBinary(compiler=facts.compiler.decode(), chip=facts.chip, **memory)


def _check(wrong: int, path: Path) -> None:
    if wrong:
        raise ArtifactError(
            f"{path.name} is no context binary of one graph that this QNN can read ({wrong})", hint="Export the model again."
        )


def _interface() -> Any:
    folder = Path(importlib.import_module(PACKAGE).get_library_path()).parent
    try:
        library = ctypes.CDLL(str(folder / ("QnnSystem.dll" if sys.platform == "win32" else "libQnnSystem.so")))
        providers: Callable[..., int] = library.QnnSystemInterface_getProviders
    except (OSError, AttributeError) as error:
        raise BackendMissingError(f"QNN's system library is missing: {error}", hint='pip install "edgesr[qnn]"') from error
    found, number = POINTER(POINTER(_Interface))(), c_uint32()
    if providers(byref(found), byref(number)) or not number.value:
        raise BackendMissingError("QNN's system library offers no interface", hint='pip install "edgesr[qnn]"')
    return found[0].contents
