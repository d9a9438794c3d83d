"""Every command, as a user types it."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgesr as package
from edgesr.artifact import Artifact
from edgesr.complexity import multiply_adds
from edgesr.runtime import Inspection
from edgesr.runtimes import runtimes

Command = Callable[..., Any]


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)).save(path)
    return path


def test_version(edgesr: Command) -> None:
    assert edgesr("--version").out.strip() == f"edgesr {package.__version__}"


def test_installed_command_and_module_run() -> None:
    command = [sys.executable, "-c", "from edgesr.cli.app import main; main()", "doctor", "--json"]
    assert subprocess.run(command, capture_output=True, check=True).stdout.startswith(b"{")


def test_models(edgesr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    # Counting RGT takes longer than all others, and tests/models does it.
    monkeypatch.setattr("edgesr.complexity.multiply_adds", lambda spec: 1 if spec.family_name == "rgt" else multiply_adds(spec))
    rows = {(row["model"], row["scale"]): row for row in edgesr("models", "--json").json}
    esc = rows["esc", 4]
    assert esc["parameters"] == pytest.approx(968e3, rel=0.01)
    assert esc["multiply_adds"] == pytest.approx(149.2e9, rel=0.01)
    assert esc["reach"]["kind"] == "global"
    assert esc["smallest_input"] == 17
    assert rows["vapsr-s", 4]["official_weights"] == ["VapSR-S.pth"]
    assert rows["vapsr", 4]["reach"] == {"kind": "local", "radius": 172}
    monkeypatch.setattr("edgesr.cli.catalogue._model_row", lambda spec: rows[spec.variant, spec.scale])
    out = edgesr("models").out
    assert "esc-light" in out
    assert "149.2 G" in out


def test_inspect(edgesr: Command, data: Path) -> None:
    file = data / "weights" / "vapsr" / "VapSR_X2.pth"
    report = edgesr("inspect", file, "--json").json
    assert (report["family"], report["variant"], report["scale"], report["finite"]) == ("vapsr", "vapsr", 2, True)
    assert report["configuration"]["blocks"] == 20
    text = edgesr("inspect", file).out
    assert "params_ema (the EMA weights)" in text or "params" in text


def test_inspect_tells_the_functions_of_a_file(edgesr: Command, vapsr_s: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Inspection(operators={"conv": 5, "add": 2}, functions={"size_8x8": 7, "size_9x9": 9})
    runtime = replace(runtimes()["ort"], inspect=lambda _: found)
    monkeypatch.setattr("edgesr.cli.inspecting.runtimes", lambda: {"ort": runtime})
    out = edgesr("inspect", vapsr_s.folder).out
    assert "7 operations of size_8x8" in out
    assert "size_8x8 (7 operations), size_9x9 (9 operations)" in out


def test_weights_list(edgesr: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path))
    rows = {row["file"]: row for row in edgesr("weights", "list", "--json").json}
    assert rows["VapSR_X4.pth"]["sha256"].startswith("fa6b84a1")
    assert rows["VapSR_X4.pth"]["cached"] is None
    assert str(tmp_path) in edgesr("weights", "list").out


def test_plan(edgesr: Command) -> None:
    plan = edgesr("plan", "esc-fp", "--target", "ort", "--json").json
    split = next(row for row in plan["rewrites"] if row["rewrite"] == "split-kernel-sum")
    assert (split["matches"], split["because"]) == (25, "static_parts_apart")
    names = [row["rewrite"] for row in plan["rewrites"]]
    assert names.index("window-attention") < names.index("attention-in-portions")
    without = edgesr("plan", "esc-fp", "--without", "split-kernel-sum", "--json").json["rewrites"]
    assert [row["rewrite"] for row in without] == [name for name in names if name != "split-kernel-sum"]
    assert "which find nothing here: window-attention" in edgesr("plan", "vapsr-s").out
    assert "refused 15 places, blocks.0." in edgesr("plan", "esc-light").out


def test_export_then_verify_then_upscale(edgesr: Command, tmp_path: Path, photograph: Path) -> None:
    folder = tmp_path / "artifact"
    done = edgesr("export", "vapsr", "--scale", 2, "--target", "ort", "-o", folder, "--json")
    assert done.code == 0
    assert done.json["weights"] == "untrained"
    assert "latency and conversion only" in done.err
    assert done.json["artifact"] == "vapsr-x2-fp32-untrained.onnx"
    elsewhere = edgesr("verify", folder, "--device", "moon")
    assert (elsewhere.code, "runtime ort does not run on moon" in elsewhere.err) == (2, True), elsewhere.err
    verified = edgesr("verify", folder)
    assert verified.code == 0
    assert "picture 1x3x72x72" in verified.out
    done = edgesr("upscale", photograph, tmp_path / "out.png", "--artifact", folder)
    assert done.code == 0
    assert "noise" in done.err
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (34, 24)


def test_export_names_its_folder_after_the_model(edgesr: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert edgesr("export", "vapsr", "--scale", 3, "--size", "8x8").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["vapsr-x3-fp32-8x8-untrained-ort"]


def test_upscale_a_folder_goes_on_past_a_broken_file(
    edgesr: Command, vapsr_s: Artifact, tmp_path: Path, photograph: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    shutil.copy(photograph, pictures / "good.png")
    (pictures / "broken.png").write_bytes(b"no picture")
    (pictures / "notes.txt").write_text("no picture either")
    done = edgesr("upscale", pictures, tmp_path / "out", "--artifact", vapsr_s.folder)
    assert done.code == 1
    assert "1 upscaled, 1 failed, 1 skipped" in done.out
    assert "broken.png" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


def test_upscale_a_folder(edgesr: Command, vapsr_s: Artifact, tmp_path: Path, photograph: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(photograph, pictures / name)
    done = edgesr("upscale", pictures, tmp_path / "out", "--artifact", vapsr_s.folder, "--format", "webp")
    assert (done.code, done.err) == (0, "")
    assert "2 upscaled, 0 failed, 0 skipped" in done.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.webp", "b.webp"]
    (pictures / "a.png").write_bytes(b"no picture")
    (pictures / "b.png").write_bytes(b"no picture")
    done = edgesr("upscale", pictures, tmp_path / "none", "--artifact", vapsr_s.folder, "--json")
    assert done.code == 1
    assert len(done.json["failed"]) == done.err.count("Error:") == 2


def test_seams_of_a_local_network_are_none(edgesr: Command, vapsr_s: Artifact, tmp_path: Path) -> None:
    photograph = tmp_path / "long.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 240, 3), dtype=np.uint8)).save(photograph)
    done = edgesr(
        "upscale", photograph, tmp_path / "out.png", "--artifact", vapsr_s.folder, "--tile", 48, "--check-seams", "--json"
    )
    assert done.json["run"]["tiles"] > 1
    assert done.json["run"]["seams"]["max_abs"] < 1e-5


def test_eval_of_an_artifact_and_its_reference_agree(edgesr: Command, vapsr_s: Artifact, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 72, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    through_ort = edgesr("eval", "--hr", tmp_path, "--artifact", vapsr_s.folder, "--json").json
    through_torch = edgesr("eval", "--hr", tmp_path, "--model", "vapsr-s", "--json").json
    assert through_ort["network"]["psnr_db"] == pytest.approx(through_torch["network"]["psnr_db"], abs=0.01)
    assert through_ort["bicubic"] == through_torch["bicubic"]


def test_doctor(edgesr: Command) -> None:
    report = edgesr("doctor", "--json").json
    states = {package["name"]: package for package in report["packages"]}
    assert states["torch"]["state"] == "ok"
    assert states["coremltools"]["extra"] == "coreml"
    if states["coremltools"]["state"] == "missing":
        assert states["coremltools"]["remedy"] == 'pip install "edgesr[coreml]"'
    plugins = {(plugin["kind"], plugin["name"]): plugin for plugin in report["plugins"]}
    assert plugins.keys() >= {("runtime", "ort"), ("runtime", "pytorch")}
    if states["coremltools"]["state"] == "ok" and sys.platform != "darwin":
        runtime, target = plugins["runtime", "coreml"], plugins["target", "coreml"]
        assert (runtime["ready"], runtime["state"]) == (False, "on a Mac only")
        assert (target["ready"], target["state"]) == (True, "ok: converts and verifies; predicts on a Mac only")
    assert "torch" in edgesr("doctor").out


def test_names_of_files_are_printed_as_they_are(edgesr: Command, vapsr_s: Artifact, tmp_path: Path, photograph: Path) -> None:
    odd = tmp_path / "b:cat: [red] [" / "x[/b].png"
    odd.parent.mkdir(parents=True)
    shutil.copy(photograph, odd)
    out = odd.with_name("out [bold].png")
    assert f"{odd} -> {out}: 12x17 to 48x68 (HxW)" in edgesr("upscale", odd, out, "--artifact", vapsr_s.folder).out
    out.unlink()
    assert edgesr("upscale", odd, out, "--artifact", vapsr_s.folder, "--json").json["source"] == str(odd)
    assert str(tmp_path / "[/b]") in edgesr("verify", tmp_path / "[/b]").err
