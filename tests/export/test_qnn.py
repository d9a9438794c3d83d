"""Qualcomm's NPU, from the request to what its emulator makes of a picture. Compiled and emulated: the smallest of sizes."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from edgesr import backends
from edgesr.artifact import Artifact, read_artifact
from edgesr.errors import ArtifactError, ParityError, SizeError, UsageError
from edgesr.export import request as request_module
from edgesr.export import verification
from edgesr.export.parity_inputs import picture
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.export.target import targets
from edgesr.export.verification import verify
from edgesr.levels import levels_of
from edgesr.parity import PICTURE, Difference, Edge
from edgesr.runtime import Options
from edgesr.runtimes import open_artifact, qnn
from edgesr.runtimes._qnn import emulator as emulator_module
from edgesr.runtimes._qnn import provider
from edgesr.runtimes._qnn import report as report_module
from edgesr.runtimes._qnn.context_binary import ContextBinary, read_context_binary
from edgesr.runtimes._qnn.emulator import Emulator
from edgesr.runtimes._qnn.provider import qnn_version, wrapper_in
from edgesr.tensors import Size, one_of, parse_sizes

Command = Callable[..., Any]
SIDE = Size(height=8, width=12)
compiles = pytest.mark.skipif(not backends.available("onnxruntime_qnn"), reason="onnxruntime-qnn is not installed")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """vapsr-s for two chips, pictures with colours last. Shared: do not alter its files."""
    options = {"soc": "8 Gen 3,sm8550", "io": "image", "layout": "nhwc"}
    folder = tmp_path_factory.mktemp("qnn") / "out"
    return export(ExportRequest(model="vapsr-s", target_name="qnn", sizes=one_of((SIDE,)), options=options, folder=folder))


@pytest.fixture
def copied(compiled: Artifact, tmp_path: Path) -> Artifact:
    """The same in a folder of its own, which also shows that it can be moved."""
    shutil.copytree(compiled.folder, tmp_path / "moved")
    return read_artifact(tmp_path / "moved")


@compiles
def test_the_manifest_says_for_which_chips_it_is_and_where_its_nodes_run(compiled: Artifact) -> None:
    manifest = compiled.manifest
    first, second = manifest.compiled
    assert manifest.artifact == first.form == "vapsr-s-x4-fp16-8x12.sm8650"
    assert (first.chip, first.architecture, second.chip, second.architecture) == ("sm8650", "v75", "sm8550", "v73")
    assert first.compiler == f"QNN {qnn_version()}"
    assert first.npu_nodes > 100
    assert (first.cpu_nodes, second.cpu_nodes) == (0, 0)
    assert (manifest.input.shape, manifest.input.layout, manifest.input.dtype) == ((1, 8, 12, 3), "NHWC", "uint8")
    assert manifest.output.shape == (1, 32, 48, 3)
    assert (manifest.options["soc"], manifest.precision) == ("sm8650,sm8550", "fp16")
    assert (manifest.budget.psnr_db, manifest.options["optimization"]) == (45, "O3")
    assert [edge.name for edge in manifest.parity] == ["rewritten", "graph in float32", "artifact", "artifact as .sm8550"]


@compiles
def test_an_app_gets_a_folder_with_wrapper_and_binary_and_the_plain_graph_lies_beside(compiled: Artifact) -> None:
    stem = "vapsr-s-x4-fp16-8x12"
    assert {path.name for path in compiled.path.iterdir()} == {f"{stem}-sm8650.onnx", f"{stem}-sm8650_qnn.bin"}
    wrapper = onnx.load(compiled.path / f"{stem}-sm8650.onnx")
    (node,) = wrapper.graph.node
    assert {attribute.name: attribute.s for attribute in node.attribute}["ep_cache_context"] == f"{stem}-sm8650_qnn.bin".encode()
    facts = {entry.key: entry.value for entry in wrapper.metadata_props}
    assert len(facts) == len(wrapper.metadata_props)
    assert [facts[f"edgesr.{name}"] for name in ("chip", "model", "precision")] == ["sm8650", "vapsr-s-x4", "fp16"]
    props = {entry.key: entry.value for entry in onnx.load(compiled.folder / f"{stem}.onnx").metadata_props}
    assert (props["edgesr.precision"], props["edgesr.input"]) == ("fp32", facts["edgesr.input"])
    assert facts["edgesr.input"].startswith(
        "RGB, whole numbers from 0 to 255, the colours of a pixel side by side, height x width: 8x12"
    )
    assert str(compiled.folder) not in str(wrapper)
    image = picture(SIDE)
    given = levels_of(image).astype(np.uint8).transpose(0, 2, 3, 1)
    (plain,) = onnxruntime.InferenceSession(compiled.folder / f"{stem}.onnx").run(None, {"input": given})
    session = open_artifact(compiled, options=Options(device="cpu"))
    assert session.settings["device"].startswith("the plain ONNX in float32")
    np.testing.assert_array_equal(plain, levels_of(session.run(image)).transpose(0, 2, 3, 1))
    with pytest.raises(UsageError, match="no latency"):
        session.bind(image)
    emulated = levels_of(open_artifact(compiled).run(image)).transpose(0, 2, 3, 1)
    assert np.abs(plain - emulated).max() <= 1


@compiles
def test_it_runs_again_wherever_it_lies_for_each_of_its_chips(copied: Artifact) -> None:
    edge = verify(copied.folder).edge
    assert edge.extremes["psnr_db"] > 50
    image = np.concatenate([picture(SIDE), 1 - picture(SIDE)])
    session = open_artifact(copied, options=Options(device="sm8550"))
    assert session.settings["device"].startswith("emulator of sm8550")
    outputs = session.run(image)
    np.testing.assert_array_equal(outputs, open_artifact(copied).run(image))
    assert np.abs(outputs[0] - outputs[1]).max() > 0.1
    plain = verify(copied.folder, device="cpu").edge
    assert (plain.name, plain.worst.beyond_level) == ("graph in float32", 0)
    with pytest.raises(UsageError, match="compiled for sm8650, sm8550, not for sm8750"):
        open_artifact(copied, options=Options(device="sm8750"))
    with pytest.raises(SizeError, match="8x12"):
        session.run(np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(UsageError, match="no latency"):
        session.bind(image)


@compiles
def test_what_would_run_on_an_npu_runs_in_this_process_and_can_be_measured(
    compiled: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine with an NPU, but for the library, which has its emulator here."""
    monkeypatch.setattr(qnn, "emulated", lambda: False)
    monkeypatch.setattr(provider, "emulated", lambda: False)
    session = open_artifact(compiled)
    assert session.settings["device"] == "HTP of sm8650"
    bound = session.bind(picture(SIDE))
    bound()
    np.testing.assert_array_equal(bound.output(), session.run(picture(SIDE)))


@compiles
def test_a_binary_of_another_chip_a_damaged_one_and_none_are_refused(copied: Artifact) -> None:
    first, second = (next((copied.folder / each.form).glob("*.bin")) for each in copied.manifest.compiled)
    right = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(ArtifactError, match="is for sm8550, its manifest says sm8650"):
        open_artifact(copied)
    with pytest.raises(ArtifactError, match="was changed after the export"):
        verify(copied.folder)
    first.write_bytes(right[: len(right) * 2 // 3])
    with pytest.raises(ArtifactError, match=r"QNN cannot load .*-sm8650\.onnx"):
        open_artifact(copied)
    first.unlink()
    with pytest.raises(ArtifactError, match="cannot be read"):
        open_artifact(copied)


@compiles
def test_an_emulator_that_dies_is_an_error_and_an_interrupt_ends_it(compiled: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    given = np.zeros((1, 8, 12, 3), np.uint8)
    dead, alive = (Emulator(wrapper_in(compiled.path), "sm8650") for _ in range(2))
    dead._process.kill()
    with pytest.raises(ArtifactError, match=r"the emulator failed with .*SIGKILL"):
        dead.run(given)

    def interrupted(stream: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(emulator_module, "_received", interrupted)
    with pytest.raises(KeyboardInterrupt):
        alive.run(given)
    assert alive._process.poll() is not None


@compiles
def test_a_binary_of_a_newer_compiler_is_refused_and_one_of_an_older_is_not(
    compiled: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qnn, "qnn_version", lambda: "2.9.0")
    with pytest.raises(ArtifactError, match=r"compiled by QNN 2\.\d+\.\d+; here is 2\.9\.0, which .* older ones") as raised:
        open_artifact(compiled)
    assert "pip install --upgrade" in raised.value.hint
    monkeypatch.setattr(qnn, "qnn_version", lambda: "3.0.0")
    open_artifact(compiled)


@compiles
@pytest.mark.parametrize(("field", "value"), [("chip", "sm8550"), ("architecture", "v79"), ("compiler", "QNN 2.9.0")])
def test_a_binary_that_is_not_what_its_manifest_says_is_refused(field: str, value: str, compiled: Artifact) -> None:
    own = replace(compiled.manifest.compiled[0], **{field: value})  # type: ignore[arg-type]  # all three are texts
    with pytest.raises(ArtifactError, match=f"its manifest says {value}"):
        open_artifact(replace(compiled, manifest=replace(compiled.manifest, compiled=(own,))))


@compiles
def test_inspect_tells_what_the_compiler_wrote_into_each_binary(compiled: Artifact, edgesr: Command) -> None:
    found = edgesr("inspect", compiled.folder, "--json").json["inspection"]
    assert found["operators"] == compiled.manifest.compiled[0].operators
    assert found["operators"]["ElementWiseSubtract"] == found["operators"]["Gelu"] > 5  # as QNN calls what keeps GELUs apart
    assert sum(found["operators"].values()) > 100
    first, second = (report["facts"] for report in found["reports"])
    assert (first["chip"], second["chip"]) == ("sm8650, QNN's number 57, HTP v75", "sm8550, QNN's number 43, HTP v73")
    assert qnn_version() in first["compiler"]
    assert first["nodes of the ONNX graph"].endswith("on the NPU, 0 on the processor")
    assert first["the NPU's own memory (VTCM)"] == 4 * 2**20
    assert first["constants in memory"] > 200_000  # two bytes for each of the network's parameters
    assert 3 * 8 * 12 * (1 + 16) <= first["input and output"] <= 2**15  # in whole tiles
    assert "the compiler's report, not measured on a device" in edgesr("inspect", compiled.folder).out


@compiles
def test_what_the_commands_say_of_it(compiled: Artifact, tmp_path: Path, edgesr: Command) -> None:
    done = edgesr("bench", compiled.folder)
    assert (done.code, "nothing measures qnn files" in done.err) == (2, True)
    words = ("vapsr-s", "--target", "qnn", "--size", "8x8", "--optimization", "O1", "-o", tmp_path / "out")
    done = edgesr("export", *words, "--budget", "120")
    assert (done.code, "--precision" in done.err, (tmp_path / "out").exists()) == (3, False, False)
    done = edgesr("export", *words, "--soc", "sm8650,sm8550")
    assert (done.code, "vapsr-s-x4-fp16-8x8.sm8550" in done.out.replace("\n", "")) == (0, True)


@compiles
def test_each_figure_of_the_compiler_has_its_name(compiled: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ContextBinary(compiler="QNN", chip=57, vtcm=1, spill=2, maps=3, constants=4, instructions=5, ends=6)
    monkeypatch.setattr(report_module, "read_context_binary", lambda _: told)
    facts = report_module.inspect(compiled).reports[0].facts
    names = ("(VTCM)", "spilled", "maps", "constants", "instructions", "input and output")
    assert [next(fact for name, fact in facts.items() if wanted in name) for wanted in names] == [1, 2, 3, 4, 5, 6]


@compiles
def test_no_number_of_a_picture_may_be_a_level_off_in_float32(compiled: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    off = Difference(input=f"{PICTURE} 1x3x8x12", max_abs=2 / 255, relative_l2=1e-3, psnr_db=60, beyond_level=1e-4)
    monkeypatch.setattr(verification, "artifact_edge", lambda *_, device: Edge(name=device, differences=(off,)))
    with pytest.raises(ParityError, match=r"graph in float32 .* differ by more than 1/255"):
        verification.graph_edge(compiled, {}, {})


@compiles
def test_a_picture_through_the_emulator_comes_with_a_word_on_its_seconds(
    compiled: Artifact, tmp_path: Path, edgesr: Command
) -> None:
    Image.fromarray(np.full((8, 12, 3), 99, np.uint8)).save(tmp_path / "small.png")
    done = edgesr("upscale", tmp_path / "small.png", tmp_path / "large.png", "--artifact", compiled.folder)
    assert done.code == 0
    assert "emulator of sm8650, on this computer: the seconds are this computer's, and no measurement" in done.err


@compiles
@pytest.mark.parametrize("kept", [0, 3000, -1])
def test_a_damaged_binary_has_no_report(kept: int, copied: Artifact) -> None:
    binary = next(copied.path.glob("*.bin"))
    binary.write_bytes(binary.read_bytes()[:kept] if kept >= 0 else b"x" * 5000)
    with pytest.raises(ArtifactError, match="no context binary of one graph that this QNN can read"):
        read_context_binary(binary)


@compiles
def test_the_doctor_says_what_networks_would_run_on(edgesr: Command) -> None:
    told = edgesr("doctor", "--json").json["qnn"]
    assert told["state"] == "ok"
    assert f"QNN {qnn_version()}, the NPU emulated" in told["found"]


def test_the_smaller_graph_counts_and_the_asked_one_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a target that writes ONNX, which runs in no time."""
    quick = replace(targets()["onnx"], proof=Size(height=16, width=16), options={"verify": ("quick", "full")})
    monkeypatch.setattr(request_module, "targets", lambda: {"onnx": quick})
    artifact = export(ExportRequest(model="vapsr-s", target_name="onnx", sizes=parse_sizes("24x24"), folder=tmp_path / "out"))
    assert [edge.name for edge in artifact.manifest.parity] == [
        "rewritten",
        "graph in float32",
        "graph in float32 for 16x16",
        "artifact for 16x16",
    ]
    assert [each.input for each in artifact.manifest.parity[1].differences] == ["picture 1x3x24x24"]
    assert artifact.path.stem == "vapsr-s-x4-fp32-24x24"
    assert [each.input for each in verify(artifact.folder).edge.differences] == ["picture 1x3x24x24"]
