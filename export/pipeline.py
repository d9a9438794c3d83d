"""The way from a request to a verified artifact: reference, rewrites, ONNX, target, parity, manifest."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from torch import nn

from edgesr.artifact import Artifact, files_in, read_artifact, replaceable_files, write_manifest
from edgesr.backends import require
from edgesr.errors import ExportError, UsageError
from edgesr.export.draft import any_batch, draft_manifest
from edgesr.export.half_precision_search import HalfGraph, half_precision
from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.parity_inputs import as_pictures, noise_input, odd_size, parity_inputs
from edgesr.export.request import ExportRequest
from edgesr.export.rewrite import Applied, Step, apply_plan, plan
from edgesr.export.target import Conversion
from edgesr.export.verification import artifact_edge, edge_elsewhere, graph_edge, reference_outputs
from edgesr.files import staged_folder
from edgesr.manifest import Manifest, TensorInfo
from edgesr.pages import keep_pages
from edgesr.parity import PICTURE, Budget, Edge, edge
from edgesr.progress import Progress, silent
from edgesr.recorded import RECORDED, Pictures, write_recorded
from edgesr.reference import Reference, load_reference
from edgesr.tensors import FloatArray, Precision, Size, SizeRule, one_of

_REWRITTEN_BUDGET = Budget(relative_l2=1e-10, psnr_db=120)
"""Rewritten against reference, both in float64: an identity up to rounding, which deep networks amplify."""


@dataclass(frozen=True, kw_only=True)
class _Network:
    """What is exported: the reference, and its rewritten copy with what each step did."""

    request: ExportRequest
    reference: Reference
    steps: tuple[Step, ...]
    rewritten: nn.Module
    applied: tuple[Applied, ...]


def export(request: ExportRequest, *, progress: Progress = silent) -> Artifact:
    """Export, measure parity against the untouched reference, and write the artifact folder.

    Raises UsageError, BackendMissingError, CheckpointError, ExportError, ParityError, or ArtifactError when the folder cannot be
    written; whatever is raised, an interrupt included, nothing is left behind and an earlier artifact in the folder stays.
    """
    keep_pages()
    target = request.target
    if target.package:
        require(target.package, extra=target.extra, what=f"target {request.target_name}")
    steps = plan(target.needs, without=request.without)
    progress("loading the reference")
    reference = load_reference(model=request.model, scale=request.scale, weights=request.weights)
    sizes = _sizes(request.sizes_of_target, reference, one_graph=target.profiles)
    folder = request.folder or Path(f"{_stem(request, reference)}-{request.target_name}")

    with staged_folder(folder, replaceable=replaceable_files(folder)) as stage:
        unit = reference.unit_module()
        progress("rewriting")
        rewritten, applied = apply_plan(steps, unit)
        _check_one_graph(_rules(sizes, request)[0], steps, applied, request)
        inputs = _inputs(sizes, request)
        outputs = reference_outputs(unit, inputs, progress)
        rewritten_edge = _rewritten_edge(unit, steps, noise_input(odd_size(_smallest(reference))))
        network = _Network(request=request, reference=reference, steps=steps, rewritten=rewritten, applied=applied)
        proof = _proof(network, one_of((request.proof,)), progress) if request.proof else ()
        manifest = _made(network, sizes, inputs, outputs, stage, progress, run=not request.proof)
        write_recorded(stage / RECORDED, inputs, outputs)
        parity = (rewritten_edge, *manifest.parity, *proof)
        write_manifest(stage, replace(manifest, parity=parity, files=files_in(stage)))
    return read_artifact(folder)


def _inputs(sizes: SizeRule, request: ExportRequest) -> Pictures:
    """What the artifact is compared with the reference on: the picture alone where a run takes long."""
    inputs = parity_inputs(sizes, largest=request.sizes is not None, profiles=request.profiles)
    if request.target.proof:
        inputs = {name: image for name, image in inputs.items() if name.startswith(PICTURE)}
    return as_pictures(inputs) if request.pictures else inputs


def _proof(network: _Network, sizes: SizeRule, progress: Progress) -> tuple[Edge, ...]:
    """The same network made for a small size, which is run in place of the artifact and thrown away."""
    inputs = _inputs(sizes, network.request)
    outputs = reference_outputs(network.reference.unit_module(), inputs, progress)
    with TemporaryDirectory() as folder:
        made = _made(network, sizes, inputs, outputs, Path(folder), progress, run=True)
    return tuple(replace(each, name=f"{each.name} for {sizes.fixed}") for each in made.parity)


def _made(
    network: _Network,
    sizes: SizeRule,
    inputs: Pictures,
    outputs: Pictures,
    folder: Path,
    progress: Progress,
    *,
    run: bool,
) -> Manifest:
    """Write the target's files for the sizes; the manifest, with what was measured after rewriting, without the files.

    run: whether the files are run. The graph that was compiled into them is in any case, in float32, where there is one.
    """
    request, reference = network.request, network.reference
    target, edges = request.target, []
    graphs = _graphs(network.rewritten, network.steps, _rules(sizes, request), _sizes(None, reference), request, progress)
    draft = draft_manifest(request, reference, sizes, network.applied)
    if draft.precision == "fp16" and not target.rounds:
        graphs, half = _halved(graphs, inputs, outputs, request, draft.budget.psnr_db, progress)
        draft = replace(draft, islands=half.islands)
        edges.append(half.edge)

    progress(f"writing for {target.title}")
    forms = target.lower(replace(_conversion(graphs, folder, draft, reference, request), progress=progress))
    draft = replace(draft, compiled=tuple(form.compiled for form in forms if form.compiled))
    artifacts = [Artifact(folder=folder, manifest=replace(draft, artifact=form.path.name)) for form in forms]
    if target.proof:
        edges.append(graph_edge(artifacts[0], inputs, outputs, progress))
    finest: Precision = draft.precision if len(target.precisions) > 1 else "fp32"  # beyond which there is nothing to ask for
    for form, artifact in zip(forms, artifacts, strict=True) if run else ():
        measured = artifact_edge(artifact, inputs, outputs, progress)
        draft.budget.check(measured, precision=finest)
        if elsewhere := edge_elsewhere(artifact, inputs, outputs, progress):
            draft.budget.check(elsewhere, precision=finest)
            edges.append(elsewhere)
        edges.append(measured if form == forms[0] else replace(measured, name=f"artifact as {form.path.suffix}"))
    return replace(draft, artifact=forms[0].path.name, parity=tuple(edges))


def _rules(sizes: SizeRule, request: ExportRequest) -> list[SizeRule]:
    """What each graph is to take: all sizes, unless each is to have its own."""
    own = request.options_of_target.get("shapes") == "functions"
    return [one_of((size,)) for size in sizes.choices] if own and sizes.choices else [sizes]


def _graphs(
    rewritten: nn.Module,
    steps: Sequence[Step],
    rules: Sequence[SizeRule],
    widest: SizeRule,
    request: ExportRequest,
    progress: Progress,
) -> dict[SizeRule, onnx.ModelProto]:
    """Rule -> the network in ONNX. A graph for more than one size is made for all of the network's: `widest`."""
    functions = {step.name: step.rewrite.functions for step in steps}
    graphs = {}
    for done, rule in enumerate(rules):
        progress("converting to ONNX", done, len(rules))
        sizes = rule if rule.fixed else widest
        try:
            graphs[rule] = onnx_from_module(
                rewritten, sizes, opset=request.opset_of_target, functions=functions, any_batch=any_batch(rule, request)
            )
        except ExportError as error:
            raise _with_hint(error, request) from error
    return graphs


def _halved(
    graphs: dict[SizeRule, onnx.ModelProto],
    inputs: Pictures,
    outputs: Pictures,
    request: ExportRequest,
    psnr_db: float,
    progress: Progress,
) -> tuple[dict[SizeRule, onnx.ModelProto], HalfGraph]:
    """The only graph in half precision, and what stayed in float32."""
    ((rule, graph),) = graphs.items()
    half = half_precision(graph, inputs, outputs, psnr_db=psnr_db, half_io=request.half_io, progress=progress)
    return {rule: half.graph}, half


def _conversion(
    graphs: dict[SizeRule, onnx.ModelProto], folder: Path, draft: Manifest, reference: Reference, request: ExportRequest
) -> Conversion:
    """What the target gets, with what whoever has only the file must know: outside of its sizes it may run and be wrong."""
    family, sizes = reference.spec.family, draft.sizes
    taken = sizes.description if sizes.choices or not sizes.fixed else f"{sizes.fixed} only"
    facts = {
        "model": reference.spec.name,
        "precision": draft.precision,
        "input": f"{_pixels(draft.input)}, height x width: {taken}",
    }
    for graph in graphs.values():
        onnx.helper.set_model_props(graph, {f"edgesr.{key}": value for key, value in facts.items()})
    return Conversion(
        graphs=graphs,
        folder=folder,
        stem=_stem(request, reference),
        precision=draft.precision,
        options=draft.options,
        facts={
            **facts,
            "title": family.title,
            "scale": str(draft.scale),
            "paper": family.paper,
            "licence": family.licence,
            "weights": "untrained" if draft.weights == "untrained" else f"{draft.weights['name']} ({draft.weights['kind']})",
            "version": draft.tools["edgesr"],
            "manifest": draft.identity,
        },
    )


def _pixels(taken: TensorInfo) -> str:
    """As in `RGB in [0,1]`."""
    numbers = "RGB, whole numbers from 0 to 255" if taken.is_picture else "RGB in [0,1]"
    return numbers + ", the colours of a pixel side by side" * (taken.layout == "NHWC")


def _check_one_graph(rule: SizeRule, steps: Sequence[Step], applied: Sequence[Applied], request: ExportRequest) -> None:
    """Raise UsageError where one graph is to take several sizes and a rewrite wrote its own for one."""
    written_out = {step.name for step in steps if step.rewrite.one_size}
    found = [each.name for each in applied if each.matches and each.name in written_out]
    if not rule.fixed and found:
        several = rule.description.replace(", ", ",") if rule.choices else "64x64,128x128"
        raise UsageError(
            f"{request.model}'s windows or transforms are written out for a size ({found[0]}): one function for "
            f"{request.target.title} takes one, not {rule.description}",
            hint=f"Name one size, or give each a function of its own: --size {several} --shapes functions --deployment ios18.",
        )


def _with_hint(error: ExportError, request: ExportRequest) -> ExportError:
    """The same error, with what speaks for a rewrite that was left out as its cause."""
    if request.sizes is not None or not request.without:
        return error
    return ExportError(error.message, hint=f"Without {', '.join(request.without)} a size may be needed: --size 128x128.")


def _stem(request: ExportRequest, reference: Reference) -> str:
    """The artifact's name without target and suffix, as in `vapsr-s-x4-fp32` or `esc-x4-fp32-128x128-untrained`."""
    untrained = "untrained" if reference.weights.kind == "untrained" else None
    sizes = request.sizes_of_target.description.replace(", ", "_").replace(" ", "-") if request.sizes_of_target else None
    batch = f"n{request.batch}" if request.batch > 1 else None
    parts = (reference.spec.name, request.precision_of_target, sizes, batch, untrained)
    return "-".join(str(part) for part in parts if part)


def _sizes(asked: SizeRule | None, reference: Reference, *, one_graph: bool = False) -> SizeRule:
    """The sizes to convert for; raises SizeError when one asked for is outside of what the network takes as one graph.

    one_graph: whether several sizes share one.
    """
    smallest, limit = _smallest(reference), reference.spec.family.maximum_size
    largest = Size(height=limit, width=limit) if limit else None
    if asked is None:
        return SizeRule(minimum=smallest, maximum=largest)
    SizeRule(minimum=smallest).check(asked.minimum)
    if asked.maximum and (asked.is_range or (one_graph and asked.choices)):
        SizeRule(minimum=smallest, maximum=largest).check(asked.maximum)
    return asked


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
