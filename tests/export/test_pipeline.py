"""From a request to a verified artifact, and what may stop it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgesr.artifact import Artifact, read_artifact
from edgesr.errors import ArtifactError, CheckpointError, ParityError, SizeError, UnknownNameError, UsageError
from edgesr.export import pipeline, verification
from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.parity_inputs import parity_inputs, picture
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.export.rewrite import Applied, Step
from edgesr.export.verification import verify
from edgesr.manifest import digest
from edgesr.recorded import read_recorded
from edgesr.tensors import Size, SizeRule, one_of, parse_sizes


def test_the_manifest_says_what_the_artifact_is(vapsr_s: Artifact) -> None:
    data = json.loads((vapsr_s.folder / "manifest.json").read_text())
    assert data["artifact"].endswith(".onnx")
    assert (data["model"], data["scale"], data["target"], data["precision"]) == ("vapsr-s", 4, "ort", "fp32")
    assert data["input"] == {
        "name": "input",
        "layout": "NCHW",
        "dtype": "float32",
        "shape": ["N", 3, "H", "W"],
        "range": [0, 1],
    }
    assert (data["islands"], data["budget"]["psnr_db"]) == ([], 50)
    assert data["output"]["shape"] == ["N", 3, "4*H", "4*W"]
    assert data["rewrites"] == [{"name": "channels-last-residual", "matches": 1}]
    assert {"torch", "onnx", "onnxruntime", "edgesr"} <= data["tools"].keys()
    assert {file["name"] for file in data["files"]} == {path.name for path in vapsr_s.folder.iterdir()} - {"manifest.json"}
    assert str(vapsr_s.folder) not in json.dumps(data)


def test_parity_is_measured_on_awkward_sizes_and_on_a_picture(vapsr_s: Artifact) -> None:
    data = json.loads((vapsr_s.folder / "manifest.json").read_text())
    rewritten, artifact, mobile = data["parity"]
    assert (rewritten["edge"], artifact["edge"]) == ("rewritten", "artifact")
    assert mobile["edge"] == "artifact as .ort"
    assert mobile["psnr_db"] > 100
    assert rewritten["relative_l2"] < 1e-12
    assert 0 < artifact["relative_l2"] < 1e-5
    assert artifact["psnr_db"] > 100
    assert [item["input"] for item in artifact["inputs"]] == ["noise 1x3x1x1", "noise 2x3x17x24", "picture 1x3x72x72"]


def test_reading_a_manifest_gives_back_what_was_written(vapsr_s: Artifact) -> None:
    written = json.loads((vapsr_s.folder / "manifest.json").read_text())
    assert json.loads(json.dumps(read_artifact(vapsr_s.folder).manifest.to_json())) == written


def test_the_same_request_gives_the_same_bytes(vapsr_s: Artifact, tmp_path: Path) -> None:
    again = export(ExportRequest(model="vapsr-s", folder=tmp_path / "again"))
    for path in vapsr_s.folder.iterdir():
        assert path.read_bytes() == (again.folder / path.name).read_bytes(), path.name


def test_the_file_itself_says_what_it_takes(vapsr_s: Artifact, vapsr_s_fixed: Artifact) -> None:
    taken = []
    for artifact in (vapsr_s, vapsr_s_fixed):
        facts = {entry.key: entry.value for entry in onnx.load(artifact.path).metadata_props}
        assert facts["edgesr.model"] == "vapsr-s-x4"
        taken.append(facts["edgesr.input"].partition(": ")[2])
    assert taken == ["1x1 and larger", "16x24 only"]


def test_untrained_weights_are_said_in_name_and_manifest(tmp_path: Path) -> None:
    artifact = export(ExportRequest(model="vapsr", scale=2, sizes=one_of((Size(height=8, width=8),)), folder=tmp_path / "out"))
    assert artifact.manifest.weights == "untrained"
    assert artifact.path.stem == "vapsr-x2-fp32-8x8-untrained"


def test_a_rewritten_network_is_the_same_function_with_and_without(tmp_path: Path) -> None:
    request = ExportRequest(model="esc-fp", scale=2, sizes=one_of((Size(height=32, width=32),)), folder=tmp_path / "with")
    artifact = export(request)
    rewritten, converted, _ = artifact.manifest.parity
    assert 0 < rewritten.worst.relative_l2 < 1e-12
    assert converted.worst.relative_l2 < 1e-5
    plain = export(replace(request, folder=tmp_path / "without", without=("split-kernel-sum",)))
    assert "split-kernel-sum" not in {rewrite.name for rewrite in plain.manifest.rewrites}
    assert {rewrite.name: rewrite.matches for rewrite in artifact.manifest.rewrites}["split-kernel-sum"] == 25


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model": "vapsr-x"}, UnknownNameError),
        ({"target_name": "orr"}, UnknownNameError),
        ({"without": ("nothing",)}, UnknownNameError),
        ({"scale": 5}, UsageError),
        ({"model": "esc", "sizes": one_of((Size(height=16, width=64),))}, SizeError),
        ({"weights": "missing.pth"}, UnknownNameError),
    ],
)
def test_what_cannot_be_asked_for(changes: dict[str, object], error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        export(ExportRequest(**{"model": "vapsr-s", "folder": tmp_path / "out", **changes}))  # type: ignore[arg-type]  # by name
    assert not list(tmp_path.iterdir())


def test_a_wrong_rewrite_fails_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(steps: tuple[Step, ...], module: nn.Module) -> tuple[nn.Module, tuple[Applied, ...]]:
        return nn.Sequential(module, nn.Hardtanh(-0.1, 1.0)), ()

    monkeypatch.setattr(pipeline, "apply_plan", wrong)
    with pytest.raises(ParityError, match="rewritten"):
        export(ExportRequest(model="vapsr-s", sizes=one_of((Size(height=24, width=24),)), folder=tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_a_wrong_conversion_fails_and_keeps_the_earlier_artifact(
    vapsr_s: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(vapsr_s.folder, folder)
    right = onnx_from_module

    def wrong(module: nn.Module, sizes: SizeRule, *, opset: int, **more: Any) -> onnx.ModelProto:
        disturbed = {name: value * 1.001 for name, value in module.state_dict().items()}
        module.load_state_dict(disturbed)
        return right(module, sizes, opset=opset, **more)

    monkeypatch.setattr(pipeline, "onnx_from_module", wrong)
    with pytest.raises(ParityError, match="artifact is not the reference's function"):
        export(ExportRequest(model="vapsr-s", folder=folder))
    assert verify(folder).artifact.manifest == vapsr_s.manifest
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "onnx_from_module", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(ExportRequest(model="vapsr-s", folder=tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_verify_measures_again(vapsr_s: Artifact) -> None:
    assert verify(vapsr_s.folder).edge == vapsr_s.manifest.parity[1]


def test_verify_notices_a_changed_file(vapsr_s: Artifact, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(vapsr_s.folder, folder)
    model = folder / vapsr_s.manifest.artifact
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    with pytest.raises(ArtifactError, match="was changed"):
        verify(folder)
    model.unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        verify(folder)


def test_verify_notices_another_function_behind_right_hashes(vapsr_s: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, outputs = read_recorded(vapsr_s.folder / "parity.npz")
    monkeypatch.setattr(
        verification, "read_recorded", lambda path: (inputs, {k: v * np.float32(1.01) for k, v in outputs.items()})
    )
    with pytest.raises(ParityError, match="Do not use this artifact"):
        verify(vapsr_s.folder)


def test_verify_against_a_rebuilt_reference(tmp_path: Path) -> None:
    torch.manual_seed(0)
    from edgesr import build_model

    files = [tmp_path / "one.pth", tmp_path / "two.pth"]
    for file in files:
        torch.save(build_model("vapsr-s").state_dict(), file)
    size = Size(height=8, width=8)
    export(ExportRequest(model="vapsr-s", weights=str(files[0]), sizes=one_of((size,)), folder=tmp_path / "out"))
    assert verify(tmp_path / "out", weights=str(files[0])).against == "the reference built from one.pth"
    with pytest.raises(CheckpointError, match="is not what this artifact was made from"):
        verify(tmp_path / "out", weights=str(files[1]))


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "cannot be read"), ("[]", "not a manifest"), ('{"schema": 99}', "not a manifest"), ('{"schema": 4}', "was changed")],
)
def test_a_broken_manifest_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=message):
        read_artifact(tmp_path)


def rewritten_manifest(original: Artifact, folder: Path, **changes: object) -> None:
    """A manifest with other content and a digest that fits it."""
    data = {**json.loads((original.folder / "manifest.json").read_text()), **changes}
    data["digest"] = digest(data)
    (folder / "manifest.json").write_text(json.dumps(data))


def test_a_manifest_may_not_point_outside_its_folder(vapsr_s: Artifact, tmp_path: Path) -> None:
    rewritten_manifest(vapsr_s, tmp_path, artifact="../elsewhere.onnx")
    with pytest.raises(ArtifactError, match="outside its folder"):
        read_artifact(tmp_path)


@pytest.mark.parametrize("changes", [{"sizes": {"minimum": None, "maximum": None}}, {"parity": [1]}, {"files": None}])
def test_a_manifest_with_nonsense_in_it_is_malformed(vapsr_s: Artifact, tmp_path: Path, changes: dict[str, object]) -> None:
    rewritten_manifest(vapsr_s, tmp_path, **changes)
    with pytest.raises(ArtifactError, match="malformed"):
        read_artifact(tmp_path)


def test_an_altered_manifest_shows(vapsr_s: Artifact, tmp_path: Path) -> None:
    text = (vapsr_s.folder / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.replace('"vapsr-s"', '"vapsr"'))
    with pytest.raises(ArtifactError, match="was changed"):
        read_artifact(tmp_path)


def test_the_picture_fills_any_size() -> None:
    for height, width in ((1, 1), (96, 96), (128, 128), (300, 129)):
        image = picture(Size(height=height, width=width))
        assert image.shape == (1, 3, height, width)
        assert 0 <= image.min() <= image.max() <= 1
    assert list(parity_inputs(parse_sizes("99x128"))) == ["noise 1x3x99x128", "picture 1x3x99x128"]
    assert list(parity_inputs(parse_sizes("300x200"))) == ["picture 1x3x300x200"]  # large: twice would take minutes
