"""ESC-FP's bicubic enlargement as a convolution: the same as PyTorch's for every small size, and no Resize in the file."""

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.rewrite import apply_plan, plan
from edgesr.models.esc_fp import BicubicTail
from edgesr.tensors import Size, SizeRule


class Enlarged(nn.Module):
    """x (B,3,H,W) enlarged, with details that are x itself."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.tail = BicubicTail(scale)

    def forward(self, x: Tensor) -> Tensor:
        enlarged: Tensor = self.tail(x.tile(1, self.scale**2, 1, 1), x)
        return enlarged


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_is_the_interpolation_of_pytorch(scale: int) -> None:
    network, _ = apply_plan(plan({"no_bicubic"}), BicubicTail(scale))
    for height in range(1, 6):
        for width in (1, 2, 3, 8):
            x = torch.randn(2, 3, height, width, dtype=torch.float64)
            actual = network(torch.zeros(2, 3 * scale**2, height, width, dtype=torch.float64), x)
            expected = F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False)
            assert (actual - expected).abs().max() <= 1e-13


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_one_file_for_every_size(scale: int) -> None:
    network = Enlarged(scale)
    rewritten, _ = apply_plan(plan({"no_bicubic"}), network)
    model = onnx_from_module(rewritten, SizeRule(minimum=Size(height=1, width=1)), opset=20)
    assert "Resize" not in {node.op_type for node in model.graph.node}
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for shape in ((1, 3, 1, 1), (2, 3, 1, 7), (3, 3, 9, 2), (1, 3, 33, 47)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        (actual,) = session.run(None, {"input": x})
        expected = network(torch.from_numpy(x).double()).numpy()  # in float32 PyTorch's places of pixels are rounded
        assert np.linalg.norm(actual - expected) <= 1e-6 * np.linalg.norm(expected)
