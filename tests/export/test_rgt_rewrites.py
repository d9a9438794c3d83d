"""RGT in the exported graph: any batch and size in one file, shifted rectangles and not, no rank above six."""

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.shape_inference import infer_shapes
from torch import nn

from edgesr.export.onnx_graph import all_nodes, onnx_from_module
from edgesr.export.rewrite import apply_plan, plan, rewrites
from edgesr.export.target import targets
from edgesr.models._rgt_attention import RecursiveGeneralizationAttention, recursions
from edgesr.models.rgt import RGT, RGTConfig
from edgesr.seeding import seed_weights
from edgesr.tensors import FloatArray, Size, SizeRule

ANY = SizeRule(minimum=Size(height=16, width=16), maximum=Size(height=1023, width=1023))
STEPS = plan(targets()["ort"].needs)
OURS = ("channels-last-gate", "fused-attention", "rectangle-attention", "recursive-attention")


@cache
def small_rgt() -> nn.Module:
    """Two L-SA, of which the second is shifted, and two RG-SA."""
    module = RGT(RGTConfig(scale=2, depths=(4,), dim=48, heads=4, mlp=24, reduced=16, split=(4, 16), mask_size=32)).eval()
    seed_weights(module)
    return module


@cache
def exported(size: Size | None = None) -> onnx.ModelProto:
    rewritten, applied = apply_plan(STEPS, small_rgt())
    assert {step.name: len(step.matches) for step in applied if step.name in OURS} == dict(zip(OURS, (4, 4, 2, 2), strict=True))
    sizes = SizeRule(minimum=size, maximum=size) if size else ANY
    return onnx_from_module(rewritten, sizes, opset=20, functions={step.name: step.rewrite.functions for step in STEPS})


@cache
def session(size: Size | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(exported(size).SerializeToString(), options, providers=["CPUExecutionProvider"])


def assert_same(x: FloatArray, y: FloatArray) -> None:
    with torch.inference_mode():
        expected = small_rgt()(torch.from_numpy(x)).numpy()
    assert y.shape == expected.shape
    assert np.linalg.norm(y - expected) <= 1e-5 * np.linalg.norm(expected)


def picture(*shape: int) -> FloatArray:
    return np.random.default_rng(sum(shape)).random(shape, np.float32)


@pytest.mark.parametrize(
    "shape", [(1, 16, 16), (2, 17, 33), (1, 40, 70), (3, 32, 96), (1, 16, 203), (2, 64, 16)], ids=lambda s: "x".join(map(str, s))
)
def test_one_file_takes_any_batch_and_size(shape: tuple[int, int, int]) -> None:
    x = picture(shape[0], 3, *shape[1:])
    assert_same(x, session().run(None, {"input": x})[0])


def test_samples_do_not_see_each_other() -> None:
    x = picture(2, 3, 19, 37)
    both = session().run(None, {"input": x})[0]
    alone = [session().run(None, {"input": sample[np.newaxis]})[0][0] for sample in x]
    np.testing.assert_allclose(both, np.stack(alone), atol=1e-5)


@pytest.mark.parametrize("size", [Size(height=32, width=32), Size(height=21, width=50)], ids=str)
def test_a_file_of_one_size(size: Size) -> None:
    x = picture(1, 3, size.height, size.width)
    assert_same(x, session(size).run(None, {"input": x})[0])


def test_reductions_of_a_long_picture() -> None:
    """From 1024 pixels on the map is reduced three times, which a file of one size knows."""
    assert recursions(64, 1024) == 3
    module = RecursiveGeneralizationAttention(8, 4, heads=2).double()
    seed_weights(module)
    rewritten, _ = apply_plan(STEPS, module)
    x = torch.randn(1, 64, 1024, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(rewritten(x), module(x), rtol=0, atol=1e-12)


def test_no_rank_above_six_and_one_operator_for_each_attention() -> None:
    graph = infer_shapes(exported()).graph
    ranks = [len(value.type.tensor_type.shape.dim) for value in graph.value_info]
    assert ranks
    assert max(ranks) <= 6
    assert sum(node.op_type == "MultiHeadAttention" for node in all_nodes(graph)) == 6  # two in each L-SA


def test_the_bias_of_the_keys_moves_all_scores_of_a_query_alike() -> None:
    """The rewrite leaves it out; its witnesses have none, for no output depends on it."""
    module = RecursiveGeneralizationAttention(8, 4, heads=2).double()
    seed_weights(module)
    assert module.k.bias is not None
    assert module.k.bias.abs().max() > 0
    replacement = rewrites()["recursive-attention"].replace(module)
    assert isinstance(replacement, nn.Module)
    x = torch.randn(1, 35, 50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        assert (replacement(x) - module(x)).abs().max() < 1e-12 * module(x).abs().max()
