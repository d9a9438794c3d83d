"""The exported graph: standard, checked, stamped, the same each time, and free of this machine."""

from collections import Counter
from collections.abc import Callable

import onnx
import pytest
import torch
from torch import nn

from edgesr.artifact import Artifact
from edgesr.errors import ExportError
from edgesr.export.onnx_graph import REWRITE_KEY, all_nodes, onnx_from_module
from edgesr.export.rewrite import apply_plan, plan
from edgesr.export.target import targets
from edgesr.models.esc import ESC, ESCConfig
from edgesr.models.esc_fp import ESCFP, ESCFPConfig
from edgesr.models.rgt import RGT, RGTConfig
from edgesr.models.srconvnet import SRConvNet, SRConvNetConfig
from edgesr.models.vapsr import VapSR, VapSRConfig
from edgesr.seeding import seed_weights
from edgesr.tensors import Size, SizeRule

ANY = SizeRule(minimum=Size(height=1, width=1))
EIGHT = SizeRule(minimum=Size(height=8, width=8), maximum=Size(height=8, width=8))
STAMP = (REWRITE_KEY, "split-kernel-sum")


@pytest.fixture(scope="module")
def graph(vapsr_s: Artifact) -> onnx.ModelProto:
    return onnx.load(vapsr_s.path)


def test_names_shapes_and_symbols(graph: onnx.ModelProto) -> None:
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.graph.input, *graph.graph.output)
    }
    assert shapes == {"input": ["N", 3, "H", "W"], "output": ["N", 3, "4*H", "4*W"]}


def test_it_is_standard_and_passes_the_checker(graph: onnx.ModelProto) -> None:
    onnx.checker.check_model(graph, full_check=True)
    assert {entry.domain for entry in graph.opset_import} == {""}
    assert not graph.functions
    assert {node.domain for node in graph.graph.node} == {""}


@pytest.fixture(scope="module")
def small_esc_fp() -> nn.Module:
    config = ESCFPConfig(scale=2, dim=8, pdim=4, kernel=5, blocks=1, conv_blocks=2, window=4, heads=2, first_ffn=8, ffn=8)
    module = ESCFP(config).eval()
    seed_weights(module)
    return module


_SMALL: dict[str, Callable[[], nn.Module]] = {
    "esc": lambda: ESC(ESCConfig(scale=2, dim=8, pdim=4, kernel=7, blocks=1, conv_blocks=1, window=8, heads=2, ffn=8)),
    "esc-fp": lambda: ESCFP(ESCFPConfig(scale=3, blocks=1, conv_blocks=1, window=8)),
    "srconvnet": lambda: SRConvNet(SRConvNetConfig(scale=4, blocks=1)),
    "vapsr": lambda: VapSR(VapSRConfig(feat=16, attention=16, blocks=1, scale=4)),
    "rgt": lambda: RGT(RGTConfig(scale=2, depths=(4,))),
}


@pytest.mark.parametrize(("target", "size"), [("ort", None), ("onnx", 32)])
@pytest.mark.parametrize("family", _SMALL)
def test_rewritten_networks_need_no_decomposition(
    family: str, target: str, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take half of the time of an export."""

    def refused(*_: object) -> None:
        raise AssertionError("an operator without translation was left")

    monkeypatch.setattr(torch.export.ExportedProgram, "run_decompositions", refused)
    steps = plan(targets()[target].needs)
    rewritten, _ = apply_plan(steps, _SMALL[family]().eval())
    sides = Size(height=size or 16, width=size or 16)
    sizes = SizeRule(minimum=sides, maximum=sides if size else None)
    onnx_from_module(rewritten, sizes, opset=20, functions={step.name: step.rewrite.functions for step in steps})


def test_nodes_of_a_rewrite_carry_its_name(small_esc_fp: nn.Module) -> None:
    rewritten, _ = apply_plan(plan({"static_parts_apart"}), small_esc_fp)
    nodes = onnx_from_module(rewritten, EIGHT, opset=20).graph.node
    stamped = [node for node in nodes if [(entry.key, entry.value) for entry in node.metadata_props] == [STAMP]]
    kinds = Counter(node.op_type for node in stamped)
    assert kinds["Conv"] >= 2 * 3
    assert len(stamped) < len(nodes)
    assert all(node in stamped or not node.metadata_props for node in nodes)


def test_a_replacement_inside_another_keeps_its_own_name(small_esc_fp: nn.Module) -> None:
    steps = plan(targets()["ort"].needs)
    rewritten, applied = apply_plan(steps, small_esc_fp)
    functions = {step.name: step.rewrite.functions for step in steps}
    nodes = all_nodes(onnx_from_module(rewritten, EIGHT, opset=20, functions=functions).graph)
    names = {entry.value for node in nodes for entry in node.metadata_props}
    # The portions replace what window-attention made.
    assert names == {done.name for done in applied if done.matches} - {"window-attention"}


def test_without_the_rewrite_there_is_no_stamp(small_esc_fp: nn.Module) -> None:
    assert not any(node.metadata_props for node in onnx_from_module(small_esc_fp, EIGHT, opset=20).graph.node)


def test_it_holds_nothing_of_this_machine(graph: onnx.ModelProto) -> None:
    text = graph.SerializeToString()
    assert b"site-packages" not in text
    assert b"vapsr.py" not in text
    assert not graph.doc_string


def test_the_same_module_gives_the_same_bytes(small_esc_fp: nn.Module) -> None:
    first, second = (onnx_from_module(small_esc_fp, EIGHT, opset=20).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_a_fixed_size_fixes_the_batch_too() -> None:
    side = Size(height=8, width=12)
    model = onnx_from_module(nn.Conv2d(3, 3, 1).eval(), SizeRule(minimum=side, maximum=side), opset=20)
    assert [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 8, 12]


class DependsOnValues(nn.Module):
    """A network that torch.export cannot trace."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum().item() > 0 else x


def test_what_cannot_be_converted_says_why_and_what_to_try() -> None:
    with pytest.raises(ExportError, match="with dynamic sizes") as caught:
        onnx_from_module(DependsOnValues(), ANY, opset=20)
    assert "--size" in caught.value.hint
    assert caught.value.__cause__ is not None


def test_large_tables_that_follow_from_few_numbers_stay_out_of_the_file() -> None:
    class Table(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.arange(300.0).reshape(300, 1).expand(300, 300)[: x.shape[2], : x.shape[3]]

    side = Size(height=300, width=300)
    model = onnx_from_module(Table(), SizeRule(minimum=side, maximum=side), opset=20)
    assert model.ByteSize() < 10_000
