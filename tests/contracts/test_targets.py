"""What every target must keep to."""

from pathlib import Path

import onnx
import pytest

from edgesr.artifact import files_in
from edgesr.export.rewrite import TRAITS, plan
from edgesr.export.target import Conversion, Target, targets
from edgesr.runtimes import runtimes
from edgesr.tensors import PRECISIONS, parse_sizes

each_target = pytest.mark.parametrize(("name", "target"), targets().items(), ids=list(targets()))


@each_target
def test_its_needs_are_served(name: str, target: Target) -> None:
    assert target.needs <= TRAITS.keys()
    served = {trait for step in plan(target.needs) for trait in step.because}
    assert served == target.needs


@each_target
def test_its_runtime_opens_its_format(name: str, target: Target) -> None:
    assert target.format in runtimes()[target.runtime].formats


@each_target
def test_its_precisions_are_known(name: str, target: Target) -> None:
    assert target.precisions
    assert set(target.precisions) <= set(PRECISIONS)


@each_target
def test_it_writes_named_files_and_the_same_bytes_twice(name: str, target: Target, tmp_path: Path) -> None:
    if target.package:
        pytest.importorskip(target.package)
    one_size = target.default_size is not None and not target.several_sizes
    sizes = parse_sizes("8x8" if one_size else "8x8..32x32")
    shape: list[str | int | None] = [1, 3, 8, 8] if one_size else ["N", 3, "H", "W"]
    value, output = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("input", "output"))
    node = onnx.helper.make_node("Sigmoid", ["input"], ["output"])
    graph = onnx.helper.make_graph([node], "sigmoid", [value], [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", target.opsets[0])], ir_version=10)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    options = {name: values[0] for name, values in target.options.items()}
    said = ("model", "precision", "input", "title", "scale", "paper", "licence", "weights", "version", "manifest")
    first, second = (
        target.lower(
            Conversion(
                graphs={sizes: model},
                folder=folder,
                stem="sigmoid",
                precision="fp32",
                options=options,
                facts=dict.fromkeys(said, "x"),
            )
        )
        for folder in folders
    )
    assert [form.path.name for form in first] == [form.path.name for form in second]
    assert {(form.path.parent, form.path.stem) for form in first} == {(folders[0], "sigmoid")}
    assert [(file.name, file.sha256) for file in files_in(folders[0])] == [
        (file.name, file.sha256) for file in files_in(folders[1])
    ]
