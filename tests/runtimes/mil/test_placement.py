"""The rules for the Neural Engine: each finds what it is about, names a source, and is silent otherwise."""

from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from edgesr.runtimes._mil.placement import findings, findings_in, operators
from edgesr.runtimes._mil.program import Feature, Function, Operation, Package, Value


def _value(*shape: int, dtype: str = "FLOAT16", name: str = "y") -> Value:
    return Value(name=name, dtype=dtype, shape=shape)


def _function(*operations: Operation, given: Value | None = None, **constants: Any) -> Function:
    first = given or _value(1, 16, 64, 64, name="x")
    return Function(name="main", inputs=(first,), constants=constants, operations=operations, outputs=("y",))


def _operation(kind: str, *shape: int, dtype: str = "FLOAT16", **inputs: Any) -> Operation:
    return Operation(kind=kind, inputs={"x": ("x",), **inputs}, outputs=(_value(*shape, dtype=dtype),))


def _rules(function: Function) -> set[str]:
    return {each.rule for each in findings_in(function)}


_KERNEL = np.zeros((16, 16, 13, 13), np.float16)


def test_a_plain_convolution_has_no_findings() -> None:
    assert not findings_in(_function(_operation("conv", 1, 16, 64, 64, weight=("w",)), w=_KERNEL))


@pytest.mark.parametrize(
    ("rule", "operation"),
    [
        ("rank_above_5", _operation("reshape", 1, 2, 8, 64, 8, 64)),
        ("gather", _operation("gather", 1, 16, 64, 64)),
        ("gather", _operation("gather_nd", 1, 16, 64, 64)),
        ("scatter", _operation("scatter_nd", 1, 16, 64, 64)),
        ("single_precision", _operation("relu", 1, 16, 64, 64, dtype="FLOAT32")),
        ("long_side", _operation("reshape", 1, 1, 16385, 64)),
        ("long_side", _operation("reshape", 1, 65537, 1, 64)),
        ("short_last_axis", _operation("transpose", 1, 64, 64, 16)),
        ("copy", _operation("transpose", 1, 64, 64, 32)),
    ],
)
def test_a_rule_finds_its_case(rule: str, operation: Operation) -> None:
    (found,) = (each for each in findings_in(_function(operation)) if each.rule == rule)
    assert found.places == ("y",)
    assert found.predicted


@pytest.mark.parametrize(
    ("rule", "operation"),
    [
        ("rank_above_5", _operation("reshape", 1, 16, 8, 8, 64)),
        ("single_precision", _operation("cast", 1, 16, 64, 64, dtype="FLOAT32")),
        ("long_side", _operation("reshape", 1, 65536, 1, 16384)),
        ("short_last_axis", _operation("transpose", 1, 64, 64, 17)),
        ("short_last_axis", _operation("transpose", 1, 1, 64, 16)),
    ],
)
def test_a_rule_leaves_its_neighbour_alone(rule: str, operation: Operation) -> None:
    assert rule not in _rules(_function(operation))


def test_a_kernel_that_is_computed() -> None:
    convolution = _operation("conv", 1, 16, 64, 64, weight=("k",))
    kernel = Operation(kind="reshape", inputs={"x": ("x",)}, outputs=(_value(16, 1, 3, 3, name="k"),))
    assert "run_time_kernel" in _rules(_function(kernel, convolution))
    unpacked = Operation(kind="constexpr_lut_to_dense", inputs={}, outputs=(_value(16, 1, 3, 3, name="k"),))
    assert "run_time_kernel" not in _rules(_function(unpacked, convolution))


def test_a_wide_kernel() -> None:
    assert "large_kernel" not in _rules(_function(_operation("conv", 1, 16, 64, 64, weight=("w",)), w=_KERNEL))
    wide = np.zeros((16, 1, 1, 14), np.float16)
    assert "large_kernel" in _rules(_function(_operation("conv", 1, 16, 64, 64, weight=("w",)), w=wide))
    assert "large_kernel" in _rules(_function(_operation("conv", 1, 16, 64, 64, weight=(wide,))))


def test_every_finding_names_its_source() -> None:
    function = _function(
        _operation("scatter", 1, 1, 1, 1, 16385, 16, dtype="FLOAT32"), _operation("gather", 1, 1), _operation("reshape", 1, 1)
    )
    found = findings_in(function)
    assert len(found) >= 5
    for each in found:
        assert urlsplit(each.source).scheme == "https"
        assert each.places


def test_a_saved_package(workshop: Any) -> None:
    def build(mb: Any, x: Any) -> Any:
        y = mb.conv(x=x, weight=np.ones((8, 3, 3, 3), np.float32), pad_type="custom", pad=[1, 1, 1, 1])
        return mb.pixel_shuffle(x=mb.relu(x=mb.relu(x=y)), upscale_factor=2)

    package = workshop.package(build, (1, 3, 32, 32))
    assert operators(package.functions["main"]) == {"relu": 2, "conv": 1, "pixel_shuffle": 1}
    assert [each.rule for each in findings(package)] == ["single_precision"]


def test_a_range_of_sizes(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = workshop.package(lambda mb, x: mb.relu(x=x), (1, 3, 32, 32))
    shape = (1, 3, 32, 32)
    ranged = Feature(name="x", image="", shapes=(shape,), ranges=((1, 1), (3, 3), (16, 64), (16, 64)))
    monkeypatch.setattr(Package, "inputs", lambda self, function: (ranged,))
    assert "range_of_sizes" in {each.rule for each in findings(package)}
    listed = Feature(name="x", image="", shapes=(shape, (1, 3, 64, 64)))
    monkeypatch.setattr(Package, "inputs", lambda self, function: (listed,))
    assert "range_of_sizes" not in {each.rule for each in findings(package)}
