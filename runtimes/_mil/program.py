"""What a saved `.mlpackage` holds: its functions, operation by operation, with every weight in memory.

Read from the file's own messages, not through a converter, so that a mistake of the converter is not made twice. The format is
that of coremltools' `MIL.proto` and of its weight file, which coremltools' own reader takes apart.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ArtifactError

_BITS = {"UINT1": 1, "UINT2": 2, "UINT3": 3, "UINT4": 4, "UINT6": 6, "INT4": 4}
_DTYPES: dict[str, Any] = {
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "BOOL": np.bool_,
    "STRING": np.str_,
    **dict.fromkeys(_BITS, np.uint8),
    "INT4": np.int8,
}
_READERS = {"FLOAT16": "fp16", "FLOAT32": "float"}
"""How the weight file's reader calls a type, where not by its own name."""

Constant = NDArray[Any] | str


@dataclass(frozen=True, kw_only=True)
class Value:
    """What an operation makes: its name, its type as the file calls it (`FLOAT16`) and its declared shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation. inputs: names of values, or constants that stand in the operation itself, by the operator's own names."""

    kind: str
    inputs: Mapping[str, tuple[str | NDArray[Any], ...]]
    outputs: tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class Function:
    """A network in the package. constants: weights and attributes by name."""

    name: str
    inputs: tuple[Value, ...]
    constants: Mapping[str, Constant]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]


class Package:
    """A saved `.mlpackage`; raises ArtifactError for one that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            manifest = json.loads((folder / "Manifest.json").read_text(encoding="utf-8"))
            root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
            self.spec = importlib.import_module("coremltools.proto.Model_pb2").Model()
            self._model = folder / "Data" / root
            self.spec.ParseFromString(self._model.read_bytes())
        except Exception as error:  # whatever a damaged file makes of the protocol's parser
            raise ArtifactError(f"{folder} cannot be read as a Core ML package: {error}", hint="Export the model again.") from error
        if self.spec.WhichOneof("Type") != "mlProgram":
            raise ArtifactError(f"{folder} holds no ML Program", hint="Export the model again.")

    @cached_property
    def functions(self) -> dict[str, Function]:
        """The networks by name; `main` where there is one."""
        read = _Reader(self._model.parent)
        return {name: read.function(name, message) for name, message in self.spec.mlProgram.functions.items()}


class _Reader:
    """Turns messages into the classes above."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs: dict[str, Any] = {}

    def function(self, name: str, message: Any) -> Function:
        (block,) = message.block_specializations.values()
        constants: dict[str, Constant] = {}
        operations = []
        for each in block.operations:
            outputs = tuple(_value_type(output) for output in each.outputs)
            if each.type == "const":
                constants[outputs[0].name] = self._constant(each.attributes["val"])
                continue
            if each.blocks:
                raise ArtifactError(f"operation {each.type} {outputs[0].name} holds a block, which is not evaluated")
            inputs = {
                key: tuple(one.name if one.WhichOneof("binding") == "name" else self._array(one.value) for one in found.arguments)
                for key, found in each.inputs.items()
            }
            # Constant expressions of weights keep their operands in attributes.
            inputs |= {key: (self._array(found),) for key, found in each.attributes.items() if key != "name"}
            operations.append(Operation(kind=each.type, inputs=inputs, outputs=outputs))
        return Function(
            name=name,
            inputs=tuple(_value_type(each) for each in message.inputs),
            constants=constants,
            operations=tuple(operations),
            outputs=tuple(block.outputs),
        )

    def _array(self, message: Any) -> NDArray[Any]:
        return np.asarray(self._constant(message))

    def _constant(self, message: Any) -> Constant:
        kind = _dtype_name(message.type)
        shape = _shape(message.type)
        if message.WhichOneof("value") == "blobFileValue":
            found = self._blob(message.blobFileValue, kind)
        else:
            tensor = message.immediateValue.tensor
            held = tensor.WhichOneof("value")
            if held == "strings":
                return str(tensor.strings.values[0])
            values = getattr(tensor, held).values if held else []
            found = np.frombuffer(values, _DTYPES[kind]) if held == "bytes" else np.asarray(values, _DTYPES[kind])
        return found.reshape(shape)

    def _blob(self, message: Any, kind: str) -> NDArray[Any]:
        name = message.fileName.removeprefix("@model_path/")
        if name not in self._blobs:
            storage = importlib.import_module("coremltools.libmilstoragepython")
            self._blobs[name] = storage._BlobStorageReader(str(self._folder / name))
        raw = getattr(self._blobs[name], f"read_{_READERS.get(kind, kind.lower())}_data")(message.offset)
        return np.frombuffer(raw.tobytes(), np.float16) if kind == "FLOAT16" else np.asarray(raw, _DTYPES[kind])


def _value_type(message: Any) -> Value:
    return Value(name=message.name, dtype=_dtype_name(message.type), shape=_shape(message.type))


def _dtype_name(message: Any) -> str:
    return str(importlib.import_module("coremltools.proto.MIL_pb2").DataType.Name(message.tensorType.dataType))


def _shape(message: Any) -> tuple[int, ...]:
    """The shape; -1 for a side that is known at run time only."""
    sides = message.tensorType.dimensions
    return tuple(side.constant.size if side.WhichOneof("dimension") == "constant" else -1 for side in sides)
