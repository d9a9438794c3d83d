"""Packages that were altered, cut short or are not ours: an error of ours, and never a wrong result or a crash."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.errors import ArtifactError
from edgesr.runtimes._mil.evaluation import Evaluator
from edgesr.runtimes._mil.program import Package

_WEIGHT = np.random.default_rng(1).standard_normal((8, 3, 3, 3)).astype(np.float32)
_PICTURE = np.random.default_rng(2).random((1, 3, 6, 6), dtype=np.float32)


@pytest.fixture(scope="module")
def sound(workshop: Any) -> Path:
    def build(mb: Any, x: Any) -> Any:
        y = mb.conv(x=x, weight=_WEIGHT, pad_type="custom", pad=[1, 1, 1, 1], name="wide")
        return mb.relu(x=y, name="bent")

    return workshop.package(build, _PICTURE.shape).folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(sound, tmp_path / "copy.mlpackage")


def _evaluate(folder: Path) -> Any:
    return Evaluator(Package(folder).functions["main"], rounding="none")({"x0": _PICTURE})


def _model(folder: Path) -> Path:
    (path,) = folder.rglob("model.mlmodel")
    return path


def _weights(folder: Path) -> Path:
    (path,) = folder.rglob("weight.bin")
    return path


def _altered(folder: Path, alter: Callable[[Any], None]) -> None:
    """Change the program's body in the file."""
    package = Package(folder)
    (body,) = package.spec.mlProgram.functions["main"].block_specializations.values()
    alter(body)
    _model(folder).write_bytes(package.spec.SerializeToString())


def _named(body: Any, kind: str) -> Any:
    return next(each for each in body.operations if each.type == kind)


def _weight_of(body: Any) -> Any:
    return next(
        each.attributes["val"].blobFileValue
        for each in body.operations
        if each.type == "const" and each.attributes["val"].WhichOneof("value") == "blobFileValue"
    )


def test_a_sound_package_runs(folder: Path) -> None:
    (result,) = _evaluate(folder).values()
    assert result.shape == (1, 8, 6, 6)


def _without_manifest(folder: Path) -> None:
    (folder / "Manifest.json").unlink()


def _with_another_manifest(folder: Path) -> None:
    (folder / "Manifest.json").write_text("[1, 2", encoding="utf-8")


def _with_a_manifest_that_leads_out(folder: Path) -> None:
    path = folder / "Manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = "../../model.mlmodel"
    path.write_text(json.dumps(manifest), encoding="utf-8")


def _without_model(folder: Path) -> None:
    _model(folder).unlink()


def _with_half_a_model(folder: Path) -> None:
    data = _model(folder).read_bytes()
    _model(folder).write_bytes(data[: len(data) // 2])


def _with_another_model(folder: Path) -> None:
    _model(folder).write_bytes(b"not a model at all" * 50)


def _with_an_empty_model(folder: Path) -> None:
    _model(folder).write_bytes(b"")


def _without_weights(folder: Path) -> None:
    _weights(folder).unlink()


def _with_weights_cut_short(folder: Path) -> None:
    data = _weights(folder).read_bytes()
    _weights(folder).write_bytes(data[:-40])


def _with_weights_cut_in_the_header(folder: Path) -> None:
    _weights(folder).write_bytes(_weights(folder).read_bytes()[:70])


def _with_overwritten_weights(folder: Path) -> None:
    _weights(folder).write_bytes(b"\xff" * _weights(folder).stat().st_size)


def _with_weights_elsewhere(folder: Path) -> None:
    _altered(folder, lambda body: setattr(_weight_of(body), "offset", 1 << 40))


def _with_weights_outside(folder: Path) -> None:
    (folder.parent / "weight.bin").write_bytes(_weights(folder).read_bytes())
    _altered(folder, lambda body: setattr(_weight_of(body), "fileName", "@model_path/../../../../weight.bin"))


def _with_another_shape(folder: Path) -> None:
    def alter(body: Any) -> None:
        _named(body, "conv").outputs[0].type.tensorType.dimensions[1].constant.size = 9

    _altered(folder, alter)


def _with_another_type(folder: Path) -> None:
    def alter(body: Any) -> None:
        _named(body, "conv").outputs[0].type.tensorType.dataType = 23  # INT32

    _altered(folder, alter)


def _with_half_a_precision(folder: Path) -> None:
    def alter(body: Any) -> None:
        _named(body, "relu").outputs[0].type.tensorType.dataType = 10  # FLOAT16

    _altered(folder, alter)


def _with_an_unknown_operator(folder: Path) -> None:
    _altered(folder, lambda body: setattr(_named(body, "relu"), "type", "rerelu"))


def _with_an_unknown_parameter(folder: Path) -> None:
    _altered(folder, lambda body: _named(body, "relu").inputs["slope"].CopyFrom(_named(body, "relu").inputs["x"]))


def _with_an_unknown_name(folder: Path) -> None:
    _altered(folder, lambda body: setattr(_named(body, "relu").inputs["x"].arguments[0], "name", "nobody"))


def _with_an_unknown_result(folder: Path) -> None:
    def alter(body: Any) -> None:
        body.outputs[0] = "nobody"

    _altered(folder, alter)


def _with_operations_the_wrong_way_round(folder: Path) -> None:
    _altered(folder, lambda body: body.operations.reverse())


_DAMAGES = {
    name.removeprefix("_").replace("_", " "): damage
    for name, damage in list(globals().items())
    if name.startswith(("_with_", "_without_"))
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_a_damaged_package_is_an_error_of_ours(folder: Path, damage: str) -> None:
    _DAMAGES[damage](folder)
    with pytest.raises(ArtifactError) as caught:
        _evaluate(folder)
    assert caught.value.message


def test_other_weights_of_the_same_length_are_other_results(folder: Path) -> None:
    (before,) = _evaluate(folder).values()
    data = bytearray(_weights(folder).read_bytes())
    data[-101] ^= 0x40
    _weights(folder).write_bytes(bytes(data))
    (after,) = _evaluate(folder).values()
    assert not np.array_equal(before, after)
