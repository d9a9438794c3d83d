"""ESC's large kernel in tiles of rows: any height, width and batch in one file, for every number of channels."""

from collections import Counter

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.rewrite import apply_plan, plan
from edgesr.models.esc import SymmetricConv, mean_of_symmetries
from edgesr.tensors import Size, SizeRule


class Network(nn.Module):
    """Two convolutions with one kernel, as a network of ESC shares it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(channels, channels, 13, 13, generator=torch.Generator().manual_seed(1)) / 40)
        self.first, self.second = SymmetricConv(13), SymmetricConv(13)

    def forward(self, x: Tensor) -> Tensor:
        kernel = mean_of_symmetries(self.kernel)
        return self.second(self.first(x.tile(1, len(kernel) // 3, 1, 1), kernel), kernel)


@pytest.mark.parametrize("channels", [3, 48])
def test_one_file_for_every_size(channels: int) -> None:
    network = Network(channels)
    steps = plan({"few_multiplications"})
    rewritten, _ = apply_plan(steps, network)
    functions = {step.name: step.rewrite.functions for step in steps}
    model = onnx_from_module(rewritten, SizeRule(minimum=Size(height=1, width=1)), opset=18, functions=functions)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["ConvTranspose"] == 2
    assert kinds["MatMul"] == (channels > 3), "the spectrum is computed once for all, or folded where it is small"
    session = onnxruntime.InferenceSession(model.SerializeToString())
    random = np.random.default_rng(0)
    for shape in ((1, 3, 1, 1), (2, 3, 31, 5), (1, 3, 32, 40), (3, 3, 33, 17), (1, 3, 64, 64), (1, 3, 131, 2), (1, 3, 3, 201)):
        x = random.standard_normal(shape).astype(np.float32)
        (actual,) = session.run(None, {"input": x})
        with torch.inference_mode():
            expected = network(torch.from_numpy(x)).numpy()
        assert np.linalg.norm(actual - expected) <= 1e-5 * np.linalg.norm(expected), shape


def test_whole_tiles_are_not_cropped() -> None:
    steps = plan({"few_multiplications"})
    rewritten, _ = apply_plan(steps, Network(3))
    functions = {step.name: step.rewrite.functions for step in steps}
    side = Size(height=64, width=40)
    model = onnx_from_module(rewritten, SizeRule(minimum=side, maximum=side), opset=18, functions=functions)
    assert not {"Slice", "Pad", "Shape"} & {node.op_type for node in model.graph.node}
