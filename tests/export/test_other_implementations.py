"""The graph of standard operators means the same to ONNX's own reference evaluator, and to OpenVINO where it is installed."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx.reference
import pytest
import torch
from torch import nn

from edgesr.export.onnx_graph import all_nodes, onnx_from_module
from edgesr.export.rewrite import apply_plan, plan
from edgesr.export.target import targets
from edgesr.models.esc import ESC, ESCConfig
from edgesr.models.esc_fp import ESCFP, ESCFPConfig
from edgesr.models.rgt import RGT, RGTConfig
from edgesr.models.srconvnet import SRConvNet, SRConvNetConfig
from edgesr.models.vapsr import VapSR, VapSRConfig
from edgesr.parity import difference
from edgesr.seeding import seed_weights
from edgesr.tensors import FloatArray, Size, SizeRule

CLOSE = 1e-4
LARGEST = Size(height=1023, width=1023)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "esc": lambda: ESC(ESCConfig(scale=2, dim=8, pdim=4, kernel=5, blocks=1, conv_blocks=1, window=8, heads=4, ffn=8)),
    "esc-fp": lambda: ESCFP(
        ESCFPConfig(scale=4, dim=8, pdim=4, kernel=5, blocks=1, conv_blocks=2, window=4, heads=2, first_ffn=8, ffn=8)
    ),
    "srconvnet": lambda: SRConvNet(SRConvNetConfig(scale=4, dim=16, blocks=1, heads=4, kernels=3)),
    "vapsr": lambda: VapSR(VapSRConfig(feat=8, attention=16, blocks=2, scale=4)),
    "rgt": lambda: RGT(RGTConfig(scale=2, depths=(4,), dim=48, heads=4, mlp=24, reduced=16, split=(4, 16), mask_size=32)),
}
"""A small network of each family."""
CASES = [*((name, 20) for name in NETWORKS), ("srconvnet", 17), ("rgt", 17)]
SHAPES = ((2, 3, 33, 18), (1, 3, 40, 70))

Standard = tuple[nn.Module, onnx.ModelProto, int]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def standard(request: pytest.FixtureRequest) -> Standard:
    """The network and its graph of standard operators, for any batch and size, with the opset."""
    name, opset = request.param
    module = NETWORKS[name]().eval()
    seed_weights(module)
    steps = plan(targets()["onnx"].needs)
    rewritten, _ = apply_plan(steps, module)
    sizes = SizeRule(minimum=Size(height=16, width=16), maximum=LARGEST)
    return module, onnx_from_module(rewritten, sizes, opset=opset, functions={s.name: s.rewrite.functions for s in steps}), opset


def picture(shape: tuple[int, ...]) -> FloatArray:
    return np.random.default_rng(0).random(shape, np.float32)


def expected(module: nn.Module, x: FloatArray) -> FloatArray:
    with torch.inference_mode():
        y: FloatArray = module(torch.from_numpy(x)).numpy()
    return y


def test_only_standard_operators_of_the_opset(standard: Standard) -> None:
    _, graph, opset = standard
    assert {(entry.domain, entry.version) for entry in graph.opset_import} == {("", opset)}
    assert not {node.op_type for node in all_nodes(graph.graph)} & {"DFT", "STFT"}


def test_reference_evaluator(standard: Standard) -> None:
    module, graph, _ = standard
    x = picture(SHAPES[0])
    (output,) = onnx.reference.ReferenceEvaluator(graph).run(None, {"input": x})
    assert difference("batch", expected(module, x), np.asarray(output)).relative_l2 < CLOSE


def test_openvino(standard: Standard) -> None:
    openvino = pytest.importorskip("openvino")
    module, graph, _ = standard
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for shape in SHAPES:
        x = picture(shape)
        assert difference(str(shape), expected(module, x), compiled(x)[0]).relative_l2 < CLOSE, shape


def test_openvino_from_the_smallest_picture_to_a_larger_one(standard: Standard) -> None:
    openvino = pytest.importorskip("openvino")
    module, graph, _ = standard
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    compiled(picture((1, 3, 16, 16)))
    x = picture((1, 3, 96, 96))
    fine = difference("larger", expected(module, x), compiled(x)[0]).relative_l2 < CLOSE
    if isinstance(module, RGT) and not fine:
        pytest.xfail("OpenVINO 2026.4 goes wrong after RGT's reduced map was one pixel; compiled anew it is right")
    assert fine
