"""A small network of each family for TensorRT: nothing that its parser refuses, one file for many sizes, no mixed samples."""

from collections.abc import Callable
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgesr.export.constant_factors import with_constant_factors
from edgesr.export.half_precision import in_half_precision
from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.rewrite import apply_plan, plan
from edgesr.export.target import targets
from edgesr.export.tensorrt_parser import check_parser
from edgesr.models.esc import ESC, ESCConfig
from edgesr.models.esc_fp import ESCFP, ESCFPConfig
from edgesr.models.rgt import RGT, RGTConfig
from edgesr.models.srconvnet import SRConvNet, SRConvNetConfig
from edgesr.models.vapsr import VapSR, VapSRConfig
from edgesr.parity import difference
from edgesr.seeding import seed_weights
from edgesr.tensors import FloatArray, Size, SizeRule

CLOSE = 1e-5
ANY = SizeRule(minimum=Size(height=16, width=16), maximum=Size(height=1023, width=1023))
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "esc": lambda: ESC(ESCConfig(scale=2, dim=32, pdim=4, kernel=5, blocks=1, conv_blocks=1, window=8, heads=2, ffn=8)),
    "esc-fp": lambda: ESCFP(
        ESCFPConfig(scale=4, dim=48, pdim=4, kernel=5, blocks=1, conv_blocks=1, window=8, heads=3, first_ffn=8, ffn=8)
    ),
    "srconvnet": lambda: SRConvNet(SRConvNetConfig(scale=3, dim=16, blocks=1, heads=4, kernels=3)),
    "vapsr": lambda: VapSR(VapSRConfig(feat=8, attention=16, blocks=2, scale=4)),
    "rgt": lambda: RGT(RGTConfig(scale=2, depths=(1, 2), dim=48, heads=4, mlp=24, reduced=16, split=(4, 16), mask_size=32)),
}
SHAPES = ((2, 17, 33), (1, 16, 16), (3, 32, 64), (1, 16, 203))
"""N,H,W: no multiple of any window, the smallest, whole windows, many windows."""
ONE = Size(height=24, width=40)
each_network = pytest.mark.parametrize("name", NETWORKS)


@cache
def reference(name: str) -> nn.Module:
    module = NETWORKS[name]().eval()
    seed_weights(module)
    return module


@cache
def exported(name: str, kind: str) -> onnx.ModelProto:
    """The network as the target's file holds it: "any size", for any batch too, "one size", or "one size, any batch"."""
    steps = plan(targets()["tensorrt"].needs)
    rewritten, _ = apply_plan(steps, reference(name))
    sizes = ANY if kind == "any size" else SizeRule(minimum=ONE, maximum=ONE)
    functions = {step.name: step.rewrite.functions for step in steps}
    graph = onnx_from_module(rewritten, sizes, opset=20, functions=functions, any_batch=kind != "one size")
    return with_constant_factors(graph)


@cache
def session(name: str, kind: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(exported(name, kind).SerializeToString(), options, providers=["CPUExecutionProvider"])


def picture(*shape: int) -> FloatArray:
    return np.random.default_rng(sum(shape)).random(shape, np.float32)


def expected(name: str, x: FloatArray) -> FloatArray:
    with torch.inference_mode():
        y: FloatArray = reference(name)(torch.from_numpy(x)).numpy()
    return y


@each_network
def test_one_file_takes_any_batch_and_size(name: str) -> None:
    for batch, height, width in SHAPES:
        x = picture(batch, 3, height, width)
        (actual,) = session(name, "any size").run(None, {"input": x})
        assert difference(str(x.shape), expected(name, x), actual).relative_l2 < CLOSE, x.shape


@each_network
def test_samples_do_not_see_each_other(name: str) -> None:
    x = picture(3, 3, 19, 37)
    (together,) = session(name, "any size").run(None, {"input": x})
    for sample, both in zip(x, together, strict=True):
        (alone,) = session(name, "any size").run(None, {"input": sample[None]})
        assert difference("sample", both[None], alone).relative_l2 < CLOSE


@each_network
def test_a_file_of_one_size(name: str) -> None:
    x = picture(1, 3, ONE.height, ONE.width)
    (actual,) = session(name, "one size").run(None, {"input": x})
    assert difference("one size", expected(name, x), actual).relative_l2 < CLOSE
    shape = [dim.dim_value for dim in exported(name, "one size").graph.input[0].type.tensor_type.shape.dim]
    assert shape == [1, 3, ONE.height, ONE.width]


@pytest.mark.parametrize("name", ["esc", "srconvnet"])
def test_one_size_for_any_number_of_pictures(name: str) -> None:
    x = picture(3, 3, ONE.height, ONE.width)
    (actual,) = session(name, "one size, any batch").run(None, {"input": x})
    assert difference("batch", expected(name, x), actual).relative_l2 < CLOSE


@each_network
@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
@pytest.mark.parametrize("kind", ["any size", "one size"])
def test_the_parser_takes_it(name: str, kind: str, half: bool) -> None:
    graph = exported(name, kind)
    graph = with_constant_factors(in_half_precision(graph)) if half else graph
    check_parser(graph)
    assert not {node.op_type for node in graph.graph.node} & {"Loop", "Scan", "If", "DFT", "GatherElements", "ScatterND"}
    assert {node.domain for node in graph.graph.node} == {""}
    assert [given.type.tensor_type.elem_type for given in (*graph.graph.input, *graph.graph.output)] == [1, 1]


@each_network
def test_shapes_and_types_are_known_by_inference(name: str) -> None:
    """TensorRT infers them too; where ONNX cannot, a shape follows from numbers that the picture decides."""
    inferred = onnx.shape_inference.infer_shapes(exported(name, "any size"), data_prop=True).graph
    known = {value.name: value.type.tensor_type for value in (*inferred.value_info, *inferred.output)}
    outputs = [output for node in inferred.node for output in node.output]
    assert len(outputs) > 20
    assert all(known[output].elem_type and known[output].HasField("shape") for output in outputs)


@pytest.mark.parametrize(("name", "number"), [("esc", 1), ("esc-fp", 1), ("rgt", 2 * 2 + 1)])
def test_attention_is_in_the_form_that_tensorrt_fuses(name: str, number: int) -> None:
    """MatMul, perhaps Add, Softmax, MatMul on (windows,heads,pixels,channels), with 16 channels or a multiple of 8 above."""
    graph = onnx.shape_inference.infer_shapes(exported(name, "one size")).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (*graph.value_info, *graph.output)
    }
    makers = {output: node for node in graph.node for output in node.output}
    found = [node for node in graph.node if node.op_type == "Softmax"]
    assert len(found) == number
    for softmax in found:
        scores = makers[softmax.input[0]]
        if scores.op_type == "Add":
            scores = next(makers[name] for name in scores.input if makers[name].op_type == "MatMul")
        (after,) = [node for node in graph.node if softmax.output[0] in node.input]
        assert (scores.op_type, after.op_type) == ("MatMul", "MatMul")
        query, key, value = shapes[scores.input[0]], shapes[scores.input[1]], shapes[after.input[1]]
        assert len(query) == 4
        assert query[3] == key[2] == value[3]
        assert query[3] >= 16
        assert query[3] % 8 == 0
