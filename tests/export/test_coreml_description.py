"""What a Core ML package says of itself, against its manifest: sizes, colours, precision, iOS version, functions."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgesr.artifact import Artifact, read_artifact
from edgesr.errors import ArtifactError
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.runtimes import open_artifact, runtimes
from edgesr.runtimes._mil.program import Package
from edgesr.tensors import parse_sizes

pytest.importorskip("coremltools")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """vapsr-s by default: pictures in and out, half precision, iOS 16. Shared: do not alter its files."""
    folder = tmp_path_factory.mktemp("coreml") / "out"
    return export(ExportRequest(model="vapsr-s", target_name="coreml", sizes=parse_sizes("24x32"), folder=folder))


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The same with a function for each of two sizes. Shared: do not alter its files."""
    request = ExportRequest(
        model="vapsr-s",
        target_name="coreml",
        sizes=parse_sizes("16x16,24x24"),
        options={"shapes": "functions", "deployment": "ios18"},
        folder=tmp_path_factory.mktemp("functions") / "out",
    )
    return export(request)


def _plant_version(spec: Any) -> None:
    spec.specificationVersion = 9


def _plant_colours(spec: Any) -> None:
    colours = spec.description.input[0].type.imageType
    colours.colorSpace = type(colours).BGR


def _plant_unknown_colours(spec: Any) -> None:
    spec.description.input[0].type.imageType.colorSpace = 4242


def _plant_second_description(spec: Any) -> None:
    spec.description.functions.add(name="main")


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


def _plant_precision_text(spec: Any) -> None:
    spec.description.metadata.userDefined["edgesr.precision"] = "fp32"


def _plant_function(spec: Any) -> None:
    spec.mlProgram.functions["other"].CopyFrom(spec.mlProgram.functions["main"])


def _plant_operators(spec: Any) -> None:
    spec.mlProgram.functions["main"].opset = "CoreML8"


def _plant_second_input(spec: Any) -> None:
    spec.description.input.add().CopyFrom(spec.description.input[0])


def _plant_no_output(spec: Any) -> None:
    del spec.description.output[:]


def _plant_optional(spec: Any) -> None:
    spec.description.input[0].type.isOptional = True


def _plant_array(spec: Any) -> None:
    array = spec.description.output[0].type.multiArrayType
    array.shape[:] = [1, 3, 96, 128]
    array.dataType = 131104  # INT32


def _plant_program_output(spec: Any) -> None:
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    last = next(each for each in reversed(block.operations) if each.outputs[0].name == "output")
    last.outputs[0].name = block.outputs[0] = "result"


def _plant_default(spec: Any) -> None:
    spec.description.defaultFunctionName = "size_24x24"


def _plant_undescribed(spec: Any) -> None:
    del spec.description.functions[1]


def _plant_other_size(spec: Any) -> None:
    spec.description.functions[1].input[0].type.imageType.width = 32


IN, OUT = "input, a picture, RGB, 1x3x24x32", "output, a picture, RGB, 1x3x96x128"
SAYS = "; its manifest says "
ONE = {
    "version": (_plant_version, f"deployment target: ios18{SAYS}ios16"),
    "colours": (_plant_colours, f"input of main: input, a picture, BGR, 1x3x24x32{SAYS}{IN}"),
    "unknown colours": (_plant_unknown_colours, "input of main: input, a picture, colours 4242"),
    "default": (_plant_default, f"default function: size_24x24{SAYS}main"),
    "two descriptions": (_plant_second_description, f"described functions: main{SAYS}none"),
    "grey": (_plant_grey, f"output of main: output, a picture, GRAYSCALE, 1x1x96x128{SAYS}{OUT}"),
    "width": (_plant_width, f"input of main: input, a picture, RGB, 1x3x24x40{SAYS}{IN}"),
    "a choice": (_plant_choice, f"input of main: {IN}, 1x3x48x64{SAYS}{IN}"),
    "a range": (_plant_range, f"input of main: {IN}, sides 1 to 1, 3 to 3, 24 to 512, 32 to 512{SAYS}{IN}"),
    "output": (_plant_output, f"output of main: output, a picture, RGB, 1x3x48x128{SAYS}{OUT}"),
    "an array": (_plant_array, f"output of main: output, an array of INT32, 1x3x96x128{SAYS}{OUT}"),
    "two inputs": (_plant_second_input, f"input of main: {IN}; {IN}{SAYS}{IN}"),
    "no output": (_plant_no_output, f"output of main: none{SAYS}{OUT}"),
    "optional": (_plant_optional, f"input of main: {IN}, optional{SAYS}{IN}"),
    "precision": (_plant_single_precision, f"precision of main: FLOAT16, FLOAT32{SAYS}FLOAT16"),
    "told precision": (_plant_precision_text, f"edgesr.precision: fp32{SAYS}fp16"),
    "identity": (_plant_identity, "edgesr.manifest: 000"),
    "a function": (_plant_function, f"functions: main, other{SAYS}main"),
    "operators": (_plant_operators, f"operators of main: CoreML8, CoreML6{SAYS}CoreML6, CoreML6"),
    "the program's output": (_plant_program_output, f"outputs of the program main: result{SAYS}output"),
}
SEVERAL = {
    "identity": (_plant_identity, "edgesr.manifest: 000"),
    "default": (_plant_default, f"default function: size_24x24{SAYS}size_16x16"),
    "undescribed": (_plant_undescribed, f"described functions: size_16x16{SAYS}size_16x16, size_24x24"),
    "size": (_plant_other_size, "input of size_24x24: input, a picture, RGB, 1x3x24x32"),
}


def _planted(artifact: Artifact, plant: Callable[[Any], None], folder: Path) -> Artifact:
    """A copy of the artifact with a fault."""
    shutil.copytree(artifact.folder, folder)
    copy = read_artifact(folder)
    package = Package(copy.path)
    plant(package.spec)
    package.model.write_bytes(package.spec.SerializeToString())
    return copy


@pytest.mark.parametrize("name", ONE)
def test_a_package_that_its_manifest_does_not_describe_is_refused(name: str, pictures: Artifact, tmp_path: Path) -> None:
    plant, message = ONE[name]
    with pytest.raises(ArtifactError, match=re.escape(message)):
        open_artifact(_planted(pictures, plant, tmp_path / "copy"))


@pytest.mark.parametrize("name", SEVERAL)
def test_so_is_one_of_several_functions(name: str, functions: Artifact, tmp_path: Path) -> None:
    plant, message = SEVERAL[name]
    with pytest.raises(ArtifactError, match=re.escape(message)):
        open_artifact(_planted(functions, plant, tmp_path / "copy"))


def test_a_list_of_items_without_the_weights_is_refused(pictures: Artifact, tmp_path: Path) -> None:
    copy = _planted(pictures, lambda _: None, tmp_path / "copy")
    listed = copy.path / "Manifest.json"
    told = json.loads(listed.read_text())
    told["itemInfoEntries"] = {key: one for key, one in told["itemInfoEntries"].items() if "weights" not in one["path"]}
    listed.write_text(json.dumps(told))
    with pytest.raises(ArtifactError, match=r"items: com\.apple\.CoreML/model\.mlmodel; its manifest says .*weights"):
        open_artifact(copy)


def test_what_only_reads_a_package_refuses_it_too(pictures: Artifact, tmp_path: Path) -> None:
    copy = _planted(pictures, _plant_second_input, tmp_path / "copy")
    inspect = runtimes()["mil-reference"].inspect
    assert inspect is not None
    with pytest.raises(ArtifactError, match="input of main"):
        inspect(copy)


@pytest.mark.parametrize("sizes", ["16x16", "16x16,24x32", "16x16..24x32"])
def test_arrays_are_described_as_their_manifest_says(sizes: str, tmp_path: Path) -> None:
    request = ExportRequest(model="vapsr-s", target_name="coreml", sizes=parse_sizes(sizes), folder=tmp_path / "out")
    made = export(replace(request, options={"io": "tensor"}))  # compares them
    (given,) = Package(made.path).inputs("main")
    assert given.shapes[0] == (1, 3, 16, 16), "the first size, or a range's smallest, is the default"


def test_xcode_shows_units_and_authors(functions: Artifact) -> None:
    told = Package(functions.path).spec.description
    assert [each.input[0].shortDescription for each in told.functions] == [
        f"RGB picture, 0 to 255 for each colour; height x width in pixels: {size}" for size in ("16x16", "24x24")
    ]
    assert told.functions[0].output[0].shortDescription.endswith("of 4 times the height and width")
    assert "Zhou et al." in told.metadata.author
