"""What multiplies the picture and follows from constants alone, as constants of the graph: kernels, biases, matrices.

A network may average its kernel over symmetries, or make the matrices of a Fourier transform from the map's size. Left as
operators, which keeps files of other targets small and costs nothing where the runtime computes them when it loads, such a kernel
looks like one that is made at run time. What is only added, such as ESC's position biases, fills a file when it is written out,
and may stay as operators.
"""

from collections.abc import Iterator

import onnx
import onnx_ir as ir
import onnxscript.optimizer
from onnx_ir.passes.common import RemoveUnusedNodesPass

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_MULTIPLYING = CONVOLUTIONS | {"Gemm", "MatMul"}
_SMALL = 1024
"""Constants of up to so many numbers are computed too, whatever they are for: ends of cuts, shapes."""
_ANY = 2**31


def with_constant_factors(model: onnx.ModelProto, *, tables: bool = False) -> onnx.ModelProto:
    """The graph in which whatever convolutions and products take is a constant where it follows from constants.

    tables: whether all else that follows from constants is written out too.
    """
    made = ir.serde.deserialize_model(model)
    factors = set(_making_factors(made.graph))

    def wanted(node: ir.Node) -> bool:
        return tables or node in factors or all(value is None or _is_small(value) for value in node.inputs)

    onnxscript.optimizer.fold_constants(made, input_size_limit=0, output_size_limit=_ANY, should_fold=wanted)
    RemoveUnusedNodesPass()(made)
    for value in made.graph.initializers.values():
        value.metadata_props.clear()  # what a constant was made of
    return ir.serde.serialize_model(made)


def _is_small(value: ir.Value) -> bool:
    return value.const_value is not None and value.const_value.size <= _SMALL


def _making_factors(graph: ir.Graph) -> Iterator[ir.Node]:
    """The nodes that factors of constants are made by."""
    constant: set[ir.Value | None] = {None, *graph.initializers.values()}
    factors: list[ir.Value] = []
    for node in graph:
        if node.op_type in _MULTIPLYING:
            factors.extend(value for value in node.inputs if value in constant and value is not None)
        if all(value in constant for value in node.inputs):
            constant.update(node.outputs)
    seen = set()
    while factors:
        maker = factors.pop().producer()
        if maker is not None and maker not in seen:
            seen.add(maker)
            yield maker
            factors.extend(value for value in maker.inputs if value is not None)
