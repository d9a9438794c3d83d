"""Running the command in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from edgesr.cli.app import app
from edgesr.cli.errors import exit_code_of


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
