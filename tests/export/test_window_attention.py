"""Window attention in the exported graph, in both forms: any batch and size in one file, bounded, compact, standard."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.rewrite import apply_plan, plan
from edgesr.export.rewrites.attention_in_portions import Portions, portions
from edgesr.models.esc import ESC, ESCConfig
from edgesr.seeding import seed_weights
from edgesr.tensors import FloatArray, Size, SizeRule

WINDOW = 8
ANY = SizeRule(minimum=Size(height=WINDOW // 2 + 1, width=WINDOW // 2 + 1))
PORTABLE = frozenset({"any_batch", "any_size", "bounded_memory"})
IN_PORTIONS = PORTABLE | {"cache_sized_attention"}
each_form = pytest.mark.parametrize("traits", [PORTABLE, IN_PORTIONS], ids=["portable", "in portions"])


@cache
def small_esc() -> nn.Module:
    config = ESCConfig(scale=2, dim=8, pdim=4, kernel=3, blocks=1, conv_blocks=1, window=WINDOW, heads=4, ffn=8)
    module = ESC(config).eval()
    seed_weights(module)
    return module


@cache
def exported(traits: frozenset[str], size: Size | None = None) -> onnx.ModelProto:
    steps = plan(traits)
    rewritten, _ = apply_plan(steps, small_esc())
    sizes = SizeRule(minimum=size, maximum=size) if size else ANY
    return onnx_from_module(rewritten, sizes, opset=20, functions={step.name: step.rewrite.functions for step in steps})


@cache
def session(traits: frozenset[str], size: Size | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(exported(traits, size).SerializeToString(), options, providers=["CPUExecutionProvider"])


def picture(*shape: int) -> FloatArray:
    return np.random.default_rng(sum(shape)).random(shape, np.float32)


def expected(x: FloatArray) -> FloatArray:
    with torch.inference_mode():
        y: FloatArray = small_esc()(torch.from_numpy(x)).numpy()
    return y


def run(traits: frozenset[str], x: FloatArray, size: Size | None = None) -> FloatArray:
    y: FloatArray = session(traits, size).run(None, {"input": x})[0]
    return y


@each_form
@pytest.mark.parametrize(
    "shape", [(1, 3, 5, 5), (1, 3, 8, 8), (2, 3, 9, 23), (3, 3, 16, 7), (1, 3, 40, 32), (1, 3, 5, 61), (2, 3, 33, 17)]
)
def test_one_file_computes_any_batch_and_size(traits: frozenset[str], shape: tuple[int, ...]) -> None:
    x = picture(*shape)
    np.testing.assert_allclose(run(traits, x), expected(x), rtol=0, atol=1e-5)


@each_form
@pytest.mark.parametrize("size", [Size(height=16, width=24), Size(height=5, width=13)])
def test_a_static_file_computes_its_size(traits: frozenset[str], size: Size) -> None:
    x = picture(1, 3, size.height, size.width)
    np.testing.assert_allclose(run(traits, x, size), expected(x), rtol=0, atol=1e-5)


@each_form
def test_no_sample_of_a_batch_sees_another(traits: frozenset[str]) -> None:
    x = picture(3, 3, 11, 19)
    alone = np.concatenate([run(traits, sample[None]) for sample in x])
    np.testing.assert_allclose(run(traits, x), alone, rtol=0, atol=1e-6)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3


@each_form
def test_no_tensor_has_more_than_six_axes_and_no_table_of_indices_is_in_the_file(traits: frozenset[str]) -> None:
    model = onnx.shape_inference.infer_shapes(exported(traits))
    tensors = list(constants(model.graph))
    ranks = [len(value.type.tensor_type.shape.dim) for value in model.graph.value_info] + [len(t.dims) for t in tensors]
    assert max(ranks) <= 6
    assert all(np.prod(t.dims, initial=1) <= WINDOW**2 for t in tensors if t.data_type == onnx.TensorProto.INT64)


@pytest.mark.parametrize(
    ("traits", "scans", "operator"),
    [(PORTABLE, 1, "Softmax"), (IN_PORTIONS, 2, "MultiHeadAttention")],
    ids=["portable", "in portions"],
)
def test_logits_are_those_of_one_window(traits: frozenset[str], scans: int, operator: str) -> None:
    """Around the attention stands a Scan over windows, or two: over portions of the queries, and windows."""
    levels = [list(exported(traits).graph.node)]
    while found := [node for node in levels[-1] if node.op_type == "Scan"]:
        levels.append([node for scan in found for attribute in scan.attribute for node in attribute.g.node])
    assert [[node.op_type for node in nodes].count(operator) for nodes in levels] == [0] * scans + [1]


def test_openvino_computes_the_portable_form_for_any_batch_and_size() -> None:
    openvino = pytest.importorskip("openvino")
    model = exported(PORTABLE)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(openvino.Core().read_model(model.SerializeToString()), "CPU", settings)
    for shape in ((1, 3, 5, 5), (2, 3, 9, 23), (2, 3, 33, 17)):
        x = picture(*shape)
        np.testing.assert_allclose(compiled(x)[0], expected(x), rtol=0, atol=1e-5)


def test_a_turn_takes_rows_that_divide_the_window_and_fit() -> None:
    assert portions(32, 4) == Portions(folds=1, rows=4, turns=8)
    assert portions(32, 3) == Portions(folds=2, rows=4, turns=8)
    assert portions(48, 12) == Portions(folds=1, rows=1, turns=48)
    assert portions(5, 3) == Portions(folds=1, rows=5, turns=1)


def constants(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == onnx.AttributeProto.GRAPH:
                yield from constants(attribute.g)
