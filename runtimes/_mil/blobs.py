"""Numbers as a package stores them: in the weight file, or as bytes in the program itself.

The weight file holds blocks of numbers, each behind a header of 64 bytes, as coremltools' `MILBlob/Blob/StorageFormat.hpp`
(version 2) has it. It is read here, and not by coremltools' own reader, because that one trusts a file that was altered.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ArtifactError

DTYPES: dict[str, Any] = {
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
    "INT4": np.int8,
    "UINT1": np.uint8,
    "UINT2": np.uint8,
    "UINT3": np.uint8,
    "UINT4": np.uint8,
    "UINT6": np.uint8,
}
"""MIL's types, and what holds them in memory."""

_BITS = {"INT4": 4, "UINT1": 1, "UINT2": 2, "UINT3": 3, "UINT4": 4, "UINT6": 6}
_HEADER = struct.Struct("<IIQQ")
"""A mark, the type, the length in bytes, and the place of the first byte."""
_MARK = 0xDEADBEEF


def unpacked(raw: NDArray[np.uint8], *, bits: int, count: int) -> NDArray[np.uint8]:
    """`count` whole numbers of 1 to 8 bits, not signed, which lie bit behind bit, lowest first."""
    if len(raw) != -(-count * bits // 8):
        raise ValueError(f"{len(raw)} bytes for {count} numbers of {bits} bits")
    stream = np.unpackbits(raw, count=count * bits, bitorder="little").reshape(count, bits)
    return (stream << np.arange(bits, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)


def numbers(raw: bytes, dtype: str, count: int) -> NDArray[Any]:
    """`count` numbers of a type; raises ValueError for bytes that are more or fewer."""
    if dtype in _BITS:
        bits = _BITS[dtype]
        values = unpacked(np.frombuffer(raw, np.uint8), bits=bits, count=count)
        return ((values.astype(np.int8) ^ 8) - 8) if dtype == "INT4" else values
    values = np.frombuffer(raw, DTYPES[dtype])
    if len(values) != count:
        raise ValueError(f"{len(values)} numbers in place of {count}")
    return values


def block(path: Path, offset: int, dtype: str, count: int) -> NDArray[Any]:
    """The `count` numbers of the block whose header stands at `offset`; raises ArtifactError where the file has others."""
    with path.open("rb") as file:
        file.seek(offset)
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise ArtifactError(f"{path} was cut short: no weights at {offset}", hint="Export the model again.")
        mark, _, length, begin = _HEADER.unpack(header)
        if mark != _MARK or length > path.stat().st_size:
            raise ArtifactError(f"{path} has no weights at {offset}", hint="Export the model again.")
        file.seek(begin)
        raw = file.read(length)
    if len(raw) != length:
        raise ArtifactError(f"{path} was cut short: {len(raw)} of {length} bytes at {begin}", hint="Export the model again.")
    try:
        return numbers(raw, dtype, count)
    except ValueError as error:
        raise ArtifactError(
            f"{path} does not hold what the program reads at {offset}: {error}", hint="Export the model again."
        ) from error
