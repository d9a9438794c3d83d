"""The three kinds of file that checkpoints come in, unpacked within bounds and without running anything in them.

zip: what `torch.save` writes, a pickle and one uncompressed entry per storage.
legacy: what PyTorch wrote before 1.6, five pickles and then the storages.
safetensors: a JSON header and the tensors.

The kind is told from the content. A pickle is first read as text, to name the functions that it would call, and then loaded with
`weights_only=True`, so that each of the two would keep a hostile one from running. Every function takes the whole file as bytes,
so that what was hashed and checked is what is loaded, and raises CheckpointError with a message that begins with `name`.
"""

import contextlib
import io
import json
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from typing import Any, Literal

from edgesr.errors import CheckpointError

Container = Literal["zip", "legacy", "safetensors"]

_AGAIN = "The file may be cut off or damaged: fetch it again and compare its sha256 with the publisher's."
_LEGACY_MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # follows the two bytes that state the pickle protocol
_LEGACY_PICKLES = 5
_DAMAGE = (ValueError, IndexError, struct.error, OverflowError)  # what pickletools raises for bytes that are no pickle
_ZIP_END = 22  # bytes of the record that ends a zip archive
_PICKLE_LIMIT = 64 << 20
_HEADER_LIMIT = 100 << 20  # the limit of the safetensors format

_STATE_DICT_NAMES = re.compile(
    r"collections (OrderedDict|Counter)|(builtins|__builtin__) set|torch (Size|device)|torch\.nn\.parameter Parameter"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch(\.cuda)? [A-Z][A-Za-z0-9]*Storage"
    r"|torch (bool|u?int\d+|b?float\d+|complex\d+)"
)
"""All that a pickled state dict needs. PyTorch's own list is longer and has calls that allocate memory of any size."""


def container_of(name: str, data: bytes) -> Container:
    """Which kind of file `data` is; the error for anything else says what it looks like."""
    if data.startswith(b"PK\x03\x04"):
        return "zip"
    if data[2 : 2 + len(_LEGACY_MAGIC)] == _LEGACY_MAGIC:
        return "legacy"
    if data[8:9] == b"{":
        return "safetensors"
    raise _unknown(name, data)


def unpack(name: str, data: bytes, *, container: Container, max_bytes: int) -> Any:
    """What the file holds, usually nested dicts of tensors; nothing in it has been checked yet but that it is no bomb."""
    if container == "safetensors":
        return _unpack_safetensors(name, data)
    if container == "zip":
        _check_zip(name, data, max_bytes)
    else:
        _check_pickles(name, data, count=_LEGACY_PICKLES)
    return _torch_load(name, data)


def _unknown(name: str, data: bytes) -> CheckpointError:
    if not data:
        return CheckpointError(f"{name}: the file is empty", hint=_AGAIN)
    with contextlib.suppress(*_DAMAGE):  # what is no pickle at all cannot be read as one
        if call := _foreign_call(data, count=_LEGACY_PICKLES):
            return _refused(name, call)
    if data[:1] == b"\x80" and data[1:2] <= b"\x05" and b"." in data:
        return CheckpointError(
            f"{name}: a plain pickle, not a file as torch.save writes it",
            hint="Save the state dict with torch.save or as safetensors.",
        )
    start = data[:48].removeprefix(b"\xef\xbb\xbf")
    if all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in start):
        text = " ".join(start.decode("ascii").split())
        return CheckpointError(
            f"{name}: a text file or web page, not a checkpoint; it begins with {text!r}",
            hint="Fetch the file itself (the raw download), not the page that shows it.",
        )
    return CheckpointError(
        f"{name}: neither a PyTorch checkpoint nor safetensors; it begins with the bytes {data[:8].hex(' ')}", hint=_AGAIN
    )


def _check_zip(name: str, data: bytes, max_bytes: int) -> None:
    """Refuse an archive that unpacks to more than it holds, or that two zip readers could read in two ways."""
    if not 0 <= data.rfind(b"PK\x05\x06") <= len(data) - _ZIP_END:
        raise CheckpointError(
            f"{name}: cut off after {len(data):,} bytes; it begins as a zip archive but has no directory at its end", hint=_AGAIN
        )
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
        _check_zip_sizes(name, entries, len(data), max_bytes)
        names = [entry.filename for entry in entries]
        twice = sorted({entry for entry in names if names.count(entry) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise CheckpointError(f"{name}: the zip archive holds {twice[0]!r} more than once", hint=_AGAIN)
        top = names[0].split("/")[0] if names else ""
        if f"{top}/constants.pkl" in names:
            raise CheckpointError(
                f"{name}: a TorchScript program, not a state dict",
                hint="Save the weights: torch.save(module.state_dict(), FILE).",
            )
        if f"{top}/data.pkl" not in names or any(not entry.startswith(f"{top}/") for entry in names):
            raise CheckpointError(f"{name}: a zip archive, but not one that torch.save wrote (no {top}/data.pkl)", hint=_AGAIN)
        damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{name}: {damaged!r} is damaged, its checksum does not match", hint=_AGAIN)
        _check_pickles(name, archive.read(f"{top}/data.pkl"), count=1)
    except (zipfile.BadZipFile, ValueError, OverflowError, EOFError, NotImplementedError, struct.error) as error:
        raise CheckpointError(f"{name}: a broken zip archive: {error}", hint=_AGAIN) from error


def _check_zip_sizes(name: str, entries: list[zipfile.ZipInfo], held: int, max_bytes: int) -> None:
    declared = sum(entry.file_size for entry in entries)
    if declared > max_bytes:
        raise CheckpointError(
            f"{name}: {held:,} bytes that declare to unpack to {declared:,}, more than the limit of {max_bytes:,}",
            hint="Do not trust this file: it looks like a zip bomb.",
        )
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size or entry.flag_bits & 1:
            raise CheckpointError(
                f"{name}: {entry.filename!r} is compressed or encrypted, which torch.save never does",
                hint="If you packed the file yourself, unpack it and save the state dict again with torch.save.",
            )
    if declared > held:
        raise CheckpointError(
            f"{name}: its entries declare {declared:,} bytes but the whole file has {held:,}, so they overlap or are cut off",
            hint=_AGAIN,
        )


def _check_pickles(name: str, data: bytes, *, count: int) -> None:
    """Refuse a call that no state dict needs in any of the first `count` pickles."""
    if count == 1 and len(data) > _PICKLE_LIMIT:
        raise CheckpointError(f"{name}: a pickle of {len(data):,} bytes, more than the limit of {_PICKLE_LIMIT:,}", hint=_AGAIN)
    try:
        call = _foreign_call(data, count=count)
    except _DAMAGE as error:
        raise CheckpointError(f"{name}: its pickle is cut off or damaged: {error}", hint=_AGAIN) from error
    if call:
        raise _refused(name, call)


def _foreign_call(data: bytes, *, count: int) -> str:
    """The first function or class outside the list above that `count` pickles name, as `module.name`; "" when there is none.

    The pickles are read as a list of instructions, and none is executed. Raises one of _DAMAGE for what is no pickle.
    """
    stream = io.BytesIO(data)
    for _ in range(count):
        strings = ["", ""]
        for opcode, argument, _position in pickletools.genops(stream):
            call = ""
            if opcode.name == "STACK_GLOBAL":  # the two strings before it are the module and the name
                call = " ".join(strings)
            elif opcode.name in ("GLOBAL", "INST"):
                call = str(argument)
            elif isinstance(argument, str):
                strings = [strings[1], argument]
            if call and not _STATE_DICT_NAMES.fullmatch(call):
                return call.replace(" ", ".")
    return ""


def _refused(name: str, call: str) -> CheckpointError:
    return CheckpointError(
        f"{name}: it would call {call!r}, which no state dict needs; nothing was executed",
        hint="If you trust its source, save only the state dict there: torch.save(module.state_dict(), FILE).",
    )


def _torch_load(name: str, data: bytes) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's notes on old file versions say nothing to our users
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("WeightsUnpickler error:")[-1].strip().split("\n")[0]
        raise CheckpointError(f"{name}: refused, nothing was executed: {reason}", hint=_AGAIN) from error
    except Exception as error:  # a damaged or hostile pickle makes the loader raise errors of any type
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CheckpointError(f"{name}: cannot be loaded ({reason[:300]})", hint=_AGAIN) from error


def _unpack_safetensors(name: str, data: bytes) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load

    _check_safetensors(name, data)
    try:
        return load(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{name}: broken safetensors: {error}", hint=_AGAIN) from error


def _check_safetensors(name: str, data: bytes) -> None:
    """Compare the header's length and every tensor's offsets with the bytes that are there; the library checks the rest."""
    length = int.from_bytes(data[:8], "little")
    if length > min(len(data) - 8, _HEADER_LIMIT):
        raise CheckpointError(
            f"{name}: cut off or lying: it declares a header of {length:,} bytes, the file has {len(data):,}", hint=_AGAIN
        )
    try:
        header = json.loads(data[8 : 8 + length])
        ends = {tensor: int(entry["data_offsets"][1]) for tensor, entry in header.items() if tensor != "__metadata__"}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{name}: broken safetensors header: {error}", hint=_AGAIN) from error
    held = len(data) - 8 - length
    outside = [tensor for tensor, end in ends.items() if end > held]
    if outside:
        raise CheckpointError(
            f"{name}: cut off: tensor {outside[0]!r} ends at byte {ends[outside[0]]:,} of the data, the file holds {held:,}"
            f" ({len(outside)} of {len(ends)} tensors are incomplete)",
            hint=_AGAIN,
        )
