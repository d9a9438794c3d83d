"""The check against TensorRT's parser finds each planted violation, and names the node, its rewrite and what is supported."""

import onnx
import pytest
from onnx import TensorProto

from edgesr.errors import ExportError
from edgesr.export.constant_factors import with_constant_factors
from edgesr.export.onnx_graph import REWRITE_KEY
from edgesr.export.tensorrt_parser import check_parser, parser_table


def model(body: str, *, weights: str = "", shape: str = "1,3,8,8", opset: int = 20) -> onnx.ModelProto:
    """A graph from `input` to `output` in ONNX's textual syntax."""
    constants = f"<{weights}>" if weights else ""
    made: onnx.ModelProto = onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["" : {opset}, "com.microsoft" : 1]>\n'
        f"g (float[{shape}] input) => (float[A,B,C,D] output) {constants} {{{body}}}"
    )
    return made


GOOD = {
    "Conv": model("output = Conv (input, w)", weights="float[3,3,1,1] w = {1,0,0,0,1,0,0,0,1}"),
    "Resize": model(
        'output = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (input, , scales)',
        weights="float[4] scales = {1.0, 1.0, 2.0, 2.0}",
    ),
    "ReduceMean": model("output = ReduceMean (input, axes)", weights="int64[2] axes = {2, 3}"),
    "Slice": model(
        "s = Shape (input) end = Slice (s, two, three, none) output = Slice (input, none, end, axes)",
        weights="int64[1] none = {0}, int64[1] two = {2}, int64[1] three = {3}, int64[1] axes = {2}",
    ),
    "ConstantOfShape": model("s = Shape (input) zeros = ConstantOfShape (s) output = Add (input, zeros)"),
    "Where": model("where = Less (input, input) output = Where (where, input, input)"),
    "Gather": model("output = Gather <axis = 2> (input, places)", weights="int64[2] places = {1, 0}"),
    "Cast": model("flag = Less (input, input) output = Cast <to = 1> (flag)"),
    "LayerNormalization": model("output = LayerNormalization (input, w)", weights="float[8] w = {1,1,1,1,1,1,1,1}"),
}

BAD = {
    "unknown operator": (model("output = Det (input)"), "there is no such operator among the "),
    "another domain": (model("output = com.microsoft.Gelu (input)"), r"it is of com\.microsoft, supported: ONNX's own"),
    "double precision": (
        model("d = Cast <to = 11> (input) e = Exp (d) output = Cast <to = 1> (e)"),
        "output 0 is DOUBLE, supported: FP32, FP16",
    ),
    "whole numbers in a float's operator": (
        model("n = Cast <to = 6> (input) r = Round (input) s = MatMul (n, n) output = Cast <to = 1> (s)"),
        "its input 0 is INT32, supported: FP32, FP16, BF16",
    ),
    "unsigned whole numbers": (
        model("n = Cast <to = 2> (input) m = Mul (n, n) output = Cast <to = 1> (m)"),
        "its input 0 is UINT8, supported: FP32",
    ),
    "bicubic": (
        model('output = Resize <mode = "cubic"> (input, , scales)', weights="float[4] scales = {1.0, 1.0, 2.0, 2.0}"),
        "mode is 'cubic', supported: 'nearest', 'linear'",
    ),
    "another grid": (
        model(
            'output = Resize <mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize"> (input, roi, scales)',
            weights="float[8] roi = {0,0,0,0,1,1,1,1}, float[4] scales = {1.0, 1.0, 2.0, 2.0}",
        ),
        "coordinate_transformation_mode is 'tf_crop_and_resize'",
    ),
    "antialias": (
        model('output = Resize <mode = "linear", antialias = 1> (input, , s)', weights="float[4] s = {1.0, 1.0, 2.0, 2.0}"),
        "antialias is 1, supported: 0",
    ),
    "aspect ratio": (
        model(
            'output = Resize <mode = "linear", keep_aspect_ratio_policy = "not_larger"> (input, , , s)',
            weights="int64[4] s = {1, 3, 16, 16}",
        ),
        "keep_aspect_ratio_policy is 'not_larger'",
    ),
    "some axes": (
        model('output = Resize <mode = "linear", axes = [2, 3]> (input, , s)', weights="float[2] s = {2.0, 2.0}"),
        r"axes are \[2, 3\]",
    ),
    "kernel made at run time": (
        model(
            "mean = ReduceMean (input, axes) k = Reshape (mean, shape) output = Conv <group = 3> (input, k)",
            weights="int64[2] axes = {2, 3}, int64[4] shape = {3, 1, 1, 1}",
        ),
        "its kernel must be constant, not computed from the picture or its size",
    ),
    "axes of a mean": (
        model(
            "s = Shape (input) a = Slice (s, two, three, none) output = ReduceMean (input, a)",
            weights="int64[1] none = {0}, int64[1] two = {2}, int64[1] three = {3}",
        ),
        "its axes must be constant, not computed from the picture or its size",
    ),
    "second output": (
        model(
            "output, mean = LayerNormalization (input, w)",
            weights="float[8] w = {1,1,1,1,1,1,1,1}",
        ),
        "more than one output, supported: the first",
    ),
    "reduction": (
        model(
            'output = ScatterND <reduction = "add"> (input, places, input)',
            weights="int64[1,1] places = {0}",
        ),
        "reduction is 'add', supported: 'none'",
    ),
    "unchecked restriction": (
        model("output = CumSum (input, axis)", weights="int64 axis = {2}"),
        "edgesr does not check its restrictions: `axis` must be an initializer",
    ),
    "nine axes": (
        model(
            "nine = Reshape (input, s) r = Relu (nine) output = Reshape (r, back)",
            weights="int64[9] s = {1,3,2,2,2,2,2,2,1}, int64[4] back = {1,3,8,8}",
        ),
        "it has 9 axes, supported: 8 at most",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_the_parser_takes_passes(name: str) -> None:
    check_parser(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_a_planted_violation_is_found(name: str) -> None:
    graph, message = BAD[name]
    with pytest.raises(ExportError, match=message):
        check_parser(graph)


def looped(kind: str) -> onnx.ModelProto:
    """Relu in a branch, a loop or a scan, with just as much around it as the checks look at."""
    graph = model("more = Cast <to = 9> (input) output = Relu (input)")
    node = graph.graph.node[1]
    body = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["input"], ["inner"])], "body", [], [])
    node.op_type = kind
    node.input[:] = ["more", "more", "input"]
    node.attribute.append(onnx.helper.make_attribute("body", body))
    return graph


@pytest.mark.parametrize("kind", ["If", "Loop", "Scan"])
def test_loops_and_branches_are_refused(kind: str) -> None:
    with pytest.raises(ExportError, match="loops and branches cost fusion"):
        check_parser(looped(kind))


def test_the_error_names_the_node_and_the_rewrite_that_made_it() -> None:
    graph = model("output = Det (input)")
    graph.graph.node[0].name = "node_det"
    with pytest.raises(ExportError, match="Det node_det, of the network as it was written, is not for TensorRT") as seen:
        check_parser(graph)
    assert "edgesr plan MODEL --target tensorrt" in seen.value.hint
    graph.graph.node[0].metadata_props.add(key=REWRITE_KEY, value="bicubic-shuffle")
    with pytest.raises(ExportError, match="Det node_det, made by the rewrite bicubic-shuffle, is not"):
        check_parser(graph)


def test_a_later_opset_is_refused() -> None:
    with pytest.raises(ExportError, match="parses opsets 9 to 20, not 21"):
        check_parser(model("output = Relu (input)", opset=21))


def test_a_type_that_is_not_known_is_refused() -> None:
    graph = model("a = Relu (input) output = Relu (a)")
    graph.graph.node[0].op_type = "Unheard"
    with pytest.raises(ExportError, match="Unheard"):
        check_parser(graph)


def test_the_table_says_where_it_is_from() -> None:
    table = parser_table()
    assert table["licence"] == "Apache-2.0"
    assert "onnx-tensorrt" in table["source"]
    assert len(table["operators"]) > 130
    assert not set(table["operators"]) & set(table["unsupported"])
    known = {"FP32", "FP16", "BF16", "INT32", "INT64", "BOOL", "UINT8", "INT8", "FP8", "INT4"}
    assert all(set(entry["types"]) <= known for entry in table["operators"].values())


def test_kernels_that_follow_from_weights_become_constants() -> None:
    graph = model(
        "turned = Transpose <perm = [1, 0, 2, 3]> (w) mean = Add (w, turned) half = Cast <to = 10> (mean)"
        " x = Cast <to = 10> (input) y = Conv (x, half) output = Cast <to = 1> (y)",
        weights="float[3,3,1,1] w = {1,2,3,4,5,6,7,8,9}",
    )
    graph.graph.node[4].metadata_props.add(key=REWRITE_KEY, value="split-kernel-sum")
    with pytest.raises(ExportError, match="its kernel must be constant"):
        check_parser(graph)
    folded = with_constant_factors(graph)
    check_parser(folded)
    onnx.checker.check_model(folded, full_check=True)
    assert [node.op_type for node in folded.graph.node] == ["Cast", "Conv", "Cast"]
    (kernel,) = folded.graph.initializer
    assert (kernel.data_type, onnx.numpy_helper.to_array(kernel).flatten().tolist()) == (
        TensorProto.FLOAT16,
        [2, 6, 10, 6, 10, 14, 10, 14, 18],
    )
    assert [entry.value for entry in folded.graph.node[1].metadata_props] == ["split-kernel-sum"]
    assert not kernel.metadata_props
    assert with_constant_factors(folded) == folded
