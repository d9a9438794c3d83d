"""What the target asks Qualcomm's compiler for, with a planted one in its place."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgesr import backends
from edgesr.errors import ExportError, ParityError
from edgesr.export.qnn import compiling
from edgesr.export.qnn.compiling import Placement
from edgesr.export.request import ExportRequest
from edgesr.export.target import Conversion
from edgesr.export.targets.qnn import TARGET
from edgesr.parity import LEVEL, PICTURE, Difference, Edge
from edgesr.tensors import Size, one_of, parse_sizes

Command = Callable[..., Any]
OPTIONS = {"soc": "sm8650,sm8550", "io": "tensor", "layout": "nchw", "tables": "auto", "optimization": "O3"}


def conversion(folder: Path, **options: str) -> Conversion:
    """Of a picture continued at its edges."""
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, 3, side, side]) for name, side in (("input", 8), ("output", 12))]
    pads = onnx.helper.make_tensor("pads", onnx.TensorProto.INT64, [8], [0, 0, 2, 2, 0, 0, 2, 2])
    node = onnx.helper.make_node("Pad", ["input", "pads"], ["output"], name="pad", mode="edge")
    graph = onnx.helper.make_graph([node], "pad", ends[:1], ends[1:], [pads])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    sizes = one_of((Size(height=8, width=8),))
    return Conversion(graphs={sizes: model}, folder=folder, stem="net", precision="fp16", options={**OPTIONS, **options})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, set[str]]]:
    """Chip, level and operators that a planted compiler gets; of sm8550 it leaves a node to the processor."""
    seen = []

    def compiler(chip: str, model: Path, context: Path, *, level: int) -> Placement:
        seen.append((chip, level, {node.op_type for node in onnx.load(model).graph.node}))
        binary = context.with_name(f"{context.stem}_qnn.bin")
        binary.write_bytes(b"binary")
        node = onnx.helper.make_node("EPContext", [], [], domain="com.microsoft", ep_cache_context=binary.name)
        onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "net", [], [])), context)
        return Placement(npu=3, cpu=int(chip == "sm8550"), operators={"Pad": 3})

    monkeypatch.setattr(compiling, "compile_for", compiler)
    return seen


@pytest.mark.parametrize(("optimization", "level"), [("O3", 3), ("O2", 2), ("O1", 1)])
def test_the_compiler_gets_the_changed_graph_and_the_level(
    optimization: str, level: int, tmp_path: Path, asked: list[tuple[str, int, set[str]]]
) -> None:
    pytest.importorskip("onnxruntime_qnn")
    (form,) = TARGET.lower(conversion(tmp_path, soc="sm8650", optimization=optimization))
    assert asked == [("sm8650", level, {"Slice", "Concat"})]
    assert form.compiled is not None
    assert (form.path.name, form.compiled.npu_nodes, form.compiled.operators) == ("net.sm8650", 3, {"Pad": 3})


def test_a_node_left_to_the_processor_fails_the_export(tmp_path: Path, asked: list[tuple[str, int, set[str]]]) -> None:
    pytest.importorskip("onnxruntime_qnn")
    with pytest.raises(ExportError, match="1 of 4 nodes would run on the processor of sm8550"):
        TARGET.lower(conversion(tmp_path))
    assert [chip for chip, *_ in asked] == ["sm8650", "sm8550"]


@pytest.mark.parametrize(
    ("psnr", "shift", "missed"), [(46, 0.1, ""), (44, 0.1, "at least 45"), (60, 0.3, "levels of 255 in the mean")]
)
def test_a_photograph_must_come_out_of_the_emulator_as_it_is(psnr: float, shift: float, missed: str) -> None:
    picture = Difference(input=f"{PICTURE} 1x3x8x8", max_abs=0.1, relative_l2=1e-2, psnr_db=psnr, shift=shift * LEVEL)
    with pytest.raises(ParityError, match=missed) if missed else nullcontext():
        TARGET.budgets["fp16"].check(Edge(name="artifact", differences=(picture,)))


def test_without_the_package_it_says_what_to_install(edgesr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "available", lambda package: package != "onnxruntime_qnn")
    done = edgesr("export", "vapsr-s", "--target", "qnn")
    assert done.code == 4
    assert 'pip install "edgesr[qnn]"' in done.err
    told = edgesr("doctor", "--json").json["qnn"]
    assert (told["state"], told["remedy"]) == ("missing", 'pip install "edgesr[qnn]"')


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--soc", "sm865"), "no chip named 'sm865'; did you mean 'sm8650'?"),
        (("--soc", ""), "no chip was named"),
        (("--soc", "Snapdragon 888"), "no network can be compiled for Snapdragon 888: its NPU (v68 or older)"),
        (("--size", "64x64,128x128"), "takes one size; not 64x64, 128x128"),
        (("--dynamic",), "has no --dynamic"),
        (("--optimization", "O4"), "has no --optimization O4"),
        (("--layout", "chwn"), "Its options: --io tensor|image; --layout"),
        (("--precision", "fp32"), "has no precision 'fp32'"),
    ],
)
def test_what_cannot_be_asked_for(words: tuple[str, ...], message: str, edgesr: Command) -> None:
    done = edgesr("export", "vapsr-s", "--target", "qnn", *words)
    assert done.code == 2
    assert message in done.err


def test_a_smaller_graph_is_run_in_place_of_a_large_one() -> None:
    def proof(size: str, **options: str) -> Size | None:
        return ExportRequest(model="vapsr-s", target_name="qnn", sizes=parse_sizes(size), options=options).proof

    assert ExportRequest(model="vapsr-s", target_name="qnn").sizes_of_target == one_of((Size(height=256, width=256),))
    assert proof("256x256") == Size(height=64, width=64)
    assert proof("180x1000") == Size(height=52, width=40)  # which windows of 32, 16 and 8 are continued at the edges by as much
    assert proof("20x1000") == Size(height=20, width=40)
    assert proof("256x256", verify="full") is None
    assert proof("64x64") is None
