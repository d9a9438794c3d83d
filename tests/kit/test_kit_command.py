"""`edgesr kit ios`: what it prints, and what users get wrong."""

import errno
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.artifact import MANIFEST
from edgesr.kit.apple_modules import APPLE_MODULES
from edgesr.tensors import FloatArray

Command = Callable[..., Any]
MakeArtifact = Callable[..., Path]


def test_it_says_what_was_written_and_that_it_was_not_compiled(edgesr: Command, artifact: Path, tmp_path: Path) -> None:
    done = edgesr("kit", "ios", artifact, "-o", tmp_path / "my kit")
    assert (done.code, done.err) == (0, "")
    assert "ToyX2 for iOS 16 or macOS 13" in done.out
    assert "24x32 (HxW) pixels with 5 of overlap" in done.out
    assert "not compiled" in done.out
    assert f"cd '{tmp_path / 'my kit'}' && swift test" in done.out


def test_json(edgesr: Command, artifact: Path, tmp_path: Path) -> None:
    done = edgesr("kit", "ios", artifact, "-o", tmp_path / "kit", "--name", "Sharp", "--json")
    assert done.json == {
        "folder": str(tmp_path / "kit"),
        "name": "Sharp",
        "model": "toy",
        "scale": 2,
        "tile": {"height": 24, "width": 32},
        "overlap": 5,
        "ios": 16,
        "macos": 13,
        "compiled": False,
    }


def test_a_model_without_weights_is_warned_of(edgesr: Command, make_artifact: MakeArtifact, tmp_path: Path) -> None:
    done = edgesr("kit", "ios", make_artifact(weights="untrained"), "-o", tmp_path / "kit")
    assert done.code == 0
    assert "will be noise" in done.err


def refused(edgesr: Command, folder: Path, tmp_path: Path, *words: object) -> tuple[int, str]:
    """The code and message of a kit that is refused; nothing may have been written."""
    before = sorted(tmp_path.rglob("*"))
    done = edgesr("kit", "ios", folder, "-o", tmp_path / "kit", *words)
    assert done.out == ""
    assert "Traceback" not in done.err
    assert sorted(tmp_path.rglob("*")) == before
    return done.code, done.err


def test_a_folder_that_is_no_artifact(edgesr: Command, tmp_path: Path) -> None:
    code, message = refused(edgesr, tmp_path, tmp_path)
    assert code == 1
    assert "is not an artifact" in message
    assert "edgesr export MODEL --target coreml" in message
    assert refused(edgesr, tmp_path / "nowhere", tmp_path)[0] == 1


def test_the_package_inside_an_artifact_is_not_the_artifact(edgesr: Command, artifact: Path, tmp_path: Path) -> None:
    code, message = refused(edgesr, artifact / "toy-x2.mlpackage", tmp_path)
    assert code == 1
    assert f"Name the folder around it: {artifact}\n" in message


@pytest.mark.parametrize(
    ("weights", "more"),
    [
        ("untrained", ""),
        ({"kind": "demo", "name": "x", "sha256": ""}, ""),
        ({"kind": "official", "name": "VapSR_X4.pth", "sha256": ""}, " --weights VapSR_X4.pth"),
    ],
)
def test_an_artifact_of_another_target_names_the_right_command(
    edgesr: Command, make_artifact: MakeArtifact, tmp_path: Path, weights: Any, more: str
) -> None:
    folder = make_artifact(format="onnx", target="ort", model="vapsr-s", scale=4, weights=weights)
    code, message = refused(edgesr, folder, tmp_path)
    assert code == 2
    assert "is an artifact for ort" in message
    assert f"edgesr export vapsr-s --scale 4 --target coreml{more}\n" in message


def test_a_tampered_package(edgesr: Command, artifact: Path, tmp_path: Path) -> None:
    weights = artifact / "toy-x2.mlpackage" / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    weights.write_bytes(weights.read_bytes()[::-1])
    code, message = refused(edgesr, artifact, tmp_path)
    assert code == 1
    assert "weight.bin was changed after the export" in message
    weights.unlink()
    assert "weight.bin is missing" in refused(edgesr, artifact, tmp_path)[1]


def test_a_tampered_manifest(edgesr: Command, artifact: Path, tmp_path: Path) -> None:
    path = artifact / MANIFEST
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "scale": 3}))
    code, message = refused(edgesr, artifact, tmp_path)
    assert code == 1
    assert "its digest does not fit" in message


@pytest.mark.parametrize("name", ['toy") ; import Foundation //', "a b", "", "ä", "-x"])
def test_names_that_would_change_the_source_are_refused(
    edgesr: Command, make_artifact: MakeArtifact, tmp_path: Path, name: str
) -> None:
    code, message = refused(edgesr, make_artifact(model=name), tmp_path)
    assert code == 1
    assert "cannot stand in source code" in message


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"options": {}}, 1, "deployment target is ''"),
        ({"options": {"deployment": "ios14"}}, 1, "deployment target is 'ios14'"),
        ({"artifact": "other.mlpackage"}, 1, "lists no file of other.mlpackage"),
        ({"arrays": {}}, 1, "no output for every input"),
        (
            {"arrays": dict.fromkeys(("input/picture", "output/picture"), np.full((1, 3, 4, 4), 0.3, np.float32))},
            1,
            "no picture of 8 bits",
        ),
        ({"arrays": {"input/picture": np.ones((1, 3, 4, 4), np.float32)}}, 1, "cannot be read"),
    ],
)
def test_artifacts_that_an_app_cannot_use(
    edgesr: Command, make_artifact: MakeArtifact, tmp_path: Path, changes: dict[str, Any], code: int, said: str
) -> None:
    seen, message = refused(edgesr, make_artifact(**changes), tmp_path)
    assert (seen, said in message) == (code, True), message


def test_half_precision_tensors_are_refused(edgesr: Command, make_artifact: MakeArtifact, tmp_path: Path) -> None:
    folder = make_artifact(io="half")
    code, message = refused(edgesr, folder, tmp_path)
    assert code == 2
    assert "takes float16 and gives float16" in message


@pytest.mark.parametrize("name", ["vapsr", "2X", "My-App", "", "Über"])
def test_names_that_are_none_in_swift(edgesr: Command, artifact: Path, tmp_path: Path, name: str) -> None:
    code, message = refused(edgesr, artifact, tmp_path, "--name", name)
    assert code == 2
    assert "is no name for a Swift package" in message


@pytest.mark.parametrize("name", ["CoreML", "Network", "Foundation", "SwiftUI", "Vision", "CoreImage", "Coreml", "Any", "XCTest"])
def test_names_that_apple_has_are_refused(edgesr: Command, artifact: Path, tmp_path: Path, name: str) -> None:
    """In any case of letters: on a Mac's usual disk they are the same file."""
    code, message = refused(edgesr, artifact, tmp_path, "--name", name)
    assert (code, f"{name} cannot be the package's name" in message, f"--name My{name}" in message) == (2, True, True), message


def test_every_framework_that_the_templates_import_is_a_name_of_apples(repository: Path) -> None:
    templates = (repository / "edgesr" / "kit" / "templates" / "ios").rglob("*.swift")
    imported = {name for path in templates for name in re.findall(r"^import (\w+)", path.read_text(encoding="utf-8"), re.M)}
    assert {"CoreML", "VideoToolbox"} <= imported <= APPLE_MODULES


def test_a_folder_of_somebody_else_is_left_alone(edgesr: Command, artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "mine.txt").write_text("mine")
    code, message = refused(edgesr, artifact, tmp_path)
    assert code == 1
    assert "nothing was written" in message
    assert "-o DIR" in message


def test_the_artifacts_own_folder_is_refused(edgesr: Command, artifact: Path, tmp_path: Path) -> None:
    done = edgesr("kit", "ios", artifact, "-o", artifact)
    assert done.code == 1
    assert (artifact / MANIFEST).is_file()


def test_a_full_disk_leaves_nothing(edgesr: Command, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    code, message = refused(edgesr, artifact, tmp_path)
    assert code == 1
    assert "No space left on device; nothing was left behind" in message


def test_an_earlier_kit_outlives_a_full_disk(
    edgesr: Command, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded_arrays: dict[str, FloatArray]
) -> None:
    assert edgesr("kit", "ios", artifact, "-o", tmp_path / "kit").code == 0
    test_a_full_disk_leaves_nothing(edgesr, artifact, tmp_path, monkeypatch)
    assert (tmp_path / "kit" / "Package.swift").is_file()
