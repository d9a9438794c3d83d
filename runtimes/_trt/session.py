"""A network in TensorRT: one engine, or several for several sizes, as one session."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakSet

import numpy as np

from edgesr.errors import NoEngineError, SizeError, UsageError
from edgesr.manifest import Manifest, Profile
from edgesr.runtime import Bound
from edgesr.runtimes._trt.device import Device, Engine
from edgesr.runtimes._trt.lane import Lane
from edgesr.runtimes._trt.profiles import best_for, rule_of, size_rule
from edgesr.tensors import FloatArray, Size, SizeRule, size_of


@dataclass(frozen=True, kw_only=True)
class Runnable:
    """An engine that can be loaded, and the shapes that it takes. facts: what it says of itself, for the session's settings."""

    load: Callable[[], Engine]
    profile: Profile
    facts: Mapping[str, str] = field(default_factory=dict)


class TimedBound(Bound):
    """A bound run that also tells what the device's events say."""

    def __init__(self, lane: Lane, image: FloatArray) -> None:
        prepared = lane.put(image)
        lane.synchronize()

        def run() -> None:
            lane.enqueue(prepared)
            lane.synchronize()

        super().__init__(run, lambda _: lane.fetch(prepared))
        self._lane = lane

    @property
    def device_milliseconds(self) -> float:
        """The last run of the network on the device, by CUDA events: without launching it from Python, and without waiting."""
        return self._lane.milliseconds


class TensorrtSession:
    """Sizes are checked before anything runs. It belongs to the thread that made it, whose CUDA context it uses.

    An engine is loaded when the first picture of its sizes comes, so that those that nothing needs take no memory. Where several
    take a size alike, the first of `runnables` runs it. settings: what is known before any engine is loaded.
    """

    def __init__(
        self, runnables: Sequence[Runnable], device: Device, manifest: Manifest, settings: Mapping[str, str], *, folder: str
    ) -> None:
        self._runnables, self._device, self._manifest, self._folder = tuple(runnables), device, manifest, folder
        self._profiles = [each.profile for each in self._runnables]
        self._engines: dict[int, Engine] = {}
        self._lanes: dict[int, Lane] = {}
        self._bound: WeakSet[Lane] = WeakSet()
        self.scale = manifest.scale
        self.sizes: SizeRule = rule_of(self._profiles)
        self._settings = dict(settings)

    @property
    def settings(self) -> dict[str, str]:
        """What was told at opening, what the engines loaded so far say of themselves, and what became of CUDA graphs."""
        loaded = [self._runnables[index].facts for index in self._engines]
        names = dict.fromkeys(name for facts in loaded for name in facts)
        engines = {name: ", ".join(dict.fromkeys(facts[name] for facts in loaded)) for name in names}
        captured = "used" if any(lane.captured for lane in self._all_lanes) else "from the second run of a shape on"
        graphs = f"not used: {self.graph_trouble}" if self.graph_trouble else captured
        return {**self._settings, **engines, "CUDA graphs": graphs}

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW), not clamped.

        Raises SizeError for a size outside `sizes` (NoEngineError where an engine for it can be built), DeviceMemoryError, with a
        size that fits, when the device has not enough memory.
        """
        index = self._choose(image)
        if index not in self._lanes:
            self._lanes[index] = self._lane(index)
        pieces = self._pieces(image, self._profiles[index])
        outputs = [self._lanes[index].run(piece) for piece in pieces]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def bind(self, image: FloatArray) -> Bound:
        """A run of the image within the device's memory, with buffers of its own; see `RuntimeSession.bind`."""
        index = self._choose(image)
        if len(self._pieces(image, self._profiles[index])) > 1:
            return Bound(lambda: self.run(image), lambda output: output)
        lane = self._lane(index)
        self._bound.add(lane)
        return TimedBound(lane, image)

    def device_mb(self) -> dict[str, float]:
        """What the session holds of the device's memory besides the engines' weights, in MB of 2²⁰ bytes, by use."""
        total: dict[str, int] = {}
        for lane in self._all_lanes:
            for use, size in lane.device_bytes.items():
                total[use] = total.get(use, 0) + size
        return {f"TensorRT session, {use}": size / 2**20 for use, size in total.items()}

    @property
    def graph_trouble(self) -> str:
        """Why CUDA graphs are not used; "" where they are, or where nothing ran twice yet."""
        return next((lane.graph_trouble for lane in self._all_lanes if lane.graph_trouble), "")

    @property
    def _all_lanes(self) -> tuple[Lane, ...]:
        return (*self._lanes.values(), *self._bound)

    def _lane(self, index: int) -> Lane:
        runnable = self._runnables[index]
        if index not in self._engines:
            self._engines[index] = runnable.load()
        return Lane(self._engines[index], self._device, self._manifest, size_rule(runnable.profile))

    def _choose(self, image: FloatArray) -> int:
        """Which engine takes the image."""
        size = size_of(image)
        index = best_for(self._profiles, size)
        if index is None:
            self._refuse(size)
            raise NoEngineError(f"no engine here takes {size}", hint=f"Build one: edgesr build {self._folder} --size {size}")
        return index

    def _refuse(self, size: Size) -> None:
        """Raise NoEngineError for a size that none of the engines takes, with what to type where the artifact takes it."""
        try:
            self.sizes.check(size)
        except SizeError as error:
            hint = error.hint
            with contextlib.suppress(SizeError):
                self._manifest.sizes.check(size)
                hint = f"The artifact takes it: edgesr build {self._folder} --size {size}"
            raise NoEngineError(error.message, hint=hint) from error

    def _pieces(self, image: FloatArray, profile: Profile) -> list[FloatArray]:
        """The batch in parts that the engine takes."""
        least, most = profile.minimum[0], profile.maximum[0]
        pieces = [image[start : start + most] for start in range(0, len(image), most)]
        if len(pieces[-1]) < least:
            raise UsageError(
                f"this engine takes {least} to {most} pictures at once, not {len(image)}", hint="Run them in such batches."
            )
        return pieces
