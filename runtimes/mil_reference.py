"""Core ML's packages, evaluated operator by operator with PyTorch on any system. It proves the file, not Apple's runtime."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgesr.artifact import Artifact, function_name
from edgesr.errors import UsageError
from edgesr.levels import floats_of, levels_of
from edgesr.runtime import Bound, Options, Runtime
from edgesr.runtimes._mil.description import check_description, check_programs
from edgesr.runtimes._mil.placement import inspection
from edgesr.runtimes._mil.program import Package
from edgesr.tensors import FloatArray, Size, SizeRule, size_of

if TYPE_CHECKING:
    from edgesr.runtimes._mil.evaluation import Evaluator, Rounding


_EXACT = "exact"
"""The device that rounds nothing."""


@dataclass(frozen=True, kw_only=True)
class _Way:
    """How a size is run: by which function, and under which names."""

    evaluator: "Evaluator"
    input: str
    output: str


class MilSession:
    """A package that was read back from its files.

    rounding: "declared" rounds every operator's result to the precision that the file declares for it. "none" shows what the
    file's numbers alone cost.
    """

    def __init__(self, artifact: Artifact, *, rounding: "Rounding" = "declared") -> None:
        manifest = artifact.manifest
        self.scale = manifest.scale
        self.sizes: SizeRule = manifest.sizes
        self._picture = (manifest.input.is_picture, manifest.output.is_picture)
        package = Package(artifact.path)
        check_description(package, manifest)
        check_programs(package, manifest)
        self._functions = package.functions
        self._ways: dict[str, _Way] = {}
        self._rounding: Rounding = rounding
        self.settings = {"evaluated by": "edgesr with PyTorch, not by Core ML", "rounding": rounding}

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW); raises SizeError for a size outside `sizes`.

        A package that takes pictures gets the image in 256 steps; what it gives is clamped but not yet rounded to whole numbers.
        """
        self.sizes.check(size_of(image))
        return np.concatenate([self._run(image[i : i + 1]) for i in range(len(image))])

    def bind(self, image: FloatArray) -> Bound:  # noqa: ARG002  # the contract's
        """Refused with UsageError: how long PyTorch takes says nothing of Core ML."""
        raise UsageError(
            "mil-reference evaluates a Core ML package to prove it; it has no latency to report",
            hint="Measure on a Mac: edgesr bench MODEL --runtimes coreml.",
        )

    def _run(self, image: FloatArray) -> FloatArray:
        way = self._way(size_of(image))
        given = levels_of(image) if self._picture[0] else image
        result = way.evaluator({way.input: given})[way.output]
        return floats_of(result) if self._picture[1] else np.asarray(result, dtype=np.float32)

    def _way(self, size: Size) -> _Way:
        """The function for the size, which is made ready once."""
        name = "main" if "main" in self._functions else function_name(size)
        if name not in self._ways:
            from edgesr.runtimes._mil.evaluation import Evaluator  # brings PyTorch, which other runtimes are measured without

            function = self._functions[name]
            evaluator = Evaluator(function, rounding=self._rounding)
            self._ways[name] = _Way(evaluator=evaluator, input=function.inputs[0].name, output=function.outputs[0])
        return self._ways[name]


def _open(artifact: Artifact, options: Options) -> MilSession:
    return MilSession(artifact, rounding="none" if options.device == _EXACT else "declared")


RUNTIME = Runtime(
    title="Core ML package, evaluated",
    formats=frozenset({"mlpackage"}),
    package="coremltools",
    extra="coreml",
    open=_open,
    inspect=inspection,
    target="coreml",
    measures=False,
    devices=("cpu", _EXACT),
)
