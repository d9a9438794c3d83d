"""PyTorch eager on the CPU: the reference itself, untouched."""

from typing import TYPE_CHECKING

import numpy as np

from edgesr.artifact import Artifact, Manifest
from edgesr.errors import CheckpointError
from edgesr.runtime import Runtime, Session
from edgesr.tensors import FloatArray, Size, SizeRule, size_of

if TYPE_CHECKING:
    from edgesr.reference import Reference


class PyTorchSession:
    """A reference network in eager mode."""

    def __init__(self, reference: "Reference") -> None:
        side = reference.spec.minimum_size
        self._module = reference.unit_module()
        self.scale = reference.spec.scale
        self.sizes = SizeRule(minimum=Size(height=side, width=side))

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW), not clamped; raises SizeError for a size outside `sizes`."""
        import torch

        self.sizes.check(size_of(image))
        with torch.inference_mode():
            return np.asarray(self._module(torch.from_numpy(np.ascontiguousarray(image))).numpy(), dtype=np.float32)


def reference_of(manifest: Manifest, *, weights: str | None = None) -> "Reference":
    """The reference that an artifact was made from.

    weights: a file or the name of fetched official weights; None looks for the checkpoint by the name in the manifest.
    Raises CheckpointError when the checkpoint is not there or is another one than the manifest's.
    """
    from edgesr.reference import load_reference

    recorded = manifest.weights
    if weights is None and recorded != "untrained" and recorded["kind"] != "demo":
        weights = recorded["name"]
    reference = load_reference(model=manifest.model, scale=manifest.scale, weights=weights)
    expected = None if recorded == "untrained" else recorded["sha256"]
    if reference.weights.sha256 != expected:
        raise CheckpointError(
            f"{reference.weights.name} (sha256 {str(reference.weights.sha256)[:12]}…) is not what this artifact was made from "
            f"({str(expected)[:12]}…)",
            hint="Name the checkpoint that it was exported from: --weights FILE",
        )
    return reference


def _open(artifact: Artifact) -> Session:
    return PyTorchSession(reference_of(artifact.manifest))


RUNTIME = Runtime(title="PyTorch (CPU, eager)", formats=frozenset(), package="torch", open=_open)
