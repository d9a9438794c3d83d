"""Measuring an artifact against the reference: at export, and again from its files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgesr.artifact import Artifact, read_artifact
from edgesr.errors import ArtifactError, BackendMissingError, CheckpointError, ParityError
from edgesr.export.target import targets
from edgesr.manifest import Manifest
from edgesr.parity import Budget, Edge, edge
from edgesr.progress import Progress, silent
from edgesr.recorded import RECORDED, Pictures, read_recorded
from edgesr.runtime import Options
from edgesr.runtimes import open_artifact, runtimes
from edgesr.runtimes.pytorch import reference_of
from edgesr.tensors import Precision

if TYPE_CHECKING:
    from torch import nn

BUDGETS: Mapping[Precision, Budget] = {
    "fp32": Budget(relative_l2=1e-4, psnr_db=50),
    "fp16": Budget(relative_l2=2e-2, psnr_db=50),
}
"""What an artifact of a precision must keep to unless another PSNR is asked for, against the reference in float32."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """An artifact measured again: `against` says whether the recorded outputs or a freshly built reference was compared with."""

    artifact: Artifact
    edge: Edge
    against: str


def verify(
    folder: Path,
    *,
    weights: str | None = None,
    runtime: str | None = None,
    device: str | None = None,
    progress: Progress = silent,
) -> Verification:
    """Check the hashes of an artifact's files, run it again, in its target's runtime or another, on the runtime's usual device or
    another, and compare with the reference. On `cpu`, of a target that compiles a graph (`Target.proof`), it is that graph.

    Compared with the reference's outputs that the export recorded, or, with `weights` (a file, or the name of fetched official
    weights), with the reference built anew from them. Raises ArtifactError, CheckpointError or ParityError.
    """
    artifact = read_artifact(folder)
    progress("checking the files")
    artifact.check_files()
    inputs, outputs = read_recorded(folder / RECORDED)
    against = "the reference's outputs recorded at export"
    if weights is not None:
        progress("loading the reference")
        reference = reference_of(artifact.manifest, weights=weights)
        outputs = reference_outputs(reference.unit_module(), inputs, progress)
        against = f"the reference built from {Path(weights).name}"
    own = _own_runtime(artifact.manifest)
    try:
        if device == "cpu" and runtime in (None, own) and targets()[artifact.manifest.target].proof:
            measured = graph_edge(artifact, inputs, outputs, progress)
        else:
            measured = artifact_edge(artifact, inputs, outputs, progress, runtime=runtime, device=device)
            budget_of(artifact.manifest, runtime or own).check(measured)
    except ParityError as error:
        raise ParityError(error.message, hint="Do not use this artifact. Export the model again.") from error
    return Verification(artifact=artifact, edge=measured, against=against)


def artifact_edge(
    artifact: Artifact,
    inputs: Pictures,
    outputs: Pictures,
    progress: Progress = silent,
    *,
    runtime: str | None = None,
    device: str | None = None,
) -> Edge:
    """Run the artifact's files through its target's runtime, or another, and compare with the reference's `outputs`."""
    session = open_artifact(artifact, runtime=runtime or _own_runtime(artifact.manifest), options=Options(device=device))
    pairs = []
    for done, (name, image) in enumerate(inputs.items()):
        progress("comparing the artifact with the reference", done, len(inputs))
        expected = outputs[name].clip(0, 1) if artifact.manifest.output.is_picture else outputs[name]
        pairs.append((name, expected, session.run(image)))
    return edge("artifact", pairs)


def edge_elsewhere(artifact: Artifact, inputs: Pictures, outputs: Pictures, progress: Progress = silent) -> Edge | None:
    """The same on the other device that the target names; None where it has none, or where the runtime cannot run it there."""
    device = targets()[artifact.manifest.target].also_on
    if not device:
        return None
    try:
        measured = artifact_edge(artifact, inputs, outputs, progress, device=device)
    except (BackendMissingError, ArtifactError, MemoryError) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        progress(f"not compared on {device}: {why}")
        return None
    return replace(measured, name=f"artifact on {device}")


def budget_of(manifest: Manifest, runtime: str) -> Budget:
    """What an artifact must keep to in a runtime: what it was exported with, and what whole numbers cost where they come out."""
    return manifest.budget.of_levels if manifest.output.is_picture and runtimes()[runtime].whole_numbers else manifest.budget


def _own_runtime(manifest: Manifest) -> str:
    """The runtime that its target is verified in."""
    return targets()[manifest.target].runtime


def graph_edge(artifact: Artifact, inputs: Pictures, outputs: Pictures, progress: Progress = silent) -> Edge:
    """Run what was compiled into the artifact in float32 on the processor, and compare with the reference's `outputs`.

    Raises ParityError where it is not the reference's function.
    """
    measured = replace(artifact_edge(artifact, inputs, outputs, progress, device="cpu"), name="graph in float32")
    budget = BUDGETS["fp32"]
    if artifact.manifest.output.is_picture:
        budget = replace(budget.of_levels, beyond_level=0)
    budget.check(measured)
    return measured


def reference_outputs(module: "nn.Module", inputs: Pictures, progress: Progress = silent) -> Pictures:
    """The reference's outputs for the inputs, float32; raises CheckpointError when they are not finite."""
    import torch  # here, so that `verify` works without it

    outputs = {}
    for done, (name, image) in enumerate(inputs.items()):
        progress("running the reference", done, len(inputs))
        with torch.inference_mode():
            outputs[name] = module(torch.from_numpy(image)).numpy()
        if not np.isfinite(outputs[name]).all():
            raise CheckpointError(
                f"the reference itself gives NaN or Inf on {name}: its weights overflow float32", hint="Take another checkpoint."
            )
    return outputs
