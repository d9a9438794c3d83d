"""Files that cannot be opened, or are too large to be: refused before anything is read."""

import os
from pathlib import Path

import pytest

from edgesr.checkpoint import read_checkpoint
from edgesr.errors import CheckpointError


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: takes no room
    with pytest.raises(CheckpointError, match=r"1,099,511,627,776 bytes, more than the limit of 1,073,741,824"):
        read_checkpoint(path)


def test_a_missing_file_a_folder_and_a_device_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="is not a regular file"):
        read_checkpoint(Path(os.devnull))


def test_a_file_without_permission_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pth"
    path.touch()

    def deny(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(CheckpointError, match=r"cannot read .*a\.pth: Permission denied"):
        read_checkpoint(path)
