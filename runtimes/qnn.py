"""Context binaries for Qualcomm's NPU: on x86 in the emulator of its libraries, on a Snapdragon on the Hexagon NPU itself.

The emulator proves the file's arithmetic and says nothing of time. On a phone or a Windows PC with a Snapdragon nobody has run
this for us: see docs/qnn.md. The device `cpu` is neither: there the plain ONNX that was compiled runs, in float32 and quickly.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.artifact import Artifact
from edgesr.errors import ArtifactError, UsageError
from edgesr.levels import floats_of, levels_of
from edgesr.manifest import Compiled
from edgesr.runtime import Bound, Options, Runtime
from edgesr.runtimes._qnn.chips import CHIPS
from edgesr.runtimes._qnn.emulator import Emulator
from edgesr.runtimes._qnn.provider import PACKAGE, binary_beside, emulated, graph_of, open_session, qnn_version, wrapper_in
from edgesr.runtimes._qnn.report import inspect
from edgesr.runtimes.ort import session_on_processor
from edgesr.tensors import FloatArray, SizeRule, size_of

_CHIP = ("{}", re.compile(rb"soc_type=(\w+);"))
_ARCHITECTURE = ("v{}", re.compile(rb"\barch=(\d+)"))
_BUILD = ("QNN {}", re.compile(rb"v(\d+\.\d+\.\d+)\.\d{6,}"))
"""What the compiler writes into a binary, and how the manifest says it."""
_CPU = "cpu"
_LAST = (0, 2, 3, 1)
_FIRST = (0, 3, 1, 2)


class QnnSession:
    """A network on the HTP, in its emulator, or as it was compiled. Sizes are checked before anything runs."""

    def __init__(
        self, run: Callable[[NDArray[Any]], NDArray[Any]], artifact: Artifact, compiled: Compiled, *, device: str, is_npu: bool
    ) -> None:
        """run: the network's input -> its output, as the manifest describes them. device: where, in words."""
        manifest = artifact.manifest
        self.scale = manifest.scale
        self.sizes: SizeRule = manifest.sizes
        self._run, self._input, self._output = run, manifest.input, manifest.output
        self._is_npu = is_npu
        self.settings = {"device": device, "compiler": compiled.compiler}

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW); raises SizeError for a size outside `sizes`.

        An artifact that takes pictures gets the image in 256 steps and gives one.
        """
        self.sizes.check(size_of(image))
        return np.concatenate([self._result(self._run(self._given(image[i : i + 1]))) for i in range(len(image))])

    def bind(self, image: FloatArray) -> Bound:
        """A run of the image that was put into the network's form before; UsageError where it would not be the NPU's."""
        if not self._is_npu:
            raise UsageError(
                f"qnn runs here to prove a file ({self.settings['device']}); it has no latency to report",
                hint="Measure in the app, on a phone or a Windows PC with the chip.",
            )
        self.sizes.check(size_of(image))
        if len(image) != 1:
            return Bound(lambda: self.run(image), lambda output: output)
        given = self._given(image)
        return Bound(lambda: self._run(given), self._result)

    def _given(self, image: FloatArray) -> NDArray[Any]:
        """One sample as the network takes it."""
        values = levels_of(image).astype(np.uint8) if self._input.is_picture else image
        return np.ascontiguousarray(values.transpose(_LAST) if self._input.layout == "NHWC" else values)

    def _result(self, result: NDArray[Any]) -> FloatArray:
        planes = result.transpose(_FIRST) if self._output.layout == "NHWC" else result
        return floats_of(planes) if self._output.is_picture else np.ascontiguousarray(planes, dtype=np.float32)


def _open(artifact: Artifact, options: Options) -> QnnSession:
    name = artifact.manifest.input.name
    if options.device == _CPU:
        compiled = _compiled(artifact, None)
        run = _on_processor(graph_of(artifact.folder / compiled.form), name, options)
        return QnnSession(run, artifact, compiled, device="the plain ONNX in float32, on this computer", is_npu=False)
    compiled = _compiled(artifact, options.device)
    _check_version(compiled)
    wrapper = wrapper_in(artifact.folder / compiled.form)
    _check_chip(wrapper, compiled)
    chip = compiled.chip
    if emulated():
        run = Emulator(wrapper, chip).run
        return QnnSession(run, artifact, compiled, device=f"emulator of {chip}, on this computer", is_npu=False)
    return QnnSession(_on_npu(wrapper, chip, name), artifact, compiled, device=f"HTP of {chip}", is_npu=True)


def _on_processor(graph: Path, name: str, options: Options) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """What was compiled, as standard ONNX. name: of its input."""
    session = session_on_processor(graph, options)
    return lambda given: np.asarray(session.run(None, {name: given})[0])


def _on_npu(wrapper: Path, chip: str, name: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The network on this machine's NPU. name: of its input."""
    try:
        session = open_session(str(wrapper), {"htp_performance_mode": "burst"})
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ArtifactError(
            f"QNN cannot load {wrapper.name}, which is for {chip}: {str(error).splitlines()[0]}",
            hint="Export it for the chip here, with --soc CHIP.",
        ) from error
    return lambda given: session.run(None, {name: given})[0]


def _compiled(artifact: Artifact, chip: str | None) -> Compiled:
    """The form for the chip, or the artifact's own; raises UsageError where there is none for the chip."""
    forms = artifact.manifest.compiled
    for each in forms:
        if each.chip == chip or (chip is None and each.form == artifact.manifest.artifact):
            return each
    if chip is None:
        raise ArtifactError(f"{artifact.folder} does not say which chip it is for", hint="Export the model again.")
    raise UsageError(
        f"{artifact.folder} was compiled for {', '.join(each.chip for each in forms)}, not for {chip}",
        hint=f"Export it for {chip}, too: edgesr export {artifact.manifest.model} --target qnn --soc {chip}",
    )


def _check_chip(wrapper: Path, compiled: Compiled) -> None:
    """Raise ArtifactError where there is no binary, or one of another chip, architecture or compiler than the manifest says.

    The compiler writes its options into the binary, and among them these.
    """
    binary = binary_beside(wrapper)
    try:
        data = binary.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{binary} cannot be read: {error.strerror}", hint="Export the model again.") from error
    for pattern, said in ((_CHIP, compiled.chip), (_ARCHITECTURE, compiled.architecture), (_BUILD, compiled.compiler)):
        kind, name = pattern
        found = {kind.format(each.decode().lower()) for each in name.findall(data)}
        if found != {said}:
            raise ArtifactError(
                f"{binary.name} is for {', '.join(sorted(found)) or 'nothing that it names'}, its manifest says {said}",
                hint="Export the model again.",
            )


def _check_version(compiled: Compiled) -> None:
    """Raise ArtifactError for a binary of a newer compiler than this QNN, which loads what older ones made.

    That is the rule of the provider's own check, `ValidateCompatibilityInfo`, which skips it on x86.
    """
    made, here = compiled.compiler.split()[-1], qnn_version()
    if _parts(made) > _parts(here):
        raise ArtifactError(
            f"{compiled.form} was compiled by QNN {made}; here is {here}, which loads its own and older ones",
            hint='Take a newer QNN (pip install --upgrade "edgesr[qnn]"), or export the model again.',
        )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


RUNTIME = Runtime(
    title="Qualcomm NPU (QNN), on x86 emulated",
    formats=frozenset({"qnn"}),
    package=PACKAGE,
    extra="qnn",
    open=_open,
    inspect=inspect,
    target="qnn",
    of_one_size=True,
    measures=False,
    devices=(*CHIPS, _CPU),
)
