"""Fixtures that several folders use."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from edgesr.artifact import Artifact
from edgesr.cli.app import app
from edgesr.cli.errors import exit_code_of
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.tensors import Size, one_of

REPOSITORY = Path(__file__).parent.parent

torch.set_num_threads(1)  # the tests' networks are small: on a busy machine more threads cost more than they bring


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real checkpoints and pictures that may not be shipped; tests that need it are skipped without."""
    folder = Path(os.environ.get("EDGESR_DATA", "none"))
    if not (folder / "weights").is_dir():
        pytest.skip("no real checkpoints: name their folder with EDGESR_DATA")
    return folder


@pytest.fixture(scope="session")
def vapsr_s(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """vapsr-s ×4 for ONNX Runtime, any size. Shared: do not alter its files."""
    return export(ExportRequest(model="vapsr-s", folder=tmp_path_factory.mktemp("artifacts") / "vapsr-s"))


@pytest.fixture(scope="session")
def vapsr_s_fixed(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """vapsr-s ×4 for ONNX Runtime, 16×24 only. Shared: do not alter its files."""
    folder = tmp_path_factory.mktemp("artifacts") / "vapsr-s-16x24"
    return export(ExportRequest(model="vapsr-s", sizes=one_of((Size(height=16, width=24),)), folder=folder))


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture
def edgesr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """`edgesr("export", "vapsr-s", "-o", folder)` as a shell would run it."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> Done:
        code = exit_code_of(lambda: app([str(word) for word in words], standalone_mode=False))
        captured = capsys.readouterr()
        return Done(code=code, out=captured.out, err=captured.err)

    return run
