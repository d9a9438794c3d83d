"""The way from a request to a verified artifact: reference, rewrites, ONNX, target, parity, manifest."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Literal

import onnx
import torch
from torch import nn

from edgesr.artifact import (
    RECORDED,
    Artifact,
    Manifest,
    RewriteInfo,
    TensorInfo,
    file_info,
    read_artifact,
    replaceable_files,
    write_manifest,
)
from edgesr.backends import require
from edgesr.errors import ExportError
from edgesr.export.half_precision_search import half_precision
from edgesr.export.onnx_graph import INPUT, OUTPUT, onnx_from_module
from edgesr.export.parity_inputs import noise_input, odd_size, parity_inputs
from edgesr.export.request import ExportRequest
from edgesr.export.rewrite import Applied, Step, apply_plan, plan, rewrites
from edgesr.export.verification import BUDGETS, artifact_edge, reference_outputs, write_recorded
from edgesr.files import staged_folder
from edgesr.parity import Budget, Edge, edge
from edgesr.progress import Progress, silent
from edgesr.reference import Reference, load_reference
from edgesr.tensors import FloatArray, Size, SizeRule

_REWRITTEN_BUDGET = Budget(relative_l2=1e-10, psnr_db=120)
"""Rewritten against reference, both in float64: an identity up to rounding, which deep networks amplify."""

_TOOLS = ("edgesr", "numpy", "onnx", "onnxruntime", "onnxscript", "onnxsim", "torch")


def export(request: ExportRequest, *, progress: Progress = silent) -> Artifact:
    """Export, measure parity against the untouched reference, and write the artifact folder.

    Raises UsageError, BackendMissingError, CheckpointError, ExportError, ParityError, or ArtifactError when the folder cannot be
    written; whatever is raised, an interrupt included, nothing is left behind and an earlier artifact in the folder stays.
    """
    target = request.target
    if target.package:
        require(target.package, extra=target.extra, what=f"target {request.target_name}")
    steps = plan(target.needs, without=request.without)
    progress("loading the reference")
    reference = load_reference(model=request.model, scale=request.scale, weights=request.weights)
    sizes = _sizes(request.size, reference)
    folder = request.folder or Path(f"{_stem(request, reference)}-{request.target_name}")

    with staged_folder(folder, replaceable=replaceable_files(folder)) as stage:
        unit = reference.unit_module()
        inputs = parity_inputs(sizes)
        outputs = reference_outputs(unit, inputs, progress)
        progress("rewriting")
        rewritten, applied = apply_plan(steps, unit)
        rewritten_edge = _rewritten_edge(unit, steps, noise_input(odd_size(_smallest(reference))))

        progress("converting to ONNX")
        functions = {step.name: step.rewrite.functions for step in steps}
        try:
            graph = onnx_from_module(rewritten, sizes, opset=request.opset_of_target, functions=functions)
        except ExportError as error:
            raise _without_hint(error, request) from error
        edges: list[Edge] = [rewritten_edge]
        islands: tuple[str, ...] = ()
        if request.precision == "fp16":
            half = half_precision(
                graph, inputs, outputs, psnr_db=_budget(request).psnr_db, half_io=request.half_io, progress=progress
            )
            graph, islands = half.graph, half.islands
            edges.append(half.edge)

        _describe(graph, request, reference, sizes)
        progress(f"writing for {target.title}")
        forms = target.lower(graph, stage, _stem(request, reference))
        write_recorded(stage / RECORDED, inputs, outputs)
        draft = replace(_manifest(request, reference, sizes, applied, forms[0]), islands=islands)
        for form in forms:
            artifact = Artifact(folder=stage, manifest=replace(draft, artifact=form.name))
            measured = artifact_edge(artifact, inputs, outputs, progress)
            draft.budget.check(measured)
            edges.append(measured if form == forms[0] else replace(measured, name=f"artifact as {form.suffix}"))
        files = tuple(file_info(path) for path in sorted(stage.iterdir()))
        write_manifest(stage, replace(draft, parity=tuple(edges), files=files))
    return read_artifact(folder)


def _describe(graph: onnx.ModelProto, request: ExportRequest, reference: Reference, sizes: SizeRule) -> None:
    """Write into the file's metadata what whoever has only the file must know: outside of its sizes it may run and be wrong."""
    taken = f"{sizes.fixed} only" if sizes.fixed else f"{sizes.minimum} to {sizes.maximum or 'any size'}"
    facts = {
        "model": reference.spec.name,
        "precision": request.precision,
        "input": f"RGB in [0,1], height x width: {taken}",
    }
    onnx.helper.set_model_props(graph, {f"edgesr.{key}": str(value) for key, value in facts.items()})


def _without_hint(error: ExportError, request: ExportRequest) -> ExportError:
    """The same error, with what speaks for a rewrite that was left out as its cause."""
    names = [name for name in request.without if request.size is None and rewrites()[name].serves & {"any_batch", "any_size"}]
    if not names:
        return error
    return ExportError(error.message, hint=f"Without {', '.join(names)} a size may be needed: --size 128x128.")


def _budget(request: ExportRequest) -> Budget:
    budget = BUDGETS[request.precision]
    return budget if request.budget_db is None else replace(budget, psnr_db=request.budget_db)


def _stem(request: ExportRequest, reference: Reference) -> str:
    """The artifact's name without target and suffix, as in `vapsr-s-x4-fp32` or `esc-x4-fp32-128x128-untrained`."""
    untrained = "untrained" if reference.weights.kind == "untrained" else None
    parts = (reference.spec.name, request.precision, request.size, untrained)
    return "-".join(str(part) for part in parts if part)


def _sizes(size: Size | None, reference: Reference) -> SizeRule:
    """The sizes to convert for; raises SizeError when the one asked for is below the network's minimum."""
    smallest = _smallest(reference)
    if size is None:
        limit = reference.spec.family.maximum_size
        return SizeRule(minimum=smallest, maximum=Size(height=limit, width=limit) if limit else None)
    SizeRule(minimum=smallest).check(size)
    return SizeRule(minimum=size, maximum=size)


def _smallest(reference: Reference) -> Size:
    side = reference.spec.minimum_size
    return Size(height=side, width=side)


def _rewritten_edge(unit: nn.Module, steps: Sequence[Step], inputs: dict[str, FloatArray]) -> Edge:
    """The network and its rewritten copy in float64; raises ParityError when the functions differ.

    The modules do not depend on the size to export for, so that a small one will do: float64 is slow.

    The rewrites run on the float64 network, for constants that they make of a float32 one would be rounded to float32.
    """
    ((name, image),) = inputs.items()
    x = torch.from_numpy(image).double()
    precise = copy.deepcopy(unit).double()
    rewritten, _ = apply_plan(steps, precise)
    with torch.inference_mode():
        expected, actual = precise(x).numpy(), rewritten(x).numpy()
    result = edge("rewritten", [(f"{name} in float64", expected, actual)])
    _REWRITTEN_BUDGET.check(result)
    return result


def _manifest(
    request: ExportRequest, reference: Reference, sizes: SizeRule, applied: tuple[Applied, ...], model_file: Path
) -> Manifest:
    """The manifest, still without parity and files."""
    spec, weights, scale = reference.spec, reference.weights, reference.spec.scale
    batch, height, width = (1, sizes.fixed.height, sizes.fixed.width) if sizes.fixed else ("N", "H", "W")
    dtype: Literal["float32", "float16"] = "float16" if request.half_io else "float32"
    larger = [scale * side if isinstance(side, int) else f"{scale}*{side}" for side in (height, width)]
    return Manifest(
        artifact=model_file.name,
        format=request.target.format,
        model=spec.variant or f"{spec.family_name}-custom",
        scale=scale,
        target=request.target_name,
        precision=request.precision,
        islands=(),
        budget=_budget(request),
        weights="untrained" if weights.sha256 is None else {"kind": weights.kind, "name": weights.name, "sha256": weights.sha256},
        sizes=sizes,
        reach=spec.reach,
        input=TensorInfo(name=INPUT, shape=(batch, 3, height, width), dtype=dtype),
        output=TensorInfo(name=OUTPUT, shape=(batch, 3, *larger), dtype=dtype),
        rewrites=tuple(RewriteInfo(name=step.name, matches=len(step.matches)) for step in applied if step.matches),
        parity=(),
        files=(),
        tools={name: metadata.version(name) for name in _TOOLS},
    )
