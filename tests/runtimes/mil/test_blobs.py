"""Numbers of every width, as coremltools writes them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.errors import ArtifactError
from edgesr.runtimes._mil.blobs import block, numbers

_WRITERS: dict[str, tuple[str, Any, int, int]] = {
    "FLOAT32": ("float", np.float32, -9, 9),
    "INT8": ("int8", np.int8, -128, 128),
    "UINT8": ("uint8", np.uint8, 0, 256),
    "INT16": ("int16", np.int16, -3000, 3000),
    "UINT16": ("uint16", np.uint16, 0, 60000),
    "INT32": ("int32", np.int32, -90000, 90000),
    "UINT32": ("uint32", np.uint32, 0, 90000),
}


@pytest.fixture
def writer(tmp_path: Path, workshop: Any) -> Any:
    return pytest.importorskip("coremltools.libmilstoragepython")._BlobStorageWriter(str(tmp_path / "weight.bin"))


@pytest.mark.parametrize("dtype", _WRITERS)
def test_what_coremltools_writes_is_read(writer: Any, tmp_path: Path, dtype: str) -> None:
    name, kind, low, high = _WRITERS[dtype]
    values = np.random.default_rng(0).integers(low, high, 101).astype(kind)
    offset = getattr(writer, f"write_{name}_data")(values)
    del writer
    np.testing.assert_array_equal(block(tmp_path / "weight.bin", offset, dtype, 101), values)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6])
def test_numbers_of_few_bits_are_read(workshop: Any, tmp_path: Path, bits: int) -> None:
    types = workshop.ct.converters.mil.mil.types
    kind = types.nptype_from_builtin(types.string_to_builtin(f"uint{bits}"))
    values = np.random.default_rng(0).integers(0, 2**bits, 101).astype(kind)
    made = pytest.importorskip("coremltools.libmilstoragepython")._BlobStorageWriter(str(tmp_path / "weight.bin"))
    offset = getattr(made, f"write_uint{bits}_data")(values)
    del made
    np.testing.assert_array_equal(block(tmp_path / "weight.bin", offset, f"UINT{bits}", 101), values.astype(np.uint8))


def test_signed_numbers_of_four_bits() -> None:
    np.testing.assert_array_equal(numbers(bytes([0x8F, 0x07]), "INT4", 3), [-1, -8, 7])


def test_another_count_is_an_error(writer: Any, tmp_path: Path) -> None:
    offset = writer.write_float_data(np.ones(10, np.float32))
    del writer
    with pytest.raises(ArtifactError, match="10 numbers in place of 11"):
        block(tmp_path / "weight.bin", offset, "FLOAT32", 11)
