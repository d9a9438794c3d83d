"""Opset 17 for runtimes that know no later one. PyTorch's exporter begins at 18."""

import onnx_ir as ir

EXPORTED = 18
"""The lowest opset that PyTorch's exporter writes."""

_REDUCTIONS = frozenset({"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum"})


def lower_to_17(model: ir.Model) -> None:
    """Turn a graph of opset 18 into one of opset 17, in place; the operators that the networks use differ in two points.

    Split says its number of parts by its outputs alone, and reductions take their axes as an attribute.
    Raises ValueError for axes that are no constant.
    """
    for node in model.graph.all_nodes():
        if node.domain:
            continue
        if node.op_type == "Split":
            node.attributes.pop("num_outputs", None)
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
