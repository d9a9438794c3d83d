"""What a manifest says before anything is made: what was asked for, of what, and which rewrites did it."""

from dataclasses import replace
from importlib import metadata
from typing import Any

from edgesr.export.onnx_graph import INPUT, OUTPUT
from edgesr.export.request import ExportRequest
from edgesr.export.rewrite import Applied
from edgesr.export.verification import BUDGETS
from edgesr.manifest import Manifest, RewriteInfo, TensorInfo
from edgesr.parity import Budget
from edgesr.reference import Reference
from edgesr.tensors import SizeRule

_TOOLS = ("edgesr", "numpy", "onnx", "onnxruntime", "onnxscript", "onnxsim", "torch")


def draft_manifest(request: ExportRequest, reference: Reference, sizes: SizeRule, applied: tuple[Applied, ...]) -> Manifest:
    """The manifest, still without the artifact's name, parity and files."""
    spec, weights, scale = reference.spec, reference.weights, reference.spec.scale
    height, width = (sizes.fixed.height, sizes.fixed.width) if sizes.fixed else ("H", "W")
    batch = "N" if not request.target.rounds and any_batch(sizes, request) else 1
    wide, high = (scale * side if isinstance(side, int) else f"{scale}*{side}" for side in (width, height))
    kind: dict[str, Any] = {"dtype": "float16"} if request.half_io else {}
    if request.pictures:
        kind = {"dtype": "uint8", "range": (0.0, 255.0)}
    if request.colours_last:
        kind["layout"] = "NHWC"
    return Manifest(
        artifact="",
        format=request.target.format,
        model=spec.variant or f"{spec.family_name}-custom",
        scale=scale,
        target=request.target_name,
        precision=request.precision_of_target,
        options=request.options_of_target,
        islands=(),
        budget=_budget(request, reference),
        weights="untrained" if weights.sha256 is None else {"kind": weights.kind, "name": weights.name, "sha256": weights.sha256},
        sizes=sizes,
        reach=spec.reach,
        input=TensorInfo(name=INPUT, shape=_shape(batch, height, width, request), **kind),
        output=TensorInfo(name=OUTPUT, shape=_shape(batch, high, wide, request), **kind),
        rewrites=tuple(RewriteInfo(name=step.name, matches=len(step.matches)) for step in applied if step.matches),
        parity=(),
        files=(),
        tools={name: metadata.version(name) for name in sorted({*_TOOLS, request.target.package} - {""})},
        profiles=request.profiles,
    )


def _budget(request: ExportRequest, reference: Reference) -> Budget:
    """Of the precision, and as asked for. Seeded weights make numbers far beyond a picture's, which few bits miss by levels."""
    precision = request.precision_of_target
    budget = request.target.budgets.get(precision) or BUDGETS[precision]
    if reference.weights.kind == "untrained":
        budget = replace(budget, beyond_level=None)
    return budget if request.budget_db is None else replace(budget, psnr_db=request.budget_db, beyond_level=None)


def any_batch(rule: SizeRule, request: ExportRequest) -> bool:
    """Whether a graph for these sizes takes any number of pictures."""
    return request.batch > 1 if request.target.profiles else not rule.fixed


def _shape(batch: int | str, height: int | str, width: int | str, request: ExportRequest) -> tuple[int | str, ...]:
    return (batch, height, width, 3) if request.colours_last else (batch, 3, height, width)
