"""Building an engine from an artifact's ONNX file, on the GPU that will run it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgesr.artifact import Artifact
from edgesr.errors import DeviceError, EdgesrError, ExportError
from edgesr.manifest import Manifest, Profile
from edgesr.progress import Progress
from edgesr.runtimes._trt.driver import Driver
from edgesr.runtimes._trt.memory import engine_for, in_proportion, tile_within
from edgesr.runtimes._trt.messages import OUT_OF_MEMORY, Messages, failure, listener
from edgesr.runtimes._trt.recipe import BuildOptions
from edgesr.runtimes._trt.timing import use_cache
from edgesr.runtimes._trt.waiting import Phases, interruptible
from edgesr.tensors import Size

if TYPE_CHECKING:
    import tensorrt as trt

_REQUESTED = re.compile(r"\((\d+) bytes\)")
"""How TensorRT tells what it asked the device for."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A serialised engine. times: the timing cache after its build. notes: what is to be said of its making."""

    data: bytes
    times: bytes
    notes: tuple[str, ...] = field(default=())


def build_plan(artifact: Artifact, profile: Profile, options: BuildOptions, cache: Path, progress: Progress) -> Plan:
    """Parse the ONNX file and build an engine for the profile.

    Every precision is the graph's own: the network is strongly typed, and TF32 is off unless asked for. An interrupt ends the
    build at its next step and is raised again. Raises ExportError for a graph that TensorRT refuses, DeviceError for a GPU that
    fails or is too small, BackendMissingError where there is none.
    """
    import tensorrt as trt

    heard = listener()
    messages = heard.messages
    messages.forget()
    try:
        builder = trt.Builder(heard.logger)
    except TypeError as error:  # what pybind11 makes of a constructor that returns nothing
        raise failure("TensorRT cannot start", messages.errors, hint="See `edgesr doctor`.") from error
    progress(f"reading {artifact.path.name}")
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, heard.logger)  # to be kept until the build is done: the network uses its weights
    if not parser.parse_from_file(str(artifact.path)):
        raise refused(parser, artifact, messages)
    config = builder.create_builder_config()
    configure(config, options)
    add_profile(builder, network, config, profile, artifact.manifest)
    note = use_cache(config, cache, messages)
    phases = Phases()
    monitor = monitor_of(phases)
    config.progress_monitor = monitor

    def work() -> "trt.IHostMemory | None":
        return builder.build_serialized_network(network, config)

    plan = interruptible(work, stop=phases.stop, tell=lambda: tell(phases, progress))
    if plan is None:
        raise not_built(artifact, profile, messages)
    return Plan(data=bytes(plan), times=bytes(config.get_timing_cache().serialize()), notes=(note,) if note else ())


def configure(config: "trt.IBuilderConfig", options: BuildOptions) -> None:
    """What the options say, in TensorRT's words."""
    import tensorrt as trt

    if options.workspace_mb is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mb << 20)
    if not options.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)  # which TensorRT sets by itself


def add_profile(
    builder: "trt.Builder", network: "trt.INetworkDefinition", config: "trt.IBuilderConfig", profile: Profile, manifest: Manifest
) -> None:
    """The shapes, for a network whose input leaves some open; raises ExportError when they contradict those that it fixes."""
    import tensorrt as trt

    declared = tuple(network.get_input(0).shape)
    low, best, high = ((n, 3, height, width) for n, height, width in (profile.minimum, profile.optimum, profile.maximum))
    if any(side not in (-1, shape) for shapes in (low, high) for side, shape in zip(declared, shapes, strict=True)):
        raise ExportError(
            f"{manifest.artifact} takes {declared}, which is not what was asked for: {low} to {high}",
            hint="Export with that size, or with sizes that include it.",
        )
    if -1 in declared:
        shapes = builder.create_optimization_profile()
        shapes.set_shape(manifest.input.name, low, best, high)
        config.add_optimization_profile(shapes)
        # So that a session pays for the size that it runs, not for the largest: contexts then tell what the size needs.
        config.set_preview_feature(trt.PreviewFeature.RUNTIME_ACTIVATION_RESIZE_10_10, True)


def monitor_of(phases: Phases) -> "trt.IProgressMonitor":
    """What TensorRT calls while it builds, from any of its threads. It must not raise, and it does no more than take notes."""
    import tensorrt as trt

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)  # pybind11 asks for it by name

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:  # noqa: ARG002  # TensorRT gives it
            phases.started(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return phases.stepped(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            phases.finished(phase_name)

    return Monitor()


def tell(phases: Phases, progress: Progress) -> None:
    """Pass on where the builder is."""
    phase, done, steps = phases.now
    if phase:
        progress(f"building: {phase}", done, steps)


def refused(parser: "trt.OnnxParser", artifact: Artifact, messages: Messages) -> EdgesrError:
    """The error for a graph that the parser does not take, naming the nodes."""
    found = [parser.get_error(index) for index in range(parser.num_errors)]
    reasons = [f"{each.node_operator()} {each.node_name()}: {each.desc()}".strip(" :") for each in found]
    return failure(
        f"TensorRT does not take {artifact.path.name}",
        reasons or messages.errors,
        hint="This should not happen: edgesr checks the operators at export. Report it with the TensorRT version.",
        kind=ExportError,
    )


def not_built(artifact: Artifact, profile: Profile, messages: Messages) -> EdgesrError:
    """The error for a build that gave nothing."""
    errors = messages.errors
    short = next((text for text in errors if OUT_OF_MEMORY.search(text)), "")
    if short:
        return too_little_memory(artifact.manifest, profile, short)
    return failure(
        f"TensorRT could not build {artifact.path.name}",
        errors,
        hint="See all that it says: edgesr build DIR --verbose",
        kind=ExportError,
    )


def too_little_memory(manifest: Manifest, profile: Profile, said: str) -> DeviceError:
    """The error for a build that the device's memory was too small for, with a size that would probably do."""
    _, height, width = profile.maximum
    asked, free = _REQUESTED.search(said), Driver().free_bytes()
    size = Size(height=height, width=width)
    fitting = in_proportion(size, int(asked[1]), free) if asked and free else Size(height=height // 2 or 1, width=width // 2 or 1)
    return DeviceError(
        f"there is not enough device memory to build for {size} (HxW): {said}",
        hint=f"{fitting} probably fits: {engine_for(fitting, manifest)}, "
        f"then edgesr upscale --tile {tile_within(fitting, manifest.reach)}\n"
        "Or allow less scratch memory: edgesr build DIR --workspace 1024",
    )
