"""What a Core ML package says of itself, against its manifest: sizes, colours, precision, iOS version, functions."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesr.artifact import Artifact, read_artifact
from edgesr.errors import ArtifactError
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.runtimes import open_artifact
from edgesr.runtimes._mil.program import Package
from edgesr.tensors import parse_sizes

pytest.importorskip("coremltools")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """vapsr-s by default: pictures in and out, half precision, iOS 16. Shared: do not alter its files."""
    folder = tmp_path_factory.mktemp("coreml") / "out"
    return export(ExportRequest(model="vapsr-s", target_name="coreml", sizes=parse_sizes("24x32"), folder=folder))


def _plant_version(spec: Any) -> None:
    spec.specificationVersion = 9


def _plant_colours(spec: Any) -> None:
    colours = spec.description.input[0].type.imageType
    colours.colorSpace = type(colours).BGR


def _plant_grey(spec: Any) -> None:
    colours = spec.description.output[0].type.imageType
    colours.colorSpace = type(colours).GRAYSCALE


def _plant_width(spec: Any) -> None:
    spec.description.input[0].type.imageType.width = 40


def _plant_choice(spec: Any) -> None:
    sizes = spec.description.input[0].type.imageType.enumeratedSizes.sizes
    sizes.add(height=24, width=32)
    sizes.add(height=48, width=64)


def _plant_range(spec: Any) -> None:
    sides = spec.description.input[0].type.imageType.imageSizeRange
    for side, low in ((sides.heightRange, 24), (sides.widthRange, 32)):
        side.lowerBound, side.upperBound = low, 512


def _plant_output(spec: Any) -> None:
    spec.description.output[0].type.imageType.height = 48


def _plant_single_precision(spec: Any) -> None:
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    convolution = next(each for each in reversed(block.operations) if each.type == "conv")
    convolution.outputs[0].type.tensorType.dataType = 11  # FLOAT32


def _plant_identity(spec: Any) -> None:
    spec.description.metadata.userDefined["edgesr.manifest"] = "0" * 64


def _plant_name(spec: Any) -> None:
    spec.mlProgram.functions["other"].CopyFrom(spec.mlProgram.functions["main"])


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (_plant_version, "deployment target: ios18; its manifest says ios16"),
        (_plant_colours, "input: input, a picture, BGR; its manifest says input, a picture, RGB"),
        (_plant_grey, "output: output, a picture, GRAYSCALE; its manifest says output, a picture, RGB"),
        (_plant_width, "input size: 24x40; its manifest says 24x32"),
        (_plant_choice, "input size: 24x32, 48x64; its manifest says 24x32"),
        (_plant_range, "input size: 24x32 to 512x512; its manifest says 24x32"),
        (_plant_output, "output size: 48x128; its manifest says 96x128"),
        (_plant_single_precision, "precision: FLOAT16, FLOAT32; its manifest says FLOAT16"),
        (_plant_identity, "edgesr.manifest: 000"),
        (_plant_name, "functions: main, other; its manifest says main"),
    ],
)
def test_a_package_that_its_manifest_does_not_describe_is_refused(
    plant: Callable[[Any], None], message: str, pictures: Artifact, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(pictures.folder, folder)
    copy = read_artifact(folder)
    package = Package(copy.path)
    plant(package.spec)
    package.model.write_bytes(package.spec.SerializeToString())
    with pytest.raises(ArtifactError, match=re.escape(message)):
        open_artifact(copy)
