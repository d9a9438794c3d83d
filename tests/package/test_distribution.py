"""What a user installs: one top-level package, typed, with its assets and nothing of the tests; links are relative."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LINKS = ("export", "runtimes", "bench")


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of the tracked files, so that the working tree stays as it is."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        source, target = repository / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.exists():
            target.write_bytes(source.read_bytes())
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(copy)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_links_are_relative(repository: Path) -> None:
    for name in LINKS:
        assert (repository / "edgesr" / name).readlink() == Path("..") / name


def test_one_top_level_package(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"edgesr"}


def test_every_source_file_is_in_it(wheel: zipfile.ZipFile, repository: Path) -> None:
    sources = {
        str(Path(folder, name).relative_to(repository))
        for folder, _, names in os.walk(repository / "edgesr", followlinks=True)
        for name in names
        if name.endswith(".py")
    }
    assert len(sources) > 40
    assert {name for name in wheel.namelist() if name.endswith(".py")} == sources


def test_it_is_typed_and_has_its_assets_and_licence(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "edgesr/py.typed" in names
    assert {"edgesr/assets/astronaut-128.png", "edgesr/bench/report/style.css"} <= set(names)
    assert any(name.endswith("LICENSE") for name in names)


def test_it_has_the_command(wheel: zipfile.ZipFile) -> None:
    entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "edgesr = edgesr.cli.app:main" in wheel.read(entry_points).decode()
