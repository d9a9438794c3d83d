"""Files that are no checkpoint, damaged or hostile: one clear error each, nothing executed, nothing written."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as save_safetensors

from edgesr.checkpoint import read_checkpoint
from edgesr.errors import CheckpointError


def state() -> "OrderedDict[str, torch.Tensor]":
    return OrderedDict(first=torch.arange(24.0).reshape(2, 3, 4), second=torch.ones(5))


def zip_bytes(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def legacy_bytes(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


WRITERS: dict[str, Callable[[Any], bytes]] = {"zip": zip_bytes, "legacy": legacy_bytes, "safetensors": save_safetensors}


def refusal(path: Path, data: bytes, **limits: int) -> str:
    """The message of the refusal, after a check that the folder holds nothing but the file."""
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, **limits)
    assert path.name in caught.value.message
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return caught.value.message


@pytest.mark.parametrize("container", WRITERS)
def test_the_container_is_told_by_content_not_by_name(container: str, tmp_path: Path) -> None:
    for suffix in ("pth", "safetensors", "png"):
        path = tmp_path / f"weights.{suffix}"
        path.write_bytes(WRITERS[container](state()))
        checkpoint = read_checkpoint(path)
        assert (checkpoint.container, checkpoint.branch, checkpoint.branches) == (container, "", ())
        assert checkpoint.shapes == {"first": (2, 3, 4), "second": (5,)}
        assert all(torch.equal(checkpoint.tensors[name], tensor) for name, tensor in state().items())
        assert checkpoint.bytes == path.stat().st_size


@pytest.mark.parametrize(
    ("branches", "used"),
    [
        (("params", "params_ema"), "params_ema"),
        (("params",), "params"),
        (("model_state_dict", "params"), "params"),
        (("model_state_dict",), "model_state_dict"),
    ],
)
def test_the_preferred_branch_is_used_and_all_are_told(branches: tuple[str, ...], used: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    content: dict[str, Any] = {name: {"w": torch.full((2,), float(i))} for i, name in enumerate(branches)}
    path.write_bytes(zip_bytes({"epoch": 3, **content}))
    checkpoint = read_checkpoint(path)
    assert checkpoint.branch == used
    assert set(checkpoint.branches) == set(branches)
    assert torch.equal(checkpoint.tensors["w"], content[used]["w"])


def test_the_prefix_of_data_parallel_training_is_stripped(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(zip_bytes({"model_state_dict": {"module.a.weight": torch.ones(2), "module.b": torch.ones(1)}}))
    assert list(read_checkpoint(path).tensors) == ["a.weight", "b"]


def test_parameters_and_half_precision_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(
        zip_bytes({"p": torch.nn.Parameter(torch.ones(2)), "h": torch.ones(2).half(), "b": torch.ones(2).bfloat16()})
    )
    tensors = read_checkpoint(path).tensors
    assert not tensors["p"].requires_grad
    assert [str(tensor.dtype) for tensor in tensors.values()] == ["torch.float32", "torch.float16", "torch.bfloat16"]


class Hostile:
    """Unpickled without care, it runs a command that makes `marker`."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("kind", ["zip", "legacy", "plain"])
def test_a_pickle_that_would_run_code_is_refused_and_named(kind: str, protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    content = {"params": OrderedDict(w=torch.ones(2)), "x": Hostile(marker)}
    buffer = io.BytesIO()
    if kind == "plain":
        buffer.write(pickle.dumps(Hostile(marker), protocol=protocol))
    else:
        torch.save(content, buffer, pickle_protocol=max(protocol, 1), _use_new_zipfile_serialization=kind == "zip")
    (tmp_path / "here").mkdir()
    message = refusal(tmp_path / "here" / "a.pth", buffer.getvalue())
    assert "would call 'posix.system'" in message or "would call 'nt.system'" in message
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_the_loader_refuses_by_itself_what_the_first_look_lets_pass(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "here").mkdir()
    monkeypatch.setattr("edgesr.containers._foreign_call", lambda data, count: "")
    assert "nothing was executed" in refusal(tmp_path / "here" / "a.pth", WRITERS[kind]({"x": Hostile(marker)}))
    assert not marker.exists()


def test_a_call_that_pytorch_allows_but_that_fills_memory_is_refused(tmp_path: Path) -> None:
    pkl = b"\x80\x02cbuiltins\nbytearray\n\x8a\x06" + (1 << 42).to_bytes(6, "little") + b"\x85R."
    assert "builtins.bytearray" in refusal(tmp_path / "a.pth", zip_of({"archive/data.pkl": pkl, "archive/version": b"3"}))


def zip_of(entries: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_zip_bomb_is_refused_by_what_it_declares(tmp_path: Path) -> None:
    data = zip_of({"archive/data.pkl": pickle.dumps({}, 2), "archive/data/0": bytes(1 << 22)}, compression=zipfile.ZIP_DEFLATED)
    assert len(data) < 1 << 15
    message = refusal(tmp_path / "a.pth", data, max_bytes=1 << 20)
    assert "declare to unpack to 4,194,3" in message
    assert "limit of 1,048,576" in message


def test_compressed_entries_are_refused_even_when_small(tmp_path: Path) -> None:
    data = zip_of({"archive/data.pkl": pickle.dumps({}, 2)}, compression=zipfile.ZIP_DEFLATED)
    assert "'archive/data.pkl' is compressed" in refusal(tmp_path / "a.pth", data)


def test_a_directory_that_lists_the_same_bytes_many_times_is_refused(tmp_path: Path) -> None:
    data = zip_of({"archive/data.pkl": pickle.dumps({}, 2), "archive/data/0": bytes(1000)})
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    second = data.index(b"PK\x01\x02", start + 4)
    copies = b"".join(data[second:end].replace(b"archive/data/0", b"archive/data/%d" % i) for i in range(1, 10))
    directory = data[start:end] + copies
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 11, 11, len(directory))
    assert "they overlap" in refusal(tmp_path / "a.pth", data[:start] + directory + bytes(tail))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_listed_twice_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for payload in (b"\x80\x02}.", b"\x80\x02]."):
            archive.writestr("archive/data.pkl", payload)
    assert "'archive/data.pkl' more than once" in refusal(tmp_path / "a.pth", buffer.getvalue())


def test_an_ordinary_zip_archive_is_refused(tmp_path: Path) -> None:
    assert "not one that torch.save wrote" in refusal(tmp_path / "a.pth", zip_of({"readme.txt": b"hello"}))
    assert "TorchScript" in refusal(
        tmp_path / "a.pth", zip_of({"net/data.pkl": b"\x80\x02}.", "net/constants.pkl": b"\x80\x02)."})
    )


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("container", WRITERS)
def test_a_truncated_file_is_refused(container: str, kept: float, tmp_path: Path) -> None:
    data = WRITERS[container]({"a": torch.zeros(300), "b": torch.zeros(300)})
    message = refusal(tmp_path / "a.pth", data[: int(len(data) * kept)])
    assert "cut off" in message or "cannot be loaded" in message


def test_a_truncated_safetensors_file_names_the_first_incomplete_tensor(tmp_path: Path) -> None:
    data = save_safetensors({"a": torch.zeros(8), "b": torch.zeros(8)})
    assert "tensor 'b' ends at byte 64 of the data, the file holds 60 (1 of 2" in refusal(tmp_path / "a.safetensors", data[:-4])


def safetensors_of(header: bytes, data: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (safetensors_of(b"{}", length=1 << 62), "declares a header of 4,611,686,018,427,387,904 bytes"),
        (safetensors_of(b"{" * 9), "broken safetensors header"),
        (safetensors_of(b'{"w": 3}'), "broken safetensors header"),
        (safetensors_of(b'{"w":' + b"[" * 200_000), "broken safetensors header"),
        (safetensors_of(b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,8]}}', bytes(8)), "broken safetensors"),
        (safetensors_of(b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}', bytes(8)), "broken safetensors"),
        (
            safetensors_of(b'{"w":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,399999999996]}}', bytes(8)),
            "tensor 'w' ends at byte 399,9",
        ),
    ],
)
def test_a_safetensors_header_that_lies_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path / "a.safetensors", data)


def test_a_damaged_entry_is_found_by_its_checksum(tmp_path: Path) -> None:
    data = bytearray(zip_bytes({"a": torch.full((256,), 7.0)}))
    data[data.index(torch.full((8,), 7.0).numpy().tobytes()) + 5] ^= 1
    assert "is damaged, its checksum does not match" in refusal(tmp_path / "a.pth", bytes(data))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (
            b"<!DOCTYPE html>\n<html><body>Not found</body>",
            "a text file or web page, not a checkpoint; it begins with '<!DOCTYPE html> <html>",
        ),
        (b"version https://git-lfs.github.com/spec/v1\noid", "it begins with 'version https://git-lfs"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "begins with the bytes 89 50 4e 47"),
        (b"\x80", "begins with the bytes 80"),
        (pickle.dumps({"w": [1.0]}), "a plain pickle"),
    ],
)
def test_what_is_no_checkpoint_is_described(data: bytes, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path / "a.pth", data)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.ones(1)], "holds a list, not a state dict"),
        ({}, "the state dict is empty"),
        ({"params_ema": {}}, "the state dict 'params_ema' is empty"),
        ({"epoch": 3, "optimizer": {}}, "'epoch' is a int, not a tensor; the file has epoch, optimizer"),
        ({"params": {"w": torch.ones(1), "v": "text"}}, "'v' is a str, not a tensor"),
        ({"w": torch.ones(0, 3)}, "tensor 'w' has shape (0, 3)"),
        (
            {"w": torch.ones(1).expand(1000, 1000)},
            "tensor 'w' has shape (1000, 1000), 4,000,000 bytes, where the file holds 4",
        ),
    ],
)
def test_content_that_is_no_state_dict_is_described(content: object, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path / "a.pth", zip_bytes(content))


def test_one_storage_under_many_names_cannot_pass_the_limit(tmp_path: Path) -> None:
    shared = torch.ones(1000)
    assert "'w9' has shape" in refusal(tmp_path / "a.pth", zip_bytes({f"w{i}": shared for i in range(20)}), max_bytes=39_999)


def test_a_legacy_file_cannot_claim_a_storage_that_it_does_not_hold(tmp_path: Path) -> None:
    data = legacy_bytes({"w": torch.ones(200)})
    claimed = data.replace(b"K\xc8", b"J\xff\xff\xff\x0f")
    assert claimed != data
    assert "cannot be loaded" in refusal(tmp_path / "a.pth", claimed)
