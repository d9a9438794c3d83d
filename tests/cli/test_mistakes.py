"""What users get wrong: a clear message, the next step, the documented exit code, nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgesr import build_model
from edgesr.artifact import Artifact
from edgesr.cli.errors import exit_code_of
from edgesr.errors import BackendMissingError, EdgesrError, ParityError, RegressionError

Command = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["exprt"], 2, "Did you mean 'export'"),
        (["export"], 2, "Missing argument"),
        (["export", "vapsr-z"], 2, "did you mean 'vapsr-s'"),
        (["export", "vapsr-s", "--target", "otr"], 2, "did you mean 'ort'"),
        (["export", "vapsr-s", "--size", "banana"], 2, "is not a size"),
        (["export", "vapsr-s", "--size", "8x8", "--dynamic"], 2, "contradict each other"),
        (["export", "vapsr-s", "--precision", "fp7"], 2, "no precision named 'fp7'"),
        (["export", "vapsr-s", "--scale", "3"], 2, "no scale ×3"),
        (["export", "esc", "--size", "16x16"], 2, "too small"),
        (["export", "vapsr-s", "--without", "split-kernels"], 2, "did you mean 'split-kernel-sum'"),
        (["export", "vapsr-s", "--weights", "nowhere/x.pth"], 1, "does not exist"),
        (["verify", "nowhere"], 1, "is not an artifact"),
        (["inspect", "nowhere.pth"], 1, "nowhere.pth"),
        (["weights", "fetch", "VapSR_X5.pth"], 2, "did you mean 'VapSR_X"),
        (["upscale", "nowhere.png", "out.png"], 2, "nothing to run was named"),
        (["upscale", "nowhere.png", "out.png", "--model", "vapsr-s"], 1, "nowhere.png"),
        (["eval", "--hr", "nowhere", "--model", "vapsr-s"], 1, "nowhere"),
    ],
)
def test_mistakes(
    edgesr: Command, words: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = edgesr(*words)
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "code"),
    [(EdgesrError("x"), 1), (ParityError("x"), 3), (BackendMissingError("x"), 4), (RegressionError("x"), 5)],
)
def test_exit_codes(error: EdgesrError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise error

    assert exit_code_of(fail) == code
    assert capsys.readouterr().err == "Error: x\n"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_want_of_memory_is_no_bug(error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGESR_DEBUG", raising=False)

    def fail() -> None:
        raise error

    assert exit_code_of(fail) == 1
    said = capsys.readouterr().err
    assert "not enough memory" in said
    assert "bug" not in said


def test_an_unforeseen_error_is_one_message(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGESR_DEBUG", raising=False)

    def fail() -> None:
        raise KeyError("surprise")

    assert exit_code_of(fail) == 1
    assert "unforeseen KeyError: 'surprise'" in capsys.readouterr().err
    monkeypatch.setenv("EDGESR_DEBUG", "1")
    with pytest.raises(KeyError):
        exit_code_of(fail)


def test_an_output_that_cannot_be_written(edgesr: Command, tmp_path: Path, vapsr_s: Artifact) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("mine")
    done = edgesr("export", "vapsr-s", "-o", in_the_way / "out")
    assert (done.code, in_the_way.read_text()) == (1, "mine")
    assert "cannot write" in done.err
    done = edgesr("export", "vapsr-s", "-o", in_the_way)
    assert (done.code, in_the_way.read_text()) == (1, "mine")
    assert "-o DIR" in done.err


def _heed_interrupts() -> None:
    """What runs in the background may have been started deaf to SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_an_export(end: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from edgesr.cli.app import main; main()", "export", "vapsr", "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=_heed_interrupts)
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(tmp_path.iterdir()), "the export never started"
    time.sleep(0.3)
    process.send_signal(end)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("value", "message"), [(float("nan"), "holds NaN or Inf"), (3e38, "overflow float32")])
def test_weights_that_are_no_numbers(edgesr: Command, tmp_path: Path, value: float, message: str) -> None:
    state = build_model("vapsr-s").state_dict()
    state["body.1.proj_1.weight"].fill_(value)
    torch.save(state, tmp_path / "bad.pth")
    command = ["inspect", tmp_path / "bad.pth"] if value != 3e38 else ["export", "vapsr-s", "--weights", tmp_path / "bad.pth"]
    done = edgesr(*command)
    assert done.code == 1
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]
