"""Folders that appear whole or not at all."""

import errno
import shutil
from pathlib import Path

import pytest

from edgesr.errors import ArtifactError
from edgesr.files import sha256_of, staged_folder

OURS = frozenset({"model", "manifest"})


def write(folder: Path, text: str) -> None:
    with staged_folder(folder, replaceable=OURS) as stage:
        (stage / "model").write_text(text)


def test_a_new_folder_appears_with_its_content(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "out", "one")
    assert (tmp_path / "deep" / "out" / "model").read_text() == "one"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_an_earlier_result_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "out", "one")
    (tmp_path / "out" / "manifest").write_text("old")
    write(tmp_path / "out", "two")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {"model": "two"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ArtifactError("stopped"), OSError(errno.ENOSPC, "No space left on device")])
def test_whatever_stops_it_leaves_what_was_there(tmp_path: Path, stop: type[BaseException] | BaseException) -> None:
    write(tmp_path / "out", "one")
    with pytest.raises((KeyboardInterrupt, ArtifactError)), staged_folder(tmp_path / "out", replaceable=OURS) as stage:  # noqa: PT012  # the block is what is tested
        (stage / "model").write_text("half")
        raise stop
    assert (tmp_path / "out" / "model").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="No space left") as caught, staged_folder(tmp_path / "out", replaceable=OURS):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "space" in caught.value.hint


def test_a_full_disk_is_said_as_well_where_a_folder_was_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`shutil.copytree` makes one error of those of all files, and coremltools saves packages with it."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "weight.bin")

    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "deep" / "weight.bin").write_bytes(b"much")
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ArtifactError) as caught, staged_folder(tmp_path / "out", replaceable=OURS) as stage:
        shutil.copytree(tmp_path / "from", stage / "model")
    assert caught.value.message == f"cannot write {tmp_path / 'out'}: No space left on device; nothing was left behind"
    assert caught.value.hint.startswith("Free some space")
    assert [path.name for path in tmp_path.iterdir()] == ["from"]


def test_somebody_elses_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match=r"thesis\.txt"):
        write(tmp_path / "out", "one")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_way_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ArtifactError, match="is a file"):
        write(tmp_path / "out", "one")


def test_a_place_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot write"):
        write(tmp_path / "file" / "out", "one")


def test_a_failed_swap_puts_the_earlier_result_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "out", "one")
    rename, calls = Path.rename, []

    def failing(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(ArtifactError, match="Input/output error"):
        write(tmp_path / "out", "two")
    assert (tmp_path / "out" / "model").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
