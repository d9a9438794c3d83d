"""Plugins are found by listing a folder; anything malformed is an error, not a silent gap."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesr.errors import RegistryError, UnknownNameError
from edgesr.registry import discover


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    package = tmp_path / "plugins_under_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def test_files_become_plugins_by_their_names(folder: Path) -> None:
    (folder / "two_words.py").write_text("PLUGIN = 2")
    (folder / "one.py").write_text("PLUGIN = 1")
    (folder / "_helper.py").write_text("raise RuntimeError('helpers are not plugins')")
    assert dict(discover(folder.name, "PLUGIN", int)) == {"one": 1, "two-words": 2}


@pytest.mark.parametrize("source", ["", "PLUGIN = 'text'", "plugin = 1"])
def test_a_file_without_the_constant_is_an_error(folder: Path, source: str) -> None:
    (folder / "broken.py").write_text(source)
    with pytest.raises(RegistryError, match="broken must define PLUGIN"):
        discover(folder.name, "PLUGIN", int)


def test_a_name_that_is_taken_is_an_error(folder: Path) -> None:
    (folder / "two_words.py").write_text("PLUGIN = 1")
    (folder / "two-words.py").write_text("PLUGIN = 2")
    with pytest.raises(RegistryError, match="taken"):
        discover(folder.name, "PLUGIN", int)


def test_an_unknown_name_gets_the_nearest_known(folder: Path) -> None:
    (folder / "bicubic.py").write_text("PLUGIN = 1")
    with pytest.raises(UnknownNameError, match="did you mean 'bicubic'"):
        discover(folder.name, "PLUGIN", int)["bicubik"]
