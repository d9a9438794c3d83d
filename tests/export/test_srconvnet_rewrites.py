"""SRConvNet's rewrites together: one file for every size and batch, without the operators that they are there to remove."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgesr.export.onnx_graph import all_nodes, onnx_from_module
from edgesr.export.rewrite import apply_plan, plan
from edgesr.export.target import targets
from edgesr.models.srconvnet import SRConvNet, SRConvNetConfig
from edgesr.parity import difference
from edgesr.seeding import seed_weights
from edgesr.tensors import Size, SizeRule

ANY = SizeRule(minimum=Size(height=1, width=1))
SIZES = ((1, 1), (1, 7), (9, 1), (5, 4), (21, 29), (33, 47))

Exported = tuple[SRConvNet, onnx.ModelProto]


@pytest.fixture(scope="module", params=(2, 3, 4))
def exported(request: pytest.FixtureRequest) -> Exported:
    net = SRConvNet(SRConvNetConfig(scale=request.param, dim=16, blocks=1, heads=4, kernels=3)).eval()
    seed_weights(net)
    steps = plan(targets()["ort"].needs)
    rewritten, _ = apply_plan(steps, net)
    functions = {step.name: step.rewrite.functions for step in steps}
    return net, onnx_from_module(rewritten, ANY, opset=20, functions=functions)


def test_one_file_holds_for_every_size_and_batch(exported: Exported) -> None:
    net, graph = exported
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for height, width in SIZES:
        x = 255 * np.random.default_rng(0).random((2, 3, height, width), dtype=np.float32)
        with torch.inference_mode():
            expected = net(torch.from_numpy(x)).numpy()
        (actual,) = session.run(None, {"input": x})
        assert difference(f"{height}x{width}", expected, actual).relative_l2 < 1e-5


def test_samples_do_not_see_each_other(exported: Exported) -> None:
    _, graph = exported
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    x = 255 * np.random.default_rng(1).random((3, 3, 11, 10), dtype=np.float32)
    (together,) = session.run(None, {"input": x})
    for sample, expected in zip(x, together, strict=True):
        (alone,) = session.run(None, {"input": sample[None]})
        assert difference("sample", expected[None], alone).relative_l2 < 1e-5


def test_what_the_rewrites_remove_is_gone(exported: Exported) -> None:
    _, graph = exported
    assert not {node.op_type for node in all_nodes(graph.graph)} & {"DFT", "Einsum", "DepthToSpace", "STFT"}
