"""What TensorRT's ONNX parser takes, checked on a graph before it leaves: the table of TensorRT 10.0, the oldest that counts.

The table (`edgesr/assets/tensorrt-onnx-operators-10.0.json`) gives each operator's types, and restrictions in words. Those of
the operators that edgesr's graphs use are code here; an operator with a restriction that is not is refused. Beyond the table,
refused are loops and branches, which the parser takes at the price of fusion; kernels that are made at run time, which nobody
here could try on it; and tensors of more than eight axes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import onnx
from onnx import TensorProto

from edgesr.errors import ExportError
from edgesr.export.constant_factors import CONVOLUTIONS
from edgesr.export.onnx_graph import REWRITE_KEY, all_nodes
from edgesr.export.rewrite import what_helps

_TABLE = "tensorrt-onnx-operators-10.0.json"
_MOST_AXES = 8
_LOOPS = frozenset({"If", "Loop", "Scan"})
_TYPES: Mapping[int, str] = {
    TensorProto.FLOAT: "FP32",
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.BOOL: "BOOL",
    TensorProto.UINT8: "UINT8",
    TensorProto.INT8: "INT8",
}
"""As the table writes them."""

_TYPED = {"Cast": ("input 0", "output 0"), "ConstantOfShape": ("output 0",), "Constant": ("output 0",), "Where": ("input 1",)}
"""Which tensors the table's types are of, where it is not the first input: the others are indices, shapes and conditions."""


@dataclass(frozen=True, kw_only=True)
class _Tensors:
    """What is known of a graph's tensors by name."""

    types: Mapping[str, int]
    axes: Mapping[str, int]
    constants: frozenset[str]


def check_parser(model: onnx.ModelProto) -> None:
    """Raise ExportError for the first node that the parser does not take, with its name, the rewrite that made it, and why."""
    table = parser_table()
    for entry in model.opset_import:
        low, high = table["opsets"]
        if not entry.domain and not low <= entry.version <= high:
            raise ExportError(
                f"TensorRT {table['tensorrt']} parses opsets {low} to {high}, not {entry.version}", hint="Add --opset 20."
            )
    tensors = _tensors(onnx.shape_inference.infer_shapes(model, data_prop=True).graph)
    for node in all_nodes(model.graph):
        reason = _refusal(node, tensors, table)
        if reason:
            made = next((f"made by the rewrite {one.value}" for one in node.metadata_props if one.key == REWRITE_KEY), "")
            raise ExportError(
                f"{node.op_type} {node.name or node.output[0]}, {made or 'of the network as it was written'}, is not for "
                f"TensorRT {table['tensorrt']}'s parser: {reason}",
                hint=f"{what_helps(node.op_type)}See which rewrites apply: edgesr plan MODEL --target tensorrt",
            )


@cache
def parser_table() -> dict[str, Any]:
    """The table: `opsets` (first, last), and `operators` with their `types` and `restrictions`."""
    table: dict[str, Any] = json.loads((resources.files("edgesr") / "assets" / _TABLE).read_text(encoding="utf-8"))
    return table


def _tensors(graph: onnx.GraphProto) -> _Tensors:
    values = [value for value in (*graph.value_info, *graph.input, *graph.output) if value.type.HasField("tensor_type")]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    axes = {value.name: len(value.type.tensor_type.shape.dim) for value in values if value.type.tensor_type.HasField("shape")}
    return _Tensors(
        types={**types, **{name: tensor.data_type for name, tensor in constants.items()}},
        axes={**axes, **{name: len(tensor.dims) for name, tensor in constants.items()}},
        constants=frozenset(constants) | {node.output[0] for node in graph.node if node.op_type == "Constant"},
    )


def _refusal(node: onnx.NodeProto, tensors: _Tensors, table: Mapping[str, Any]) -> str:
    """Why the parser does not take the node, or nothing."""
    if node.domain:
        return f"it is of {node.domain}, supported: ONNX's own operators"
    known = table["operators"].get(node.op_type)
    if known is None:
        return f"there is no such operator among the {len(table['operators'])} that it takes"
    if node.op_type in _LOOPS:
        return "loops and branches cost fusion; supported: what is written out"
    if "restrictions" in known and node.op_type not in _RESTRICTIONS:
        return f"edgesr does not check its restrictions: {known['restrictions']}"
    for place in _TYPED.get(node.op_type, ("input 0",)):
        kind, number = place.split()
        names = node.input if kind == "input" else node.output
        seen = tensors.types.get(names[int(number)], TensorProto.UNDEFINED)
        if _TYPES.get(seen) not in known["types"]:
            return f"its {place} is {_TYPES.get(seen, TensorProto.DataType.Name(seen))}, supported: {', '.join(known['types'])}"
    most = max((tensors.axes.get(name, 0) for name in (*node.input, *node.output)), default=0)
    if most > _MOST_AXES:
        return f"it has {most} axes, supported: {_MOST_AXES} at most"
    check = _RESTRICTIONS.get(node.op_type)
    return check(node, tensors) if check else ""


def _constant(*inputs: tuple[int, str]) -> Callable[[onnx.NodeProto, _Tensors], str]:
    """The check that these inputs (number and what they are), where there are any, are constants."""

    def check(node: onnx.NodeProto, tensors: _Tensors) -> str:
        for number, what in inputs:
            if len(node.input) > number and node.input[number] and node.input[number] not in tensors.constants:
                return f"its {what} must be constant, not computed from the picture or its size"
        return ""

    return check


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    found = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def _only_first_output(node: onnx.NodeProto, _: _Tensors) -> str:
    return "it has more than one output, supported: the first" if any(node.output[1:]) else ""


def _no_text(node: onnx.NodeProto, _: _Tensors) -> str:
    unsupported = {"sparse_value", "value_string", "value_strings"} & {attribute.name for attribute in node.attribute}
    return f"it has {', '.join(sorted(unsupported))}, supported: numbers" if unsupported else ""


def _no_reduction(node: onnx.NodeProto, _: _Tensors) -> str:
    reduction = _attributes(node).get("reduction", "none")
    return f"reduction is {reduction!r}, supported: 'none'" if reduction != "none" else ""


_RESIZE: Mapping[str, tuple[Any, tuple[Any, ...]]] = {
    "coordinate_transformation_mode": (
        "half_pixel",
        ("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners"),
    ),
    "mode": ("nearest", ("nearest", "linear")),
    "nearest_mode": ("round_prefer_floor", ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")),
    "keep_aspect_ratio_policy": ("stretch", ("stretch",)),
    "antialias": (0, (0,)),
}
"""Attribute -> its default and what is supported."""


def _resize(node: onnx.NodeProto, tensors: _Tensors) -> str:
    given = _attributes(node)
    for name, (default, supported) in _RESIZE.items():
        value = given.get(name, default)
        if value not in supported:
            return f"{name} is {value!r}, supported: {', '.join(map(repr, supported))}"
    axes = given.get("axes")
    if axes is not None and list(axes) != list(range(tensors.axes.get(node.input[0], -1))):
        return f"axes are {list(axes)}, supported: all in order"
    return ""


_RESTRICTIONS: Mapping[str, Callable[[onnx.NodeProto, _Tensors], str]] = {
    **{kind: _constant((1, "kernel"), (2, "bias")) for kind in sorted(CONVOLUTIONS)},
    "Constant": _no_text,
    "LayerNormalization": _only_first_output,
    "Pad": _constant((3, "axes")),
    **{f"Reduce{kind}": _constant((1, "axes")) for kind in ("L1", "L2", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")},
    "Resize": _resize,
    "ScatterND": _no_reduction,
    "Slice": _constant((3, "axes")),
    "Squeeze": _constant((1, "axes")),
    "Unsqueeze": _constant((1, "axes")),
}
"""The table's restrictions, and ours on convolutions: node, tensors -> the reason, or nothing."""
