"""Phones' runtimes take tensors of five axes at most, and Qualcomm's compiler some operators."""

from collections.abc import Callable, Iterator

import onnx
import pytest
from torch import nn

from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.rewrite import apply_plan, plan
from edgesr.export.target import targets
from edgesr.models.esc import ESC, ESCConfig
from edgesr.models.rgt import RGT, RGTConfig
from edgesr.models.srconvnet import SRConvNet, SRConvNetConfig
from edgesr.tensors import Size, SizeRule


def esc(heads: int) -> nn.Module:
    """With an odd number of heads, windows are taken apart otherwise."""
    return ESC(ESCConfig(scale=2, dim=12, pdim=4, kernel=5, blocks=1, conv_blocks=1, window=8, heads=heads, ffn=8))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "esc-even": lambda: esc(4),
    "esc-odd": lambda: esc(3),
    "srconvnet": lambda: SRConvNet(SRConvNetConfig(scale=4, dim=16, blocks=1, heads=4, kernels=3)),
    "rgt": lambda: RGT(RGTConfig(scale=2, depths=(2,), dim=48, heads=4, mlp=24, reduced=16, split=(4, 16), mask_size=32)),
}
SIZES = {
    "any size": SizeRule(minimum=Size(height=16, width=16), maximum=Size(height=1023, width=1023)),
    "one size": SizeRule(minimum=Size(height=24, width=40), maximum=Size(height=24, width=40)),
}
COMPILED = {
    "Add",
    "Concat",
    "Conv",
    "DepthToSpace",
    "Div",
    "Expand",
    "Gather",
    "Gelu",
    "LayerNormalization",
    "LeakyRelu",
    "MatMul",
    "Mul",
    "Pad",
    "ReduceMean",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Split",
    "Sub",
    "Tile",
    "Transpose",
    "Unsqueeze",
}
"""What Qualcomm's compiler took of the full networks."""


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_no_tensor_has_more_than_five_axes(network: str, sizes: str, target: str) -> None:
    if targets()[target].default_size and not targets()[target].profiles and not SIZES[sizes].fixed:
        pytest.skip("its files are for one size")
    steps = plan(targets()[target].needs)
    rewritten, _ = apply_plan(steps, NETWORKS[network]().eval())
    functions = {step.name: step.rewrite.functions for step in steps}
    graph = onnx_from_module(rewritten, SIZES[sizes], opset=20, functions=functions)
    ranks = list(known_ranks(onnx.shape_inference.infer_shapes(graph).graph))
    assert len(ranks) > 50
    assert max(ranks) <= 5
    assert target != "qnn" or working_operators(graph.graph) <= COMPILED


def known_ranks(graph: onnx.GraphProto) -> Iterator[int]:
    """The number of axes of every tensor that shape inference knows, those in subgraphs too."""
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            yield len(value.type.tensor_type.shape.dim)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from known_ranks(attribute.g)


def working_operators(graph: onnx.GraphProto) -> set[str]:
    """Those of the nodes whose results depend on the input; what others make is computed once, before anything is placed."""
    known, found = {value.name for value in graph.input}, set()
    for node in graph.node:
        if known & set(node.input):
            known.update(node.output)
            found.add(node.op_type)
    return found
