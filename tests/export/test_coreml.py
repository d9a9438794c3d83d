"""The Core ML target, from the command to the evaluated package."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesr.artifact import Artifact, files_in, read_artifact
from edgesr.errors import ArtifactError, ExportError, SizeError, UsageError
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.export.verification import verify
from edgesr.parity import PICTURE, difference
from edgesr.recorded import RECORDED, read_recorded
from edgesr.runtime import Options
from edgesr.runtimes import open_artifact
from edgesr.runtimes._mil.placement import inspection
from edgesr.runtimes._mil.program import Package
from edgesr.tensors import parse_sizes

pytest.importorskip("coremltools")

Command = Callable[..., Any]


def request(folder: Path, **changes: object) -> ExportRequest:
    """vapsr-s for Core ML at a small size."""
    asked = {"model": "vapsr-s", "target_name": "coreml", "sizes": parse_sizes("24x32"), "folder": folder, **changes}
    return ExportRequest(**asked)  # type: ignore[arg-type]  # by name


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """vapsr-s by default: pictures in and out, half precision, iOS 16. Shared: do not alter its files."""
    return export(request(tmp_path_factory.mktemp("coreml") / "out"))


def test_the_default_takes_and_gives_pictures_in_half_precision(pictures: Artifact) -> None:
    manifest = pictures.manifest
    assert manifest.artifact == "vapsr-s-x4-fp16-24x32.mlpackage"
    assert (manifest.precision, manifest.options["io"], manifest.options["deployment"]) == ("fp16", "image", "ios16")
    assert (manifest.input.dtype, manifest.input.range, manifest.output.shape) == ("uint8", (0, 255), (1, 3, 96, 128))
    spec = Package(pictures.path).spec
    assert spec.specificationVersion == 7  # of iOS 16
    (given,), (result,) = spec.description.input, spec.description.output
    assert (given.name, given.type.imageType.height, given.type.imageType.width) == ("input", 24, 32)
    assert (result.name, result.type.imageType.height, result.type.imageType.width) == ("output", 96, 128)


def test_the_package_says_what_it_is(pictures: Artifact) -> None:
    told = Package(pictures.path).spec.description.metadata
    assert "VapSR" in told.author
    assert told.license
    assert told.versionString == pictures.manifest.tools["edgesr"]
    assert "vapsr-s" in told.shortDescription
    assert told.userDefined["edgesr.precision"] == "fp16"
    assert told.userDefined["edgesr.manifest"] == pictures.manifest.identity
    assert not any("date" in name for name in told.userDefined)  # for the same bytes tomorrow
    assert pictures.manifest.tools["coremltools"]


def test_pictures_come_back_within_a_level(pictures: Artifact) -> None:
    (measured,) = [each for each in pictures.manifest.parity[-1].differences if each.input.startswith(PICTURE)]
    assert measured.psnr_db > 50
    assert measured.max_abs <= 1 / 255
    session = open_artifact(pictures)
    assert session.run(np.full((1, 3, 24, 32), 2.0, np.float32)).max() <= 1
    between = np.full((1, 3, 24, 32), 100.3 / 255, np.float32)
    np.testing.assert_array_equal(session.run(between), session.run(np.round(between * 255) / np.float32(255)))


def test_without_rounding_a_package_is_nearer_to_the_reference(pictures: Artifact) -> None:
    inputs, outputs = read_recorded(pictures.folder / RECORDED)
    name = next(name for name in inputs if name.startswith(PICTURE))
    rounded, exact = (
        difference(name, outputs[name].clip(0, 1), open_artifact(pictures, options=Options(device=device)).run(inputs[name]))
        for device in (None, "exact")
    )
    assert rounded.psnr_db + 3 < exact.psnr_db < 100  # the weights are rounded in the file


@pytest.mark.parametrize("deployment", ["ios15", "ios16", "ios17", "ios18"])
def test_float32_is_exact_for_every_deployment_target(deployment: str, tmp_path: Path) -> None:
    options = {"io": "tensor", "deployment": deployment}
    manifest = export(request(tmp_path / "out", precision="fp32", options=options)).manifest
    assert manifest.parity[-1].extremes["psnr_db"] > 100
    assert manifest.input.dtype == "float32"


def test_the_same_request_gives_the_same_bytes(pictures: Artifact, tmp_path: Path) -> None:
    again = export(request(tmp_path / "again"))
    assert files_in(again.folder) == files_in(pictures.folder)


def test_listed_sizes_and_ranges_of_a_convolutional_network(tmp_path: Path) -> None:
    listed = export(request(tmp_path / "listed", sizes=parse_sizes("16x16,24x40"), options={"io": "tensor"}))
    assert [each.input for each in listed.manifest.parity[-1].differences if each.input.startswith(PICTURE)] == [
        "picture 1x3x16x16",
        "picture 1x3x24x40",
    ]
    session = open_artifact(listed)
    assert session.run(np.zeros((1, 3, 24, 40), np.float32)).shape == (1, 3, 96, 160)
    with pytest.raises(SizeError, match="16x16, 24x40"):
        session.run(np.zeros((1, 3, 16, 40), np.float32))
    ranged = export(request(tmp_path / "range", sizes=parse_sizes("8x8..32x48")))
    assert open_artifact(ranged).run(np.zeros((2, 3, 9, 47), np.float32)).shape == (2, 3, 36, 188)
    assert "picture 1x3x32x48" in [each.input for each in ranged.manifest.parity[-1].differences]


def test_a_network_whose_graph_depends_on_the_size_gets_functions_that_share_weights(tmp_path: Path) -> None:
    sizes = parse_sizes("20x20,24x24")
    with pytest.raises(UsageError, match="fourier-linear") as refused:
        export(request(tmp_path / "out", model="srconvnet", sizes=sizes))
    assert "--shapes functions" in refused.value.hint
    with pytest.raises(UsageError, match="iOS 18"):
        export(request(tmp_path / "out", model="srconvnet", sizes=sizes, options={"shapes": "functions"}))
    options = {"shapes": "functions", "deployment": "ios18", "io": "tensor"}
    both = export(request(tmp_path / "both", sizes=sizes, options=options))
    one = export(request(tmp_path / "one", sizes=parse_sizes("24x24"), options={"deployment": "ios18"}))
    assert set(Package(both.path).functions) == {"size_20x20", "size_24x24"}
    assert open_artifact(both).run(np.zeros((1, 3, 20, 20), np.float32)).shape == (1, 3, 80, 80)
    assert list(inspection(both).functions) == ["size_20x20", "size_24x24"]
    assert both.manifest.model_bytes < 1.5 * one.manifest.model_bytes
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--size", "0x8"], 2, "is not a size"),
        (["--size", "32x32..8x8"], 2, "is no range"),
        (["--precision", "w9"], 2, "w9"),
        (["--io", "video"], 2, "has no --io video"),
        (["--deployment", "ios12"], 2, "has no --deployment ios12"),
        (["--dynamic"], 2, "has no --dynamic"),
        (["--half-io"], 2, "has no --half-io"),
        (["--size", "8x8..16x16", "--shapes", "functions", "--deployment", "ios18"], 2, "List them, as in --size 8x8,16x16"),
        (["--precision", "w8", "--size", "16x16", "--budget", "120"], 3, "for fewer (--budget), or take --precision fp16"),
    ],
)
def test_bad_input_is_one_clear_error(words: list[str], code: int, message: str, tmp_path: Path, edgesr: Command) -> None:
    done = edgesr("export", "vapsr-s", "--target", "coreml", *words, "-o", tmp_path / "out")
    assert (done.code, message in done.err) == (code, True), done.err
    assert list(tmp_path.iterdir()) == []


def test_the_options_are_only_core_mls(tmp_path: Path, edgesr: Command) -> None:
    done = edgesr("export", "vapsr-s", "--io", "image", "-o", tmp_path / "out")
    assert (done.code, "target ort has no --io image" in done.err) == (2, True)
    done = edgesr("export", "vapsr-s", "--size", "8x8,16x16", "-o", tmp_path / "out")
    assert (done.code, "takes one size, or any" in done.err) == (2, True)


def test_without_coremltools_the_command_says_how_to_get_it(
    tmp_path: Path, edgesr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesr.backends.available", lambda package: package != "coremltools")
    done = edgesr("export", "vapsr-s", "--target", "coreml", "-o", tmp_path / "out")
    assert (done.code, 'pip install "edgesr[coreml]"' in done.err) == (4, True)


def test_a_tampered_package_is_noticed(pictures: Artifact, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(pictures.folder, folder)
    weights = next(folder.rglob("weight.bin"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"weight\.bin was changed after the export"):
        verify(folder)


def test_a_file_that_is_no_part_of_the_package_is_noticed(pictures: Artifact, tmp_path: Path) -> None:
    shutil.copytree(pictures.folder, tmp_path / "copy")
    copy = read_artifact(tmp_path / "copy")
    (copy.path / "Data" / "more.bin").write_bytes(b"0")
    with pytest.raises(ArtifactError, match=r"more\.bin was added after the export"):
        copy.check_files()


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgesr.export.mil.package._describe", full)
    with pytest.raises(ArtifactError, match="No space left"):
        export(request(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_full_temporary_folder_is_said(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits of file sizes are a matter of Unix")
    earlier = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, earlier[1]))  # less than the weights, which then cannot be written
    try:
        with pytest.raises(ExportError, match="could not write the weights to its temporary folder") as raised:
            export(request(tmp_path / "out"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, earlier)
    assert "TMPDIR" in str(raised.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_the_artifact_is_used_by_the_other_commands(pictures: Artifact, tmp_path: Path, edgesr: Command) -> None:
    assert edgesr("verify", pictures.folder).code == 0
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "small.png")
    done = edgesr("upscale", tmp_path / "small.png", tmp_path / "large.png", "--artifact", pictures.folder)
    assert done.code == 0, done.err
    with Image.open(tmp_path / "large.png") as large:
        assert large.size == (160, 160)
    told = edgesr("inspect", pictures.folder, "--json").json
    assert told["inspection"]["operators"]["conv"] > 10
    assert all(each["source"].startswith("https://") for each in told["inspection"]["findings"])
    assert "Predicted, not measured" in edgesr("inspect", pictures.folder).out or not told["inspection"]["findings"]


def test_nothing_here_reports_core_mls_latency(pictures: Artifact, edgesr: Command) -> None:
    done = edgesr("bench", pictures.folder, "--size", "24x32", "--runtimes", "mil-reference")
    assert (done.code, "no latency" in done.err) == (2, True)
    done = edgesr("upscale", "a.png", "b.png", "--artifact", pictures.folder, "--runtime", "coreml")
    assert (done.code, "darwin only" in done.err) == (4, True)
    assert read_artifact(pictures.folder).manifest == pictures.manifest
    assert json.loads((pictures.folder / "manifest.json").read_text())["options"]["shapes"] == "enumerated"
