"""`edgesr bench`: what is planned, what is refused, and one real sweep."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgesr.artifact import Artifact, write_manifest
from edgesr.bench.cells import DEFAULT_MODELS, Request, groups
from edgesr.bench.record import read_record
from edgesr.errors import UsageError

Command = Callable[..., Any]


def test_by_default_each_family_is_measured_at_the_papers_setting(tmp_path: Path) -> None:
    planned = groups(Request(runtimes=("ort",)), tmp_path)
    assert [group.name for group in planned] == [f"{model}-x4 180x320 cpu" for model in DEFAULT_MODELS]
    assert all([cell.subject.runtime for cell in group.cells] == ["pytorch", "ort"] for group in planned)


def test_an_artifact_folder_is_measured_as_it_is(vapsr_s: Artifact, tmp_path: Path) -> None:
    (group,) = groups(Request(models=(str(vapsr_s.folder),), runtimes=("ort",), sizes=("24x32",)), tmp_path)
    reference, cell = group.cells
    assert (cell.subject.model, cell.subject.artifact, cell.step) == ("vapsr-s", "vapsr-s", "")
    assert reference.opening.arguments["folder"] == str(vapsr_s.folder)


def test_folders_of_one_name_are_told_apart(vapsr_s: Artifact, tmp_path: Path) -> None:
    for name in ("before", "after"):
        shutil.copytree(vapsr_s.folder, tmp_path / name / "net")
    folders = tuple(str(tmp_path / name / "net") for name in ("before", "after"))
    planned = groups(Request(models=folders, runtimes=("ort",), sizes=("24x32",)), tmp_path)
    assert [group.cells[1].subject.artifact for group in planned] == list(folders)
    with pytest.raises(UsageError, match="would be measured twice"):
        groups(Request(models=("vapsr-s", "vapsr-s")), tmp_path)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--device", "cuda"], 4, "edgesr bench --device cpu"),
        (["--device", "npu"], 2, "no device named 'npu'"),
        (["--device", "ane"], 4, "on a Mac"),
        (["vapsr-z"], 2, "did you mean 'vapsr-s'"),
        (["--runtimes", "onnx"], 2, "no runtime named 'onnx'"),
        (["--precision", "fp8"], 2, "no precision named 'fp8'"),
        (["--size", "small"], 2, "'small' is not a size"),
        (["esc", "--size", "8x8"], 2, "at least 17"),
        (["--quick", "--sustained", "1"], 2, "contradict"),
        (["--runtimes", "mil-reference"], 2, "runtime mil-reference proves artifacts; it has no latency to report"),
        (["./nowhere"], 1, "is not an artifact"),
        (["-o", "file"], 2, "is a file and not a folder"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(
    words: list[str], code: int, said: str, edgesr: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    done = edgesr("bench", *words)
    assert (done.code, said in done.err) == (code, True), done.err
    assert not (tmp_path / "bench-results").exists()


def test_a_runtime_without_its_package_is_refused_with_the_command_that_installs_it(
    edgesr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesr.backends.available", lambda package: package != "openvino")
    done = edgesr("bench", "vapsr-s", "--runtimes", "openvino")
    assert (done.code, 'pip install "edgesr[peers]"' in done.err) == (4, True), done.err


def test_a_real_sweep(vapsr_s: Artifact, edgesr: Command, tmp_path: Path) -> None:
    words = [
        vapsr_s.folder,
        "--runtimes",
        "ort",
        "--size",
        "24x32",
        "--threads",
        "1",
        "--quick",
        "-o",
        tmp_path / "out",
        "--json",
    ]
    done = edgesr("bench", *words)
    assert done.code == 0, done.err
    record = read_record(Path(done.json["record"]))
    assert [cell.status for cell in record.cells] == ["ok", "ok"]
    cell = record.cells[1]
    assert cell.parity
    assert cell.latency
    assert cell.parity.psnr_db > 100
    assert cell.settings["threads"] == "1"
    assert cell.rewrites
    assert record.environment["device"] == "cpu"
    assert f"{cell.subject.key}: {cell.latency.summary.p50:.4g} ms" in done.err


def test_on_a_gpu_half_precision_is_compared_with_pytorchs(tmp_path: Path) -> None:
    asked = Request(models=("vapsr",), device="cuda", runtimes=("pytorch-compile", "ort"), precisions=("fp32", "fp16"))
    (group,) = groups(asked, tmp_path)
    cells = {(cell.subject.runtime, cell.subject.precision): cell for cell in group.cells}
    assert list(cells) == [(name, precision) for name in ("pytorch", "pytorch-compile", "ort") for precision in ("fp32", "fp16")]
    opened = {key: cell.opening.arguments.get("precision") for key, cell in cells.items()}
    assert opened["pytorch", "fp16"] == opened["pytorch-compile", "fp16"] == "fp16"
    assert opened["pytorch", "fp32"] == "fp32"
    assert group.expected.arguments["device"] == "cpu"
    assert group.expected.arguments["precision"] == "fp32"
    assert "target" not in cells["pytorch", "fp16"].arguments
    on_processor = groups(Request(models=("vapsr",), runtimes=("ort",), precisions=("fp32", "fp16")), tmp_path)[0]
    assert [cell.subject.precision for cell in on_processor.cells if cell.subject.runtime == "pytorch"] == ["fp32"]


def test_compute_units_of_core_ml_are_compared_with_pytorch_on_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("coremltools")
    monkeypatch.setattr("edgesr.bench.cells.runs_here", lambda _: True)
    (group,) = groups(Request(models=("vapsr",), device="ane", precisions=("fp16", "w8")), tmp_path)
    opened = [(cell.subject.runs_in, cell.subject.precision, cell.opening.arguments["device"]) for cell in group.cells]
    assert opened == [("pytorch", "fp32", "cpu"), ("coreml (ane)", "fp16", "ane"), ("coreml (ane)", "w8", "ane")]
    assert {cell.subject.group for cell in group.cells} == {"vapsr-x4 180x320 cpu"}
    assert group.cells[0].subject.key == "vapsr-x4 pytorch fp32 180x320 cpu"


def test_an_artifact_that_nothing_here_measures_is_no_sweep_of_pytorch_alone(
    edgesr: Command, vapsr_s: Artifact, tmp_path: Path
) -> None:
    folder = tmp_path / "package"
    shutil.copytree(vapsr_s.folder, folder)
    write_manifest(folder, replace(vapsr_s.manifest, format="mlpackage"))
    for words, code, said in (([], 4, "nothing that is here"), (["--runtimes", "ort"], 2, "nothing that was asked for")):
        done = edgesr("bench", folder, "--size", "24x32", *words)
        assert (done.code, said in done.err) == (code, True), done.err
        assert "mlpackage files are measured in coreml on all, cpu, gpu, ane (darwin only)" in done.err


def test_a_gpu_gets_files_of_its_own_target(tmp_path: Path) -> None:
    targets = {}
    for device in ("cpu", "cuda"):
        (group,) = groups(Request(models=("vapsr",), device=device, runtimes=("ort",)), tmp_path)
        targets[device] = group.cells[1].arguments["target"]
        assert group.cells[1].opening.arguments["folder"].endswith(f"vapsr-x4-fp32-{targets[device]}")
    assert targets == {"cpu": "ort", "cuda": "onnx"}
