"""The TensorRT target, from the command to the file: sizes, batches and profiles, half precision, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgesr.artifact import Artifact, read_artifact
from edgesr.errors import ArtifactError, BackendMissingError, ExportError, ParityError, SizeError, UsageError
from edgesr.export import verification
from edgesr.export.constant_factors import with_constant_factors
from edgesr.export.pipeline import export
from edgesr.export.profiles import profiles_of
from edgesr.export.request import ExportRequest
from edgesr.export.rewrite import plan
from edgesr.export.target import targets
from edgesr.export.tensorrt_parser import check_parser
from edgesr.export.verification import edge_elsewhere
from edgesr.manifest import Profile, digest
from edgesr.models import families
from edgesr.recorded import RECORDED, read_recorded
from edgesr.runtime import Options, RuntimeSession
from edgesr.runtimes import open_artifact
from edgesr.tensors import Size, parse_sizes

Command = Callable[..., Any]


def request(folder: Path, **changes: object) -> ExportRequest:
    """vapsr-s for TensorRT at a small size."""
    asked = {"model": "vapsr-s", "target_name": "tensorrt", "sizes": parse_sizes("24x32"), "folder": folder, **changes}
    return ExportRequest(**asked)  # type: ignore[arg-type]  # by name


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """vapsr-s, 24×32 only. Shared: do not alter its files."""
    return export(request(tmp_path_factory.mktemp("tensorrt") / "out"))


@pytest.fixture(scope="module")
def ranged(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """vapsr-s in half precision, 16×16 to 48×64, up to four pictures. Shared: do not alter its files."""
    asked = {"sizes": parse_sizes("16x16..48x64"), "optimum": Size(height=24, width=40), "batch": 4, "precision": "fp16"}
    return export(request(tmp_path_factory.mktemp("tensorrt") / "out", **asked))


def test_the_plan() -> None:
    names = {step.name for step in plan(targets()["tensorrt"].needs)}
    assert names == {
        *("window-attention-at-once", "rectangle-attention-at-once", "reduced-attention-at-once"),
        *("bicubic-shuffle", "fourier-matmul", "mixture-after-convolution", "shifted-kernels", "split-kernel-sum"),
    }


def test_the_default_is_one_size_and_one_profile(fixed: Artifact) -> None:
    assert targets()["tensorrt"].default_size == Size(height=180, width=320)
    manifest = fixed.manifest
    shape = (1, 24, 32)
    assert manifest.profiles == (Profile(minimum=shape, optimum=shape, maximum=shape),)
    assert (manifest.target, manifest.format, manifest.artifact) == ("tensorrt", "onnx", "vapsr-s-x4-fp32-24x32.onnx")
    assert (manifest.input.name, manifest.input.shape, manifest.input.dtype) == ("input", (1, 3, 24, 32), "float32")
    assert (manifest.output.name, manifest.output.shape, manifest.output.dtype) == ("output", (1, 3, 96, 128), "float32")
    assert manifest.parity[-1].extremes["relative_l2"] < 1e-4


def test_a_range_has_a_smallest_a_best_and_a_largest_shape(ranged: Artifact) -> None:
    manifest = ranged.manifest
    assert manifest.profiles == (Profile(minimum=(1, 16, 16), optimum=(4, 24, 40), maximum=(4, 48, 64)),)
    assert manifest.artifact == "vapsr-s-x4-fp16-16x16-to-48x64-n4.onnx"
    assert manifest.input.shape == ("N", 3, "H", "W")
    run = {each.input for each in manifest.parity[-1].differences}
    assert {"picture 1x3x16x16", "picture 1x3x24x40", "picture 1x3x48x64", "noise 2x3x48x64"} <= run


def test_half_precision_is_in_the_graph_between_float32_input_and_output(ranged: Artifact) -> None:
    graph = onnx.load(ranged.path).graph
    assert [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)] == [1, 1]
    kernels = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    assert {tensor.data_type for tensor in graph.initializer if tensor.name in kernels} == {onnx.TensorProto.FLOAT16}
    assert ranged.manifest.islands == ()
    assert 50 <= ranged.manifest.parity[-1].extremes["psnr_db"] < 100


def test_no_sample_of_a_batch_sees_another(ranged: Artifact) -> None:
    x = np.random.default_rng(0).random((3, 3, 17, 23), dtype=np.float32)
    session = open_artifact(ranged)
    np.testing.assert_allclose(session.run(x), np.concatenate([session.run(each[None]) for each in x]), atol=1e-3)


def test_listed_sizes_have_a_profile_each(tmp_path: Path) -> None:
    artifact = export(request(tmp_path / "out", sizes=parse_sizes("16x16,24x40")))
    assert [profile.optimum for profile in artifact.manifest.profiles] == [(1, 16, 16), (1, 24, 40)]
    assert all(profile.minimum == profile.maximum for profile in artifact.manifest.profiles)
    session = open_artifact(artifact)
    assert session.run(np.zeros((1, 3, 24, 40), np.float32)).shape == (1, 3, 96, 160)
    with pytest.raises(SizeError, match="16x16, 24x40"):
        session.run(np.zeros((1, 3, 16, 40), np.float32))


def test_it_is_compared_on_cuda_too_where_that_works(fixed: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the processor in the GPU's place."""
    gpu: dict[str, Any] = {"error": None, "wrong": 0.0}

    def opened(artifact: Artifact, *, runtime: str | None = None, options: Options) -> RuntimeSession:
        session = open_artifact(artifact, runtime=runtime)
        if options.device == "cuda":
            if gpu["error"]:
                raise gpu["error"]
            run = session.run
            monkeypatch.setattr(session, "run", lambda image: run(image) + np.float32(gpu["wrong"]))
        return session

    monkeypatch.setattr(verification, "open_artifact", opened)
    inputs, outputs = read_recorded(fixed.folder / RECORDED)
    found = edge_elsewhere(fixed, inputs, outputs)
    assert found == replace(fixed.manifest.parity[-1], name="artifact on cuda")
    for error in (BackendMissingError("no CUDA"), ArtifactError("on the processor"), MemoryError()):
        gpu["error"] = error
        assert edge_elsewhere(fixed, inputs, outputs) is None
    gpu |= {"error": None, "wrong": 0.1}
    with pytest.raises(ParityError, match="artifact on cuda"):
        export(request(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_best_size_of_a_range_is_the_default_or_what_is_nearest() -> None:
    usual = targets()["tensorrt"].default_size
    for sizes, best in (("64x64..540x960", (180, 320)), ("16x400..100x500", (100, 400)), ("200x16..300x100", (200, 100))):
        (profile,) = profiles_of(parse_sizes(sizes), batch=2, optimum=usual)
        assert profile.optimum == (2, *best)


def test_the_manifest_holds_profiles_only_where_there_are_any(fixed: Artifact, vapsr_s: Artifact) -> None:
    assert json.loads((fixed.folder / "manifest.json").read_text())["profiles"] == [
        {"minimum": [1, 24, 32], "optimum": [1, 24, 32], "maximum": [1, 24, 32]}
    ]
    assert "profiles" not in json.loads((vapsr_s.folder / "manifest.json").read_text())
    assert vapsr_s.manifest.profiles == ()
    written = json.loads((fixed.folder / "manifest.json").read_text())
    assert json.loads(json.dumps(read_artifact(fixed.folder).manifest.to_json())) == written


@pytest.mark.parametrize(
    "profile",
    [
        {"minimum": [1, 24, 32], "optimum": [1, 24, 32], "maximum": [1, 24, 31]},
        {"minimum": [0, 24, 32], "optimum": [1, 24, 32], "maximum": [1, 24, 32]},
        {"minimum": [1, 24], "optimum": [1, 24], "maximum": [1, 24]},
        {"minimum": [1, 24, 32], "maximum": [1, 24, 32]},
    ],
)
def test_nonsense_in_a_profile_is_malformed(profile: dict[str, list[int]], fixed: Artifact, tmp_path: Path) -> None:
    data = {**json.loads((fixed.folder / "manifest.json").read_text()), "profiles": [profile]}
    data["digest"] = digest(data)
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match="malformed"):
        read_artifact(tmp_path)


def test_the_latest_and_the_earliest_opset(tmp_path: Path) -> None:
    offered = targets()["tensorrt"].opsets
    for opset in (max(offered), min(offered)):
        artifact = export(request(tmp_path / str(opset), opset=opset))
        model = onnx.load(artifact.path)
        assert [entry.version for entry in model.opset_import] == [opset]
        check_parser(model)


def test_a_graph_that_the_parser_refuses_is_no_artifact(tmp_path: Path) -> None:
    """Without its rewrite, SRConvNet transforms by an operator that the parser lacks."""
    with pytest.raises(ExportError, match=r"DFT \w+, of the network as it was written, is not for TensorRT"):
        export(request(tmp_path / "out", model="srconvnet", sizes=parse_sizes("16x16"), without=("fourier-matmul",)))
    assert not list(tmp_path.iterdir())


def test_position_biases_are_written_out_where_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"model": "esc-light", "sizes": parse_sizes("32x32"), "options": {"tables": "constant"}}
    artifact = export(request(tmp_path / "out", precision="fp16", **asked))
    biases = [tensor for tensor in onnx.load(artifact.path).graph.initializer if list(tensor.dims) == [4, 1024, 1024]]
    assert [tensor.data_type for tensor in biases] == [onnx.TensorProto.FLOAT16] * 3
    monkeypatch.setattr("edgesr.export.targets.tensorrt._LARGEST", artifact.manifest.model_bytes - 1)
    with pytest.raises(ExportError, match="an ONNX file holds 2 GB at most"):
        export(request(tmp_path / "again", precision="fp16", **asked))
    assert not (tmp_path / "again").exists()


def test_a_wrong_file_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: onnx.ModelProto, *, tables: bool) -> onnx.ModelProto:
        made = with_constant_factors(model, tables=tables)
        weight = made.graph.initializer[0]
        weight.raw_data = (1.01 * onnx.numpy_helper.to_array(weight)).tobytes()
        return made

    monkeypatch.setattr("edgesr.export.targets.tensorrt.with_constant_factors", wrong)
    with pytest.raises(ParityError, match="artifact is not the reference's function"):
        export(request(tmp_path / "out"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"opset": 21}, "has no opset 21"),
        ({"opset": 16}, "has no opset 16"),
        ({"precision": "w8"}, "has no precision 'w8'"),
        ({"precision": "fp16", "half_io": True}, "has no --half-io"),
        ({"batch": 0}, "0 is no number of pictures"),
        ({"batch": 65}, "65 is no number of pictures"),
        ({"optimum": Size(height=24, width=32)}, "--optimum is for a range"),
        ({"sizes": parse_sizes("8x8..16x16"), "optimum": Size(height=24, width=32)}, "is too large"),
        ({"sizes": parse_sizes("8x8..16x16"), "optimum": Size(height=4, width=8)}, "is too small"),
        ({"target_name": "ort", "sizes": None, "batch": 2}, "has no --batch"),
        ({"target_name": "ort", "sizes": None, "optimum": Size(height=24, width=32)}, "has no --batch and no --optimum"),
        ({"options": {"io": "image"}}, "has no --io image"),
    ],
)
def test_what_cannot_be_asked_for(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        export(request(tmp_path / "out", **changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sizes", ["8x40", "8x40,40x40", "8x8..40x40"])
def test_sizes_below_the_networks_own_are_refused(sizes: str, tmp_path: Path) -> None:
    with pytest.raises(SizeError, match="too small"):
        export(request(tmp_path / "out", model="esc-light", sizes=parse_sizes(sizes)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sizes", ["64x64,1024x64", "64x64..1024x64"])
def test_sizes_that_one_graph_of_rgts_does_not_take_are_refused(sizes: str, tmp_path: Path) -> None:
    with pytest.raises(SizeError, match="too large"):
        export(request(tmp_path / "out", model="rgt-s", sizes=parse_sizes(sizes)))
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path, edgesr: Command) -> None:
    words = ("export", "vapsr-s", "--target", "tensorrt", "--size", "8x8..16x24", "--optimum", "8x16", "--batch", "2")
    done = edgesr(*words, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "Profile (N,H,W): 1×8×8, 2×8×16, 2×16×24" in done.out
    assert f"edgesr build {tmp_path / 'out'}" in done.out
    assert edgesr("verify", tmp_path / "out").code == 0
    planned = edgesr("plan", "rgt-s", "--target", "tensorrt", "--json").json
    matches = {row["rewrite"]: row["matches"] for row in planned["rewrites"] if row["matches"]}
    assert matches == {"rectangle-attention-at-once": 18, "reduced-attention-at-once": 18}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dynamic"], "has no --dynamic"),
        (["--size", "32x32..8x8"], "is no range"),
        (["--size", "8x8", "--batch", "0"], "is no number of pictures"),
        (["--size", "8x8..16x16", "--optimum", "big"], "is not a size"),
    ],
)
def test_bad_input_is_one_clear_error(words: list[str], message: str, tmp_path: Path, edgesr: Command) -> None:
    done = edgesr("export", "vapsr-s", "--target", "tensorrt", *words, "-o", tmp_path / "out")
    assert (done.code, message in done.err) == (2, True), done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("variant", [variant for family in families().values() for variant in family.variants])
def test_every_variant(variant: str, precision: str, tmp_path: Path) -> None:
    """All nine, ×4, one size; the exporting checks operators and parity."""
    artifact = export(request(tmp_path / "out", model=variant, scale=4, sizes=parse_sizes("64x64"), precision=precision))
    edge = artifact.manifest.parity[-1]
    assert edge.extremes["relative_l2"] < (1e-4 if precision == "fp32" else 2e-2)
    assert edge.extremes["psnr_db"] >= 50
    model = onnx.load(artifact.path)
    assert not {node.op_type for node in model.graph.node} & {"Loop", "Scan", "If"}
    shutil.rmtree(tmp_path / "out")
