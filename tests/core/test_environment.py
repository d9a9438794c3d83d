"""What is installed, as the doctor reads it from metadata."""

from importlib import metadata

import pytest

from edgesr import ort_packages
from edgesr.backends import packages_of
from edgesr.environment import Package, environment


def onnxruntime(monkeypatch: pytest.MonkeyPatch, **builds: str) -> Package:
    monkeypatch.setattr(ort_packages, "installed", lambda: {name.replace("_", "-"): version for name, version in builds.items()})
    return next(package for package in environment().packages if package.name == "onnxruntime")


def test_the_build_for_gpus_is_an_onnxruntime_too(monkeypatch: pytest.MonkeyPatch) -> None:
    found = onnxruntime(monkeypatch, onnxruntime_gpu="1.31.1")
    assert (found.installed, found.state, found.remedy) == ("1.31.1", "ok", "")


def test_two_builds_are_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    found = onnxruntime(monkeypatch, onnxruntime="1.31.1", onnxruntime_gpu="1.31.1")
    assert found.state == "conflict"
    assert found.remedy == 'pip uninstall -y onnxruntime onnxruntime-gpu; pip install "onnxruntime-gpu[cuda,cudnn]"'
    assert "onnxruntime-gpu[" not in onnxruntime(monkeypatch, onnxruntime="1.31.1", onnxruntime_openvino="1.31.1").remedy


def test_an_old_build_for_gpus_is_not_mended_with_one_for_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    found = onnxruntime(monkeypatch, onnxruntime_gpu="1.18.0")
    assert found.state == "other version"
    assert found.remedy.startswith("pip uninstall -y onnxruntime-gpu; ")


def test_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    found = onnxruntime(monkeypatch)
    assert (found.state, found.remedy) == ("missing", "pip install edgesr")


def test_edgesr_may_run_from_its_folder_without_being_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("edgesr.environment.metadata.requires", missing)
    here = environment()
    assert here.packages == ()
    assert here.processors >= 1


def test_packages_of_a_module_whatever_they_are_called() -> None:
    assert packages_of("PIL").keys() == {"pillow"}
    assert packages_of("module_that_nobody_has") == {}
