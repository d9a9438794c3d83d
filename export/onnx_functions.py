"""Parts of a network that are written in ONNX by hand: functions that a rewrite's modules call while they are exported.

A rewrite uses one where PyTorch's exporter has no way to say what ONNX can (a Scan over windows, an operator of a runtime) or
where its guards on unknown sizes would refuse a shape that is right. A module then computes in PyTorch when it runs, and calls
the function when it is exported:

    if exporting():
        return call("WindowAttention", (query, key, value), {"heads": 4}, like=query, shape=query.shape)

The function's text stands in the same file, in ONNX's textual syntax and without a header:

    WindowAttention <heads: int> (query, key, value) => (y) { … }
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgesr.errors import ExportError

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch
    from torch import Tensor

DOMAIN = "edgesr"
CONTRIB = "com.microsoft"

Attributes = Mapping[str, "int | float | str | Sequence[int] | Sequence[float]"]


def exporting() -> bool:
    """Whether PyTorch's exporter traces, rather than that the network runs."""
    import torch

    return torch.compiler.is_exporting()


def call(
    name: str,
    inputs: "Sequence[Tensor]",
    attributes: Attributes | None = None,
    *,
    like: "Tensor",
    shape: "Sequence[int | torch.SymInt]",
) -> "Tensor":
    """A call of the function `name` in the exported graph, whose one output has the type of `like` and the given shape."""
    import torch

    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::{name}", list(inputs), dict(attributes or {}), dtype=like.dtype, shape=list(shape), version=1
    )


def sizes(x: "Tensor") -> "list[Tensor]":
    """N, H and W of x (N,H,W,C), which PyTorch's exporter takes from the network's input, so that all blocks share them."""
    import torch

    return [torch.scalar_tensor(side, dtype=torch.int64) for side in x.shape[:3]]


def inline(model: "ir.Model", functions: Mapping[str, Sequence[str]], *, opset: int, stamp: str) -> None:
    """Replace every call in `model` by the nodes of its function.

    functions: rewrite name -> texts of functions; their nodes get the rewrite's name under the metadata key `stamp`.
    Raises ExportError for a text that is no function.
    """
    import onnx
    import onnx_ir as ir
    from onnx_ir.passes.common import InlinePass

    header = f'<domain: "{DOMAIN}", opset_import: ["" : {opset}, "{CONTRIB}" : 1]>\n'
    for rewrite, texts in functions.items():
        for text in texts:
            try:
                function = ir.serde.deserialize_function(onnx.parser.parse_function(header + text))
            except onnx.parser.ParseError as error:
                raise ExportError(f"rewrite {rewrite} has a malformed ONNX function: {error}") from error
            for node in function.all_nodes():
                node.metadata_props[stamp] = rewrite
                node.name = f"{function.name}.{node.outputs[0].name}"  # without one, the search for a free name is quadratic
            model.functions[function.identifier()] = function
    model.opset_imports.setdefault(CONTRIB, 1)
    InlinePass()(model)
    left = {node.op_type for node in model.graph.all_nodes() if node.domain == DOMAIN}
    if left:
        raise ExportError(f"the network calls ONNX functions that no rewrite has: {', '.join(sorted(left))}")
    model.functions.clear()
    for domain in set(model.opset_imports) - {node.domain for node in model.graph.all_nodes()} - {""}:
        del model.opset_imports[domain]
