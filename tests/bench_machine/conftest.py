"""Machines of files: a test plants what Linux would show below a root of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

Plant = Callable[..., Path]

STATUS = "Name:\tpython\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n"


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """`plant({"proc/loadavg": "0.1 0.2 0.3"})` -> the root, which already holds a process that may use cores 0 to 3."""

    def planted(files: dict[str, str], *, status: str = STATUS) -> Path:
        for name, words in {"proc/self/status": status, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(words + "\n")
        return tmp_path

    return planted
