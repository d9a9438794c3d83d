"""What is in a kit: the model unchanged, the manifest's numbers, the golden pictures; and what becomes of an earlier one."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesr.artifact import read_artifact
from edgesr.errors import ArtifactError
from edgesr.images import Picture, to_samples
from edgesr.kit.ios import write_ios_kit
from edgesr.kit.model import read_app_model
from edgesr.kit.vectors import Planted
from edgesr.model import Reach
from edgesr.tensors import FloatArray, Size, SizeRule, one_of
from edgesr.upscale import UpscaleOptions, upscale_picture

MakeArtifact = Callable[..., Path]
PLAIN = re.compile(r"static let (\w+) = \"?([\w-]+)\"?\n")
SIZES = re.compile(r"Sizes\((leastHeight: \d+, leastWidth: \d+, mostHeight: \d+, mostWidth: \d+)\)")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def configuration_text(folder: Path) -> str:
    (path,) = folder.rglob("Configuration.swift")
    return path.read_text(encoding="utf-8")


def configuration(folder: Path) -> dict[str, str]:
    return dict(PLAIN.findall(configuration_text(folder)))


def swift_sizes(folder: Path) -> list[list[int]]:
    """Smallest and largest height and width of each `Sizes(…)`: those at which pictures are run whole, and last that of tiles."""
    return [[int(side) for side in re.findall(r": (\d+)", found)] for found in SIZES.findall(configuration_text(folder))]


def vectors(folder: Path) -> Any:
    (path,) = folder.rglob("vectors.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_kit_has_all_its_parts_and_no_others(artifact: Path, tmp_path: Path) -> None:
    kit = write_ios_kit(artifact, output=tmp_path / "kit")
    model = "Sources/ToyX2/Resources/toy-x2.mlpackage"
    assert kit.name == "ToyX2"
    assert contents(kit.folder).keys() == {
        "Package.swift",
        "README.md",
        "kit.json",
        *(f"Sources/ToyX2/{name}.swift" for name in ("Configuration", "ModelFile", "Network", "Pictures")),
        *(f"Sources/ToyX2/{name}.swift" for name in ("Samples", "Tiling", "Upscaler")),
        f"{model}/Manifest.json",
        f"{model}/Data/com.apple.CoreML/model.mlmodel",
        f"{model}/Data/com.apple.CoreML/weights/weight.bin",
        *(f"Tests/ToyX2Tests/{name}.swift" for name in ("ArithmeticTests", "GoldenImageTests", "Vectors")),
        *(f"Tests/ToyX2Tests/Resources/{name}" for name in ("golden-input.png", "golden-output.png", "vectors.json")),
        "Example/BeforeAfterView.swift",
        "Example/ExampleApp.swift",
    }


def test_the_model_is_copied_byte_for_byte(artifact: Path, tmp_path: Path) -> None:
    kit = write_ios_kit(artifact, output=tmp_path / "kit")
    copied = contents(kit.folder / "Sources" / "ToyX2" / "Resources")
    original = {name: data for name, data in contents(artifact).items() if name.startswith("toy-x2.mlpackage/")}
    assert copied == original


def test_the_numbers_are_the_manifests(artifact: Path, tmp_path: Path) -> None:
    kit = write_ios_kit(artifact, output=tmp_path / "kit")
    manifest = read_artifact(artifact).manifest
    assert configuration(kit.folder) == {
        "modelName": "toy-x2",
        "modelHash": manifest.model_sha256[:16],
        "inputName": "input",
        "outputName": "output",
        "scale": "2",
    }
    assert swift_sizes(kit.folder) == [2 * [24, 32], 2 * [24, 32]]
    assert "tile: 14, overlap: 5, scale: 2)" in configuration_text(kit.folder)
    package = (kit.folder / "Package.swift").read_text()
    assert package.startswith("// swift-tools-version:5.9\n")
    assert '.iOS("16.0"), .macOS("13.0")' in package
    assert '.copy("Resources/toy-x2.mlpackage")' in package


@pytest.mark.parametrize(("ios", "macos"), [(15, 12), (16, 13), (17, 14), (18, 15)])
def test_every_deployment_target_has_its_macos(make_artifact: MakeArtifact, ios: int, macos: int) -> None:
    model = read_app_model(make_artifact(options={"deployment": f"ios{ios}"}))
    assert (model.ios, model.macos) == (ios, macos)


@pytest.mark.parametrize(
    ("reach", "overlap", "said"),
    [
        (Reach(kind="local", radius=5), 5, "leave no trace"),
        (Reach(kind="local", radius=90), 6, "sees 90 pixels far"),
        (Reach(kind="windowed"), 6, "looks in windows"),
        (Reach(kind="global"), 6, "every tiling is an approximation"),
    ],
)
def test_overlap_is_what_edgesr_itself_takes(
    make_artifact: MakeArtifact, tmp_path: Path, reach: Reach, overlap: int, said: str
) -> None:
    kit = write_ios_kit(make_artifact(reach=reach), output=tmp_path / "kit")
    assert f"overlap: {overlap}, scale: 2)" in configuration_text(kit.folder)
    assert said in (kit.folder / "README.md").read_text()
    assert {row["overlap"] for row in vectors(kit.folder)["spans"]} >= {overlap}


def size(height: int, width: int) -> Size:
    return Size(height=height, width=width)


@pytest.mark.parametrize(
    ("sizes", "tile"),
    [
        (one_of((size(64, 96),)), size(64, 96)),
        (one_of((size(64, 64), size(256, 256))), size(256, 256)),
        (SizeRule(minimum=size(64, 64), maximum=size(1024, 2048)), size(970, 970)),
        (SizeRule(minimum=size(16, 16), maximum=size(128, 512)), size(106, 106)),
        (SizeRule(minimum=size(300, 16), maximum=size(400, 512)), size(394, 394)),
    ],
)
def test_sizes_are_those_of_edgesr_upscale(make_artifact: MakeArtifact, sizes: SizeRule, tile: Size) -> None:
    """The largest tile that it cuts of a picture that the model does not take whole."""
    model = read_app_model(make_artifact(sizes=sizes))
    session = Planted(function=lambda image: image, scale=1, sizes=sizes)
    upscale_picture(session, Picture(rgb=np.zeros((1, 3, 1100, 2100), np.float32)), UpscaleOptions(reach=model.manifest.reach))
    assert (model.tile, model.sizes) == (tile, sizes)
    assert max(image.shape[2:] for image in session.seen) == (tile.height, tile.width)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (one_of((size(24, 32),)), "run at 24x32 pixels (height × width). A picture of another size is cut into tiles of that."),
        (
            one_of((size(8, 8), size(24, 32))),
            "of 8x8, 24x32 pixels (height × width) is run whole.\n  Any other is cut into tiles of 24x32.",
        ),
        (
            SizeRule(minimum=size(8, 8), maximum=size(24, 32)),
            "of 8x8 to 24x32 pixels (height × width), and of 1048576 pixels at most,",
        ),
    ],
)
def test_the_app_and_its_readme_have_the_models_sizes(
    make_artifact: MakeArtifact, tmp_path: Path, sizes: SizeRule, said: str
) -> None:
    folder = write_ios_kit(make_artifact(sizes=sizes), output=tmp_path / "kit").folder
    high = sizes.maximum
    assert high
    whole = [2 * [each.height, each.width] for each in sizes.choices]
    ends = [sizes.minimum.height, sizes.minimum.width, high.height, high.width]
    assert swift_sizes(folder) == ([*whole, whole[-1]] if whole else [ends, ends])
    assert said in (folder / "README.md").read_text(encoding="utf-8")


def test_sizes_without_end_are_refused(make_artifact: MakeArtifact) -> None:
    with pytest.raises(ArtifactError, match="names no largest size"):
        read_app_model(make_artifact(sizes=SizeRule(minimum=size(1, 1))))


@pytest.mark.parametrize(("shapes", "xcode"), [("functions", 16), ("enumerated", 15)])
def test_of_several_functions_the_largest_is_run(make_artifact: MakeArtifact, tmp_path: Path, shapes: str, xcode: int) -> None:
    """`functionName` came with Xcode 16: other packages must not mention it."""
    sizes = one_of((size(8, 8), size(24, 32)))
    folder = make_artifact(sizes=sizes, options={"deployment": "ios18", "shapes": shapes})
    kit = write_ios_kit(folder, output=tmp_path / "kit").folder
    source = (kit / "Sources" / "ToyX2" / "ModelFile.swift").read_text(encoding="utf-8")
    readme = (kit / "README.md").read_text(encoding="utf-8")
    assert ('configuration.functionName = "size_24x32"\n' in source, "functionName" in source) == (xcode == 16, xcode == 16)
    assert (f"(Xcode {xcode} or later" in readme, "MLModelConfiguration.functionName" in readme) == (True, xcode == 16)
    assert len(swift_sizes(kit)) == (2 if xcode == 16 else 3)


@pytest.mark.parametrize(
    ("model", "name"), [("vapsr-s", "VapsrSX2"), ("esc-custom", "EscCustomX2"), ("4k.net", "Model4kNetX2"), ("rgt", "RgtX2")]
)
def test_the_package_is_named_after_the_model(make_artifact: MakeArtifact, tmp_path: Path, model: str, name: str) -> None:
    assert write_ios_kit(make_artifact(model=model), output=tmp_path / "kit").name == name


def test_without_a_folder_it_is_the_packages_name(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_ios_kit(artifact, name="MyApp").folder == Path("MyApp")
    assert (tmp_path / "MyApp" / "Sources" / "MyApp" / "Upscaler.swift").is_file()


def test_golden_pictures_are_the_recorded_ones(artifact: Path, tmp_path: Path, recorded_arrays: dict[str, FloatArray]) -> None:
    kit = write_ios_kit(artifact, output=tmp_path / "kit")
    for kind in ("input", "output"):
        (array,) = (array for name, array in recorded_arrays.items() if name.startswith(f"{kind}/picture"))
        with Image.open(next(kit.folder.rglob(f"golden-{kind}.png"))) as image:
            np.testing.assert_array_equal(np.asarray(image), to_samples(array[0].transpose(1, 2, 0)))
    golden = vectors(kit.folder)["golden"]
    assert (golden["height"], golden["width"]) == (24, 32)
    # A result of 50 dB, rounded as the reference is, passes; one of 45 dB does not.
    assert 255**2 / 10**5 + 2 / 12 < golden["meanSquare"] < 255**2 / 10**4.5


def test_the_largest_recorded_picture_is_taken(make_artifact: MakeArtifact, tmp_path: Path) -> None:
    small, large = np.zeros((1, 3, 8, 8), np.float32), np.ones((1, 3, 9, 10), np.float32)
    arrays = {"input/picture a": small, "output/picture a": small, "input/picture b": large, "output/picture b": large}
    kit = write_ios_kit(make_artifact(arrays=arrays), output=tmp_path / "kit")
    golden = vectors(kit.folder)["golden"]
    assert (golden["height"], golden["width"]) == (9, 10)


def test_the_same_artifact_gives_the_same_bytes(artifact: Path, tmp_path: Path) -> None:
    one, two = (write_ios_kit(artifact, output=tmp_path / name, name="Kit") for name in ("one", "two"))
    assert contents(one.folder) == contents(two.folder)


def test_an_earlier_kit_is_replaced(make_artifact: MakeArtifact, tmp_path: Path) -> None:
    kit = write_ios_kit(make_artifact(), output=tmp_path / "kit")
    again = write_ios_kit(make_artifact(model="other"), output=tmp_path / "kit")
    assert again.name == "OtherX2"
    assert not (kit.folder / "Sources" / "ToyX2").exists()


@pytest.mark.parametrize("touched", ["Sources/ToyX2/Upscaler.swift", "Sources/ToyX2/New.swift", ".build/state"])
def test_a_kit_that_was_worked_in_is_not_replaced(artifact: Path, tmp_path: Path, touched: str) -> None:
    kit = write_ios_kit(artifact, output=tmp_path / "kit")
    path = kit.folder / touched
    path.parent.mkdir(exist_ok=True)
    path.write_text("// mine")
    before = contents(kit.folder)
    with pytest.raises(ArtifactError, match="was changed since it was made") as caught:
        write_ios_kit(artifact, output=kit.folder)
    assert touched in caught.value.message
    assert contents(kit.folder) == before


def test_the_readme_says_that_nobody_compiled_it(artifact: Path, tmp_path: Path) -> None:
    kit = write_ios_kit(artifact, output=tmp_path / "kit")
    assert "was not compiled or run by edgesr" in (kit.folder / "README.md").read_text()
