"""What a saved `.mlpackage` holds: its functions, operation by operation, with every weight in memory.

Read from the file's own messages, not through a converter, so that a mistake of the converter is not made twice. The format is
that of coremltools' `MIL.proto`, `Model.proto` and `FeatureTypes.proto`.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ArtifactError
from edgesr.runtimes._mil.blobs import DTYPES, block, numbers

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

    @property
    def reads(self) -> list[str]:
        """The names of the values among its inputs."""
        return [one for found in self.inputs.values() for one in found if isinstance(one, str)]


@dataclass(frozen=True, kw_only=True)
class Function:
    """A network in the package. constants: weights and attributes by name."""

    name: str
    inputs: tuple[Value, ...]
    constants: Mapping[str, Constant]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """An input or output as an app sees it.

    image: the order of colours (`RGB`), or "" for an array. An image's numbers are 0 to 255, (1,3,H,W).
    shapes: those that the file names, the default first. An output of flexible size may have none.
    ranges: the smallest and largest length of each side where any in between is taken (-1: no limit); else empty.
    dtype: of an array's numbers. optional: whether it may be left out.
    """

    name: str
    image: str
    shapes: tuple[tuple[int, ...], ...]
    ranges: tuple[tuple[int, int], ...] = ()
    dtype: str = "FLOAT32"
    optional: bool = False

    def __str__(self) -> str:
        """As in `input, a picture, RGB, 1x3x24x32`."""
        kind = f"a picture, {self.image}" if self.image else f"an array of {self.dtype}"
        shapes = ", ".join("x".join(map(str, shape)) for shape in self.shapes)
        sides = ", ".join(f"{low} to {high}" for low, high in self.ranges)
        parts = (self.name, kind, shapes, f"sides {sides}" if sides else "", "optional" if self.optional else "")
        return ", ".join(part for part in parts if part)


class Package:
    """A saved `.mlpackage`; raises ArtifactError for one that cannot be read.

    model: the file with the message `spec`. items: the paths that its list of items names.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            manifest = json.loads((folder / "Manifest.json").read_text(encoding="utf-8"))
            entries = manifest["itemInfoEntries"]
            root = entries[manifest["rootModelIdentifier"]]["path"]
            self.items = tuple(sorted(entry["path"] for entry in entries.values()))
            self.spec = importlib.import_module("coremltools.proto.Model_pb2").Model()
            self.model = _inside(folder / "Data", root)
            self.spec.ParseFromString(self.model.read_bytes())
        except ImportError:
            raise
        except Exception as error:  # whatever a damaged file makes of the protocol's parser
            raise _unreadable(folder, error) from error
        if self.spec.WhichOneof("Type") != "mlProgram":
            raise ArtifactError(f"{folder} holds no ML Program", hint="Export the model again.")

    @property
    def parts(self) -> tuple[str, ...]:
        """What the package's list of items must name: the model, and the folder of weights where there is one."""
        weights = self.model.parent / "weights"
        there = [self.model, weights] if weights.is_dir() else [self.model]
        return tuple(sorted(path.relative_to((self.folder / "Data").resolve()).as_posix() for path in there))

    @cached_property
    def functions(self) -> dict[str, Function]:
        """The networks by name; `main` where there is one. Raises ArtifactError where a part of them is missing or damaged."""
        try:
            read = _Reader(self.model.parent)
            return {name: read.function(name, message) for name, message in self.spec.mlProgram.functions.items()}
        except ArtifactError:
            raise
        except Exception as error:  # as above
            raise _unreadable(self.folder, error) from error

    @property
    def default(self) -> str:
        """The name of the function that runs where none is asked for."""
        return self.spec.description.defaultFunctionName or "main"

    def inputs(self, function: str) -> tuple[Feature, ...]:
        """The function's inputs as an app sees them."""
        return tuple(_feature(each) for each in self._described(function).input)

    def outputs(self, function: str) -> tuple[Feature, ...]:
        """The function's outputs as an app sees them."""
        return tuple(_feature(each) for each in self._described(function).output)

    def _described(self, function: str) -> Any:
        """The message that describes a function; a package of one describes it as itself."""
        several = {each.name: each for each in self.spec.description.functions}
        return several.get(function, self.spec.description)


class _Reader:
    """Turns messages into the classes above."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def function(self, name: str, message: Any) -> Function:
        (body,) = message.block_specializations.values()
        constants: dict[str, Constant] = {}
        operations = []
        for each in body.operations:
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
            outputs=tuple(body.outputs),
        )

    def _array(self, message: Any) -> NDArray[Any]:
        return np.asarray(self._constant(message))

    def _constant(self, message: Any) -> Constant:
        kind, shape = _dtype_name(message.type), _shape(message.type)
        count = int(np.prod(shape))
        if message.WhichOneof("value") == "blobFileValue":
            path = _inside(self._folder, message.blobFileValue.fileName.removeprefix("@model_path/"))
            return block(path, message.blobFileValue.offset, kind, count).reshape(shape)
        tensor = message.immediateValue.tensor
        held = tensor.WhichOneof("value")
        if held == "strings":
            return str(tensor.strings.values[0])
        if held == "bytes":
            return numbers(tensor.bytes.values, kind, count).reshape(shape)
        return np.asarray(getattr(tensor, held).values if held else [], DTYPES[kind]).reshape(shape)


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder; raises ArtifactError for a name that leads out of it."""
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents:
        raise ArtifactError(f"{folder} names a file outside of itself: {name!r}", hint="Do not trust this package.")
    return path


def _unreadable(folder: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{folder} cannot be read as a Core ML package: {error}", hint="Export the model again.")


def _value_type(message: Any) -> Value:
    return Value(name=message.name, dtype=_dtype_name(message.type), shape=_shape(message.type))


def _dtype_name(message: Any) -> str:
    return str(importlib.import_module("coremltools.proto.MIL_pb2").DataType.Name(message.tensorType.dataType))


def _shape(message: Any) -> tuple[int, ...]:
    """The shape; -1 for a side that is known at run time only."""
    sides = message.tensorType.dimensions
    return tuple(side.constant.size if side.WhichOneof("dimension") == "constant" else -1 for side in sides)


def _feature(message: Any) -> Feature:
    optional = message.type.isOptional
    if message.type.WhichOneof("Type") == "imageType":
        return _image(message.name, message.type.imageType, optional=optional)
    array = message.type.multiArrayType
    kinds = type(array).DESCRIPTOR.enum_types_by_name["ArrayDataType"].values_by_number
    dtype = kinds[array.dataType].name if array.dataType in kinds else f"type {array.dataType}"
    fixed = tuple(array.shape)
    listed = [tuple(each.shape) for each in array.enumeratedShapes.shapes]
    ranges = tuple((side.lowerBound, side.upperBound) for side in array.shapeRange.sizeRanges)
    return Feature(name=message.name, image="", shapes=_unique(fixed, listed), ranges=ranges, dtype=dtype, optional=optional)


def _image(name: str, message: Any, *, optional: bool) -> Feature:
    kinds = type(message).DESCRIPTOR.enum_types_by_name["ColorSpace"].values_by_number
    colours = kinds[message.colorSpace].name if message.colorSpace in kinds else f"colours {message.colorSpace}"
    channels = 1 if colours.startswith("GRAYSCALE") else 3
    fixed = (1, channels, message.height, message.width)
    listed = [(1, channels, each.height, each.width) for each in message.enumeratedSizes.sizes]
    ranges: tuple[tuple[int, int], ...] = ()
    if message.WhichOneof("SizeFlexibility") == "imageSizeRange":
        sides = (message.imageSizeRange.heightRange, message.imageSizeRange.widthRange)
        ranges = ((1, 1), (channels, channels), *((side.lowerBound, side.upperBound) for side in sides))
    return Feature(name=name, image=colours, shapes=_unique(fixed, listed), ranges=ranges, optional=optional)


def _unique(first: tuple[int, ...], others: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """The shapes without repetition and without one that is not said."""
    return tuple(dict.fromkeys(each for each in (first, *others) if each and 0 not in each))
