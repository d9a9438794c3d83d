"""Small networks as Qualcomm's compiler gets them: axes, operators, GELUs apart from convolutions, the same function."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from edgesr import backends
from edgesr.errors import ExportError
from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.qnn.edges import with_edges_joined
from edgesr.export.qnn.gelus import with_gelus_apart
from edgesr.export.qnn.interface import with_interface
from edgesr.export.qnn.prepared import prepared
from edgesr.export.qnn.tables import with_tables_at_run_time, written_out
from edgesr.export.qnn.wrapper import finish_wrapper
from edgesr.export.rewrite import apply_plan, plan
from edgesr.export.target import targets
from edgesr.levels import levels_of
from edgesr.models.esc_fp import ESCFP, ESCFPConfig
from edgesr.models.vapsr import VapSR, VapSRConfig
from edgesr.parity import difference
from edgesr.runtimes._qnn.provider import for_chip, open_session
from edgesr.seeding import seed_weights
from edgesr.tensors import FloatArray, Size, SizeRule
from tests.export.test_ranks import COMPILED, known_ranks, working_operators

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "esc-fp": lambda: ESCFP(
        ESCFPConfig(scale=3, dim=16, pdim=4, kernel=5, blocks=1, conv_blocks=1, window=8, heads=2, first_ffn=8, ffn=8)
    ),
    "vapsr": lambda: VapSR(VapSRConfig(scale=4, feat=8, attention=8, blocks=1)),
}
"""The others' axes and operators are looked at in test_ranks."""
CLOSE = 1e-5
ODD = Size(height=21, width=26)


def graph_of(network: nn.Module) -> onnx.ModelProto:
    steps = plan(targets()["qnn"].needs)
    rewritten, _ = apply_plan(steps, network)
    functions = {step.name: step.rewrite.functions for step in steps}
    graph = onnx_from_module(rewritten, SizeRule(minimum=ODD, maximum=ODD), opset=20, functions=functions)
    return prepared(graph, {"tables": "compact", "io": "tensor", "layout": "nchw"})


def run(model: onnx.ModelProto, x: FloatArray) -> FloatArray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input": x})[0])


def fused(model: onnx.ModelProto) -> list[str]:
    """The GELUs that are the only readers of convolutions."""
    readers = [name for node in model.graph.node for name in node.input]
    made = {node.output[0] for node in model.graph.node if node.op_type == "Conv"}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Gelu" and node.input[0] in made and readers.count(node.input[0]) == 1
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_is_for_the_npu_and_still_the_network(name: str) -> None:
    network = NETWORKS[name]().eval()
    seed_weights(network)
    model = graph_of(network)
    assert working_operators(model.graph) <= COMPILED
    assert max(known_ranks(onnx.shape_inference.infer_shapes(model).graph)) <= 5
    assert not fused(model)
    assert not [
        node for node in model.graph.node if node.op_type == "Pad" and onnx.helper.get_node_attr_value(node, "mode") == b"edge"
    ]
    x = np.random.default_rng(0).random((1, 3, ODD.height, ODD.width), np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(x)).numpy()
    assert difference("noise", expected, run(model, x)).relative_l2 < CLOSE


def a_graph(*, computed: bool, read_twice: bool) -> onnx.ModelProto:
    """Two GELUs of convolutions with one kernel, perhaps one that the graph makes, perhaps with a map that is read twice."""
    generator = np.random.default_rng(1)
    kernel, bias = (generator.standard_normal(shape).astype(np.float32) for shape in ((3, 3, 3, 3), (3,)))
    nodes = [
        *([helper.make_node("Add", ["kernel", "kernel"], ["double"])] if computed else []),
        helper.make_node("Conv", ["input", "double" if computed else "kernel", "bias"], ["a"], name="first", pads=[1] * 4),
        helper.make_node("Gelu", ["a"], ["b"], name="gelu"),
        helper.make_node("Conv", ["b", "kernel"], ["c"], name="second", pads=[1] * 4),
        helper.make_node("Gelu", ["c"], ["d"], name="again"),
        helper.make_node("Add", ["c" if read_twice else "d", "d"], ["output"]),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 6, 7]) for name in ("input", "output")]
    constants = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(nodes, "two", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("read_twice", [False, True])
@pytest.mark.parametrize("computed", [False, True])
def test_gelus_apart_are_the_same_function(computed: bool, read_twice: bool) -> None:
    model = a_graph(computed=computed, read_twice=read_twice)
    apart = with_gelus_apart(model)
    onnx.checker.check_model(apart, full_check=True)
    assert (fused(model), fused(apart)) == (["gelu"] if read_twice else ["gelu", "again"], [])
    assert [node.op_type for node in apart.graph.node].count("Sub") == len(fused(model))
    x = np.random.default_rng(2).standard_normal((1, 3, 6, 7), np.float32)
    assert difference("x", run(model, x), run(apart, x)).relative_l2 < CLOSE


@pytest.mark.parametrize(("asked", "most", "made"), [("constant", 0, 0), ("compact", 10**9, 2), ("auto", 95, 2), ("auto", 96, 0)])
def test_large_tables_are_made_at_run_time_and_small_ones_written_out(
    asked: str, most: int, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesr.export.qnn.prepared.MOST", most)
    graph = prepared(a_repeated_table(), {"tables": asked, "io": "tensor", "layout": "nchw"}).graph
    constants = {tensor.name for tensor in graph.initializer}
    assert sum(node.op_type == "Tile" and node.input[0] not in constants for node in graph.node) == made


def a_continued_map(mode: str, pads: list[int]) -> onnx.ModelProto:
    """A map of a picture's channels, continued by what is to be added to each of its axes before and after, and twice that."""
    shape = [1, 3, 6, 8]
    wide = [side + pads[axis] + pads[axis + 4] for axis, side in enumerate(shape)]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, size) for name, size in (("input", shape), ("output", wide))
    ]
    nodes = [
        helper.make_node("Pad", ["input", "pads"], ["wide"], name="pad", mode=mode),
        helper.make_node("Add", ["wide", "wide"], ["output"]),
    ]
    graph = helper.make_graph(nodes, "pad", ends[:1], ends[1:], [numpy_helper.from_array(np.array(pads), "pads")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("pads", [[0, 0, 2, 2, 0, 0, 2, 2], [0, 0, 0, 3, 0, 0, 1, 0], [0, 1, 0, 0, 0, 0, 0, 0]])
def test_edges_joined_are_the_same_function(pads: list[int]) -> None:
    model = a_continued_map("edge", pads)
    made = with_edges_joined(model)
    onnx.checker.check_model(made, full_check=True)
    assert "Pad" not in working_operators(made.graph)
    assert "pads" not in {tensor.name for tensor in made.graph.initializer}
    x = np.random.default_rng(5).standard_normal((1, 3, 6, 8), np.float32)
    np.testing.assert_array_equal(run(made, x), run(model, x))
    reflected = a_continued_map("reflect", pads)
    assert with_edges_joined(reflected) == reflected


@pytest.mark.skipif(not backends.available("onnxruntime_qnn"), reason="onnxruntime-qnn is not installed")
@pytest.mark.parametrize("mode", ["edge", "reflect", "constant"])
def test_the_emulator_continues_a_picture_as_onnx_does(mode: str, tmp_path: Path) -> None:
    """Which QNN 2.51 does not for `edge` as it is, without an error."""
    model = a_continued_map(mode, [0, 0, 2, 2, 0, 0, 2, 2])
    onnx.save(with_edges_joined(model), tmp_path / "net.onnx")
    x = np.random.default_rng(6).random((1, 3, 6, 8), np.float32)
    (emulated,) = open_session(str(tmp_path / "net.onnx"), for_chip("sm8650")).run(None, {"input": x})
    np.testing.assert_allclose(emulated, run(model, x), atol=2e-3)


def a_repeated_table() -> onnx.ModelProto:
    """Two maps to which one table, repeated and cut, is added: once as it is and once transposed."""
    table = np.random.default_rng(3).standard_normal((2, 3)).astype(np.float32)
    constants = {"table": table, "times": np.array([1, 4]), "shape": np.array([1, 1, 2, 12])}
    nodes = [
        helper.make_node("Tile", ["table", "times"], ["long"]),
        helper.make_node("Reshape", ["long", "shape"], ["biases"]),
        helper.make_node("Add", ["input", "biases"], ["once"]),
        helper.make_node("Tile", ["table", "times"], ["again"]),
        helper.make_node("Mul", ["once", "again"], ["output"]),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 2, 12]) for name in ("input", "output")]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "table", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_tables_at_run_time_follow_from_the_picture_and_are_the_same() -> None:
    model = a_repeated_table()
    made = with_tables_at_run_time(model)
    onnx.checker.check_model(made, full_check=True)
    assert (written_out(model), written_out(made)) == (2 * (24 + 2 * 12), 0)  # biases of 24 numbers, and a repeated table
    assert "Tile" not in working_operators(model.graph)
    assert "Tile" in working_operators(made.graph)
    assert sum(node.op_type == "Add" for node in made.graph.node) == 2  # one for the table, which two read
    x = np.random.default_rng(4).standard_normal((1, 3, 2, 12), np.float32)
    assert np.array_equal(run(model, x), run(made, x))
    assert with_tables_at_run_time(a_graph(computed=False, read_twice=False)) == a_graph(computed=False, read_twice=False)


@pytest.mark.parametrize("pictures", [False, True])
@pytest.mark.parametrize("colours_last", [False, True])
def test_the_ends_of_the_graph_are_what_an_app_has(pictures: bool, colours_last: bool) -> None:
    given, made = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("input", [1, 3, 4, 6]), ("output", [1, 6, 4, 6]))
    )
    curved = onnx.helper.make_node("Sigmoid", ["input"], ["curved"])  # so that a wrong factor shows, which would cancel else
    both = onnx.helper.make_node("Concat", ["input", "curved"], ["output"], axis=1)
    graph = onnx.helper.make_graph([curved, both], "both", [given], [made])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    before = model.SerializeToString()
    changed = with_interface(model, pictures=pictures, colours_last=colours_last)
    assert model.SerializeToString() == before
    image = np.random.default_rng(0).random((1, 3, 4, 6), dtype=np.float32)
    values = levels_of(image).astype(np.uint8) if pictures else image
    session = onnxruntime.InferenceSession(changed.SerializeToString())
    (output,) = session.run(None, {"input": values.transpose(0, 2, 3, 1) if colours_last else values})
    planes = output.transpose(0, 3, 1, 2) if colours_last else output
    given_floats = values / np.float32(255) if pictures else values
    expected = np.concatenate([given_floats, 1 / (1 + np.exp(-given_floats))], axis=1)
    np.testing.assert_allclose(planes, levels_of(expected) if pictures else expected, rtol=1e-6)


def test_a_wrapper_that_names_a_path_is_no_wrapper(tmp_path: Path) -> None:
    def written(name: str) -> Path:
        node = onnx.helper.make_node("EPContext", ["input"], ["output"], domain="com.microsoft", ep_cache_context=name)
        path = tmp_path / "net.onnx"
        onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "net", [], [])), path)
        return path

    (tmp_path / "net_qnn.bin").write_bytes(b"binary")
    two = onnx.load(written("net_qnn.bin"))
    two.graph.node.add().CopyFrom(two.graph.node[0])
    onnx.save(two, tmp_path / "net.onnx")
    with pytest.raises(ExportError, match="2 context binaries in 2 nodes"):
        finish_wrapper(tmp_path / "net.onnx", {})
    finish_wrapper(written("net_qnn.bin"), {"chip": "sm8650"})
    for wrong in (str(tmp_path / "net_qnn.bin"), "../net_qnn.bin", "other.bin"):
        with pytest.raises(ExportError, match="does not lie beside it"):
            finish_wrapper(written(wrong), {})
