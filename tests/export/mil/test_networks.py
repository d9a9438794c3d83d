"""Small networks of every family, rewritten for Core ML, lowered, saved and evaluated; and what must not be in the package."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgesr.errors import ExportError
from edgesr.export.mil.tables import check_written_out
from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.rewrite import apply_plan, plan
from edgesr.export.rewrites import _planes
from edgesr.export.target import targets
from edgesr.models.esc import ESC, ESCConfig
from edgesr.models.esc_fp import ESCFP, ESCFPConfig
from edgesr.models.rgt import RGT, RGTConfig
from edgesr.models.srconvnet import SRConvNet, SRConvNetConfig
from edgesr.models.vapsr import VapSR, VapSRConfig
from edgesr.runtimes._mil.program import Function
from edgesr.seeding import seed_weights
from edgesr.tensors import FloatArray, Size, SizeRule

_ESC: dict[str, Any] = {"dim": 16, "pdim": 4, "kernel": 5, "blocks": 1, "conv_blocks": 2, "window": 8, "heads": 2, "ffn": 20}
_RGT: dict[str, Any] = {"depths": (4,), "dim": 48, "heads": 4, "mlp": 24, "reduced": 16, "split": (4, 16), "mask_size": 32}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "esc": lambda: ESC(ESCConfig(scale=2, **_ESC)),
    "esc-fp": lambda: ESCFP(ESCFPConfig(scale=3, **_ESC, first_ffn=24)),
    "rgt": lambda: RGT(RGTConfig(scale=2, **_RGT)),
    "srconvnet": lambda: SRConvNet(SRConvNetConfig(scale=4, dim=16, blocks=1, heads=4, kernels=3)),
    "vapsr": lambda: VapSR(VapSRConfig(scale=4, feat=8, attention=8, blocks=1)),
}
STEPS = plan(targets()["coreml"].needs)
WHOLE, ODD = Size(height=32, width=32), Size(height=21, width=26)
_PEAK = {"srconvnet": 255.0}


@cache
def network(name: str) -> nn.Module:
    module = NETWORKS[name]().eval()
    seed_weights(module)
    return module


def exported(name: str, size: Size) -> onnx.ModelProto:
    rewritten, _ = apply_plan(STEPS, network(name))
    sizes = SizeRule(minimum=size, maximum=size)
    return onnx_from_module(rewritten, sizes, opset=20, functions={step.name: step.rewrite.functions for step in STEPS})


def picture(name: str, size: Size) -> FloatArray:
    return _PEAK.get(name, 1.0) * np.random.default_rng(0).random((1, 3, size.height, size.width), dtype=np.float32)


def expected(name: str, x: FloatArray) -> FloatArray:
    with torch.inference_mode():
        return np.asarray(network(name)(torch.from_numpy(x)).numpy())


def decibels(name: str, actual: FloatArray, x: FloatArray) -> float:
    wanted = expected(name, x)
    assert actual.shape == wanted.shape
    return float(-10 * np.log10((((actual - wanted) / _PEAK.get(name, 1.0)) ** 2).mean()))


@pytest.fixture(scope="module", params=NETWORKS)
def lowered_network(
    request: pytest.FixtureRequest, function_of: Callable[..., Function], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Function]:
    """A family's network for two sizes in one program."""
    graphs = {f"n{number}": exported(request.param, size) for number, size in enumerate((WHOLE, ODD))}
    return request.param, function_of(graphs, tmp_path_factory.mktemp("mil") / "network.mlpackage")


def test_the_saved_package_is_the_network(
    lowered_network: tuple[str, Function], evaluated: Callable[..., dict[str, FloatArray]]
) -> None:
    name, function = lowered_network
    feeds = {f"n{number}": picture(name, size) for number, size in enumerate((WHOLE, ODD))}
    for key, actual in evaluated(function, feeds).items():
        assert decibels(name, actual, feeds[key]) > 110


def test_what_the_neural_engine_does_not_do_is_gone(lowered_network: tuple[str, Function]) -> None:
    _, function = lowered_network
    kinds = {each.kind for each in function.operations}
    assert not kinds & {"gather", "gather_nd", "gather_along_axis", "scatter", "scatter_nd", "cond", "while_loop", "cast"}
    assert max(len(value.shape) for each in function.operations for value in each.outputs) <= 5
    constants = function.constants.keys()
    for each in function.operations:
        if each.kind == "conv":
            assert not isinstance(each.inputs["weight"][0], str) or each.inputs["weight"][0] in constants
        if each.kind == "layer_norm" and len(each.outputs[0].shape) == 4:
            assert [int(axis) for axis in np.ravel(constant(function, each.inputs["axes"][0]))] == [1]


def test_transpositions_are_few(lowered_network: tuple[str, Function]) -> None:
    """Those around linear layers and normalisations cancel; windows take four, of two halves in RGT, transforms four."""
    name, function = lowered_network
    per_network = {"esc": 4, "esc-fp": 4, "rgt": 16, "srconvnet": 4, "vapsr": 0}
    assert sum(each.kind == "transpose" for each in function.operations) <= 2 * per_network[name]


def constant(function: Function, found: Any) -> Any:
    return function.constants[found] if isinstance(found, str) else found


@pytest.mark.parametrize("name", ["esc", "rgt"])
def test_compact_tables(
    name: str,
    function_of: Callable[..., Function],
    evaluated: Callable[..., dict[str, FloatArray]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tables that are left to the program: the package is smaller and computes the same."""
    monkeypatch.setattr("edgesr.export.mil.tables.LARGEST", 512)
    graphs = {"n": exported(name, WHOLE)}
    x = picture(name, WHOLE)
    sizes, tiles = [], []
    for compact in (True, False):
        path = tmp_path / f"{compact}.mlpackage"
        function = function_of(graphs, path, compact=compact)
        tiles.append(sum(each.kind == "tile" for each in function.operations))
        assert decibels(name, evaluated(function, {"n": x})["n"], x) > 110
        sizes.append(sum(file.stat().st_size for file in path.rglob("*.bin")))
    assert sizes[0] < sizes[1]
    assert tiles[0] > tiles[1]


def test_tables_that_are_too_large_are_not_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = exported("esc", WHOLE).graph
    check_written_out(graph)
    monkeypatch.setattr("edgesr.export.mil.tables.MOST", 512)
    with pytest.raises(ExportError, match="written out, the position biases of this network take"):
        check_written_out(graph)


@pytest.mark.parametrize("name", ["esc", "rgt", "srconvnet"])
def test_portions_are_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention to some windows or from some pixels, and some kernels of a mixture, are computed after the other."""
    x = torch.from_numpy(picture(name, ODD)).double()
    rewritten, _ = apply_plan(STEPS, network(name).double())
    with torch.inference_mode():
        whole = rewritten(x)
        monkeypatch.setattr(_planes, "LARGEST", 2**14)
        parts = rewritten(x)
    network(name).float()
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-10 * float(whole.abs().max()))
