"""Opsets 17 to 19 for runtimes that know no later one. PyTorch's exporter begins at 18, hand-written functions at 20."""

import math

import numpy as np
import onnx_ir as ir

EXPORTED = 18
"""The lowest opset that PyTorch's exporter writes."""

GELU = 20
"""The first opset with Gelu."""

_REDUCTIONS = frozenset({"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum"})


def expand_gelu(model: ir.Model) -> None:
    """Say every Gelu, an operator of opset 20, by older ones, in place: gelu(x) = x/2·(1 + erf(x/√2))."""
    for graph in (model.graph, *model.graph.subgraphs()):
        for node in [each for each in graph if each.op_type == "Gelu" and not each.domain]:
            _expand_one(graph, node)


def _expand_one(graph: ir.Graph, gelu: ir.Node) -> None:
    tape = ir.tape.Tape()
    root, one, half = (tape.op("Constant", [], {"value": ir.tensor(np.float32(x))}) for x in (math.sqrt(2), 1, 0.5))
    x = gelu.inputs[0]
    doubled = tape.op("Mul", [x, tape.op("Add", [tape.op("Erf", [tape.op("Div", [x, root])]), one])])
    y = tape.op("Mul", [doubled, half])
    for node in tape.nodes:
        node.metadata_props.update(gelu.metadata_props)
    ir.convenience.replace_nodes_and_values(graph, gelu, [gelu], tape.nodes, gelu.outputs, [y])


def lower_to_17(model: ir.Model) -> None:
    """Turn a graph of opset 18 into one of opset 17, in place; the operators that the networks use differ in three points.

    Split says its number of parts by its outputs alone, reductions take their axes as an attribute, and Resize always stretches.
    Raises ValueError for axes that are no constant, and for a Resize that does something else.
    """
    for node in model.graph.all_nodes():
        if node.domain:
            continue
        if node.op_type == "Split":
            node.attributes.pop("num_outputs", None)
        elif node.op_type == "Resize":
            for attribute in (node.attributes.pop(name, None) for name in ("antialias", "axes", "keep_aspect_ratio_policy")):
                if attribute is not None and attribute.value not in (0, "stretch"):
                    raise ValueError(f"{node.name} has {attribute.name} {attribute.value}, which opset 17 lacks")
        elif node.op_type in _REDUCTIONS and len(node.inputs) > 1:
            axes = node.inputs[1]
            if axes is not None:
                constant = ir.convenience.get_const_tensor(axes)
                if constant is None:
                    raise ValueError(f"the axes of {node.name} are no constant")
                node.attributes["axes"] = ir.AttrInt64s("axes", [int(axis) for axis in constant.numpy().flatten()])
            node.resize_inputs(1)
            node.attributes.pop("noop_with_empty_axes", None)
        node.version = None
    for graph in (model.graph, *model.graph.subgraphs()):
        graph.opset_imports[""] = 17
