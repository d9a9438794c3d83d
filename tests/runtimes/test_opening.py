"""Choosing a runtime for an artifact, and what it says when it cannot."""

import logging
import subprocess
import sys
from dataclasses import replace

import pytest

from edgesr import backends
from edgesr import runtimes as package
from edgesr.artifact import Artifact
from edgesr.errors import ArtifactError, BackendMissingError, UnknownNameError, UsageError
from edgesr.registry import Registry
from edgesr.runtimes import open_artifact, runtimes
from edgesr.runtimes.ort import OrtSession


def test_the_format_chooses_the_runtime(vapsr_s: Artifact) -> None:
    assert isinstance(open_artifact(vapsr_s), OrtSession)


def test_an_unknown_runtime_gets_the_nearest_known(vapsr_s: Artifact) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'pytorch'"):
        open_artifact(vapsr_s, runtime="pytorsh")


def test_a_runtime_for_another_format_is_refused(vapsr_s: Artifact) -> None:
    other = replace(vapsr_s, manifest=replace(vapsr_s.manifest, format="mlpackage"))
    with pytest.raises(UsageError, match="does not open mlpackage"):
        open_artifact(other, runtime="ort")


def test_a_missing_package_says_what_to_install(vapsr_s: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = replace(runtimes()["ort"], package="package_that_nobody_has", extra="peers")
    monkeypatch.setattr(package, "runtimes", lambda: Registry("runtime", {"ort": missing}))
    with pytest.raises(BackendMissingError, match="package_that_nobody_has") as caught:
        open_artifact(vapsr_s)
    assert caught.value.hint == 'pip install "edgesr[peers]"'
    assert caught.value.exit_code == 4


def test_a_file_that_is_no_model_is_an_artifact_error(vapsr_s: Artifact) -> None:
    broken = replace(vapsr_s, manifest=replace(vapsr_s.manifest, artifact="parity.npz"))
    with pytest.raises(ArtifactError, match=r"cannot load parity\.npz"):
        open_artifact(broken)


def test_what_coremltools_says_at_its_import_is_silenced_and_nothing_else(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "available", lambda _: True)
    for _ in range(2):
        backends.require("coremltools", extra="coreml", what="reading a package")
    caplog.set_level(logging.WARNING, logger="coremltools")
    logger = logging.getLogger("coremltools")
    logger.warning("%s version %s has not been tested with coremltools. You may run into unexpected errors.", "Torch", "9.9")
    for name in ("_MLModelProxy", "_MLComputePlanProxy"):
        logger.warning(f"Failed to load {name}: No module named 'coremltools.libcoremlpython'")
    logger.warning("the weights are gone")
    on_a_mac = sys.platform == "darwin"
    assert [record.getMessage()[:7] for record in caplog.records] == [*(2 * ["Failed "] if on_a_mac else []), "the wei"]


def test_finding_the_runtimes_brings_neither_pytorch_nor_anything_optional() -> None:
    """A process in which another runtime is measured must not carry them."""
    code = "import sys; from edgesr.runtimes import runtimes; runtimes(); print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "edgesr.runtimes.coreml" in modules
    assert not {"torch", "coremltools", "onnxruntime", "openvino", "ssl", "edgesr.weights"} & set(modules)
