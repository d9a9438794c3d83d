"""From a module to an ONNX graph: exported, simplified, each node stamped with the rewrite that made it."""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
import onnxscript.optimizer
import onnxsim
import torch
from torch import nn
from torch.export import ExportedProgram

from edgesr.errors import ExportError
from edgesr.export.onnx_functions import inline
from edgesr.export.opset import EXPORTED, GELU, expand_gelu, lower_to_17
from edgesr.tensors import Size, SizeRule

INPUT, OUTPUT = "input", "output"
REWRITE_KEY = "edgesr.rewrite"
"""Under this key a node's metadata names the rewrite whose replacement module made it."""

_Shapes = tuple[dict[int, torch.export.Dim]] | None

_OUR_MODULE = re.compile(r"edgesr\.(export\.rewrites|models)\.(\w+)\.")
_READ_ELEMENTS, _FOLDED_ELEMENTS = 32768, 8192
"""Constants of up to the one are folded, but not into larger ones than the other (rearranged weights, which take the place of
what they are made from, excepted): a table that follows from few numbers stays out of the file.
"""

# onnxscript's optimizer would also try its patterns on every node, which takes seconds and finds nothing that onnxsim does not.
_TIDY = ir.passes.Sequential(
    passes.RemoveUnusedNodesPass(),
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
    passes.LiftSubgraphInitializersToMainGraphPass(),
    passes.DeduplicateInitializersPass(),
    passes.CommonSubexpressionEliminationPass(),
    passes.IdentityEliminationPass(),
    passes.OutputFixPass(),
    passes.NameFixPass(),
)


def onnx_from_module(
    module: nn.Module,
    sizes: SizeRule,
    *,
    opset: int,
    functions: Mapping[str, Sequence[str]] | None = None,
    any_batch: bool | None = None,
) -> onnx.ModelProto:
    """Export `module`, x (N,3,H,W) -> (N,3,sH,sW), for the sizes that `sizes` allows.

    any_batch: whether N is known at run time only, or is 1; by default it is 1 where the size is fixed, and only there.
    functions: rewrite name -> texts of the ONNX functions that its modules call.
    The graph depends on the module and the versions of the tools alone: it holds no path, time or machine.
    Raises ExportError when PyTorch's exporter cannot convert the network for these sizes.
    """
    fixed = sizes.fixed
    example = fixed or Size(height=max(sizes.minimum.height, 40), width=max(sizes.minimum.width, 56))
    batched = not fixed if any_batch is None else any_batch
    x = torch.zeros(2 if batched else 1, 3, example.height, example.width)
    try:
        with _quiet_tools():
            shapes = (_symbols(sizes, any_batch=batched),) if batched or not fixed else None
            converted = _converted(_traced(module, x, shapes), shapes, max(opset, EXPORTED))
    except Exception as error:  # the exporter raises whatever its tracing met; the cause is chained
        kind = f"for {fixed}" if fixed else "with dynamic sizes"
        raise ExportError(
            f"PyTorch's exporter cannot convert this network {kind}: {_first_line(error)}",
            hint="Try a static size: --size 128x128." if not fixed else "See `edgesr models` for what converts today.",
        ) from error
    inline(converted.model, functions or {}, opset=max(opset, EXPORTED), stamp=REWRITE_KEY)
    return _simplified(converted, opset)


def _traced(module: nn.Module, x: torch.Tensor, shapes: _Shapes) -> ExportedProgram:
    """What the module computes for inputs like x, operator by operator."""
    # Without this setting, which torch.onnx.export makes too, a size that is not 1 in the example would be guarded not to be 1.
    with torch.no_grad(), torch.fx.experimental._config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]  # untyped
        return torch.export.export(module, (x,), dynamic_shapes=shapes, strict=False)


def _converted(program: ExportedProgram, shapes: _Shapes, opset: int) -> torch.onnx.ONNXProgram:
    """The same in ONNX's operators.

    The exporter would trace the program once more first, to decompose operators that it cannot translate; that takes longer than
    all else, and the rewrites' modules have none. It is done for those that have.
    """
    decompose = program.run_decompositions
    program.run_decompositions = lambda *_, **__: program  # the exporter has no switch for it
    try:
        return _onnx_program(program, shapes, opset)
    except torch.onnx.OnnxExporterError:
        program.run_decompositions = decompose
        return _onnx_program(program, shapes, opset)


def _onnx_program(program: ExportedProgram, shapes: _Shapes, opset: int) -> torch.onnx.ONNXProgram:
    converted = torch.onnx.export(
        program,
        dynamic_shapes=shapes,  # for their names
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=opset,
        custom_translation_table={torch.ops.aten.to.dtype: _cast},
        optimize=False,
        verbose=False,
    )
    if converted is None:
        raise ExportError("PyTorch's exporter returned no program")
    return converted


def _cast(x: Any, dtype: int, *_: object) -> Any:
    """`x.to(dtype)`, which the exporter translates only when it has been decomposed."""
    return onnxscript.opset18.Cast(x, to=dtype)


def _symbols(sizes: SizeRule, *, any_batch: bool) -> dict[int, torch.export.Dim]:
    low, high = sizes.minimum, sizes.maximum
    batch = {0: torch.export.Dim("N", min=1)} if any_batch else {}
    if sizes.fixed:
        return batch
    return {
        **batch,
        2: torch.export.Dim("H", min=low.height, max=high.height if high else None),
        3: torch.export.Dim("W", min=low.width, max=high.width if high else None),
    }


@contextlib.contextmanager
def _quiet_tools() -> Iterator[None]:
    """Keep the tools' notes (missing torchvision, nodes that were not folded) away from the user, errors excepted."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _simplified(program: torch.onnx.ONNXProgram, opset: int) -> onnx.ModelProto:
    """Simplify, lower, check, and reduce the metadata to our stamps (onnxsim drops all of it; the exporter's holds paths)."""
    with _quiet_tools():
        onnxscript.optimizer.fold_constants(program.model, input_size_limit=_READ_ELEMENTS, output_size_limit=_FOLDED_ELEMENTS)
        if opset < GELU:
            expand_gelu(program.model)
        if opset < EXPORTED:
            lower_to_17(program.model)
        _TIDY(program.model)
    model = program.model_proto
    stamps = {output: name for node in all_nodes(model.graph) if (name := _rewrite_of(node)) for output in node.output}
    # onnxsim would fold tables of any size, so folding is left to the step before.
    simplified: onnx.ModelProto
    simplified, sound = onnxsim.simplify(model, skip_constant_folding=True)
    if not sound:
        raise ExportError("the simplified graph differs from the exported one", hint="Please report the model and its size.")
    _keep_only_stamps(simplified, stamps)
    onnx.checker.check_model(simplified, full_check=True)
    return simplified


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The graph's nodes and those of the subgraphs in them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from all_nodes(attribute.g)


def _rewrite_of(node: onnx.NodeProto) -> str | None:
    """The rewrite whose module the node was traced in, which the exporter's `namespace` tells."""
    for entry in node.metadata_props:
        if entry.key == REWRITE_KEY:
            return entry.value
        if entry.key == "namespace" and (modules := _OUR_MODULE.findall(entry.value)):
            folder, module = modules[-1]  # the innermost: a replacement may hold others, and modules that stayed as they were
            return None if folder == "models" else str(module).replace("_", "-")
    return None


def _keep_only_stamps(model: onnx.ModelProto, stamps: Mapping[str, str]) -> None:
    graph = model.graph
    nodes = list(all_nodes(graph))
    for item in (model, graph, *nodes, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    for node in nodes:
        name = next((stamps[output] for output in node.output if output in stamps), None)
        if name:
            node.metadata_props.add(key=REWRITE_KEY, value=name)
    model.producer_name, model.producer_version = "edgesr", ""


def _first_line(error: BaseException) -> str:
    """The exporter wraps the cause in pages; its last cause's first line says most."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
