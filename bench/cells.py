"""From what was asked for to the cells of a sweep, in groups that are measured in turns against one reference."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesr.artifact import read_artifact
from edgesr.backends import available, require
from edgesr.bench.child import Opening
from edgesr.bench.devices import pytorch_has_cuda
from edgesr.bench.record import Subject
from edgesr.errors import BackendMissingError, UsageError
from edgesr.models import families, model_spec
from edgesr.runtime import FloatPrecision, Runtime
from edgesr.runtimes import runs_here, runtimes
from edgesr.tensors import Precision, Size, parse_size

DEFAULT_MODELS = ("esc", "esc-fp", "srconvnet", "vapsr", "rgt-s")
"""The five families' default variants."""
REFERENCE = "pytorch"
"""The runtime that every other is compared with, in float32."""
_HD = {2: "360x640", 3: "240x427", 4: "180x320"}
"""Scale -> the input for 1280×720 pixels, the papers' setting."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure. models: names or artifact folders. sizes: empty for the papers' HD setting. scale: None for ×4.

    runtimes: empty for all that this machine has.
    """

    models: tuple[str, ...] = DEFAULT_MODELS
    device: str = "cpu"
    runtimes: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = ("fp32",)
    sizes: tuple[str, ...] = ()
    scale: int | None = None
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A cell to be.

    step: `module:function` that makes the folder that it opens, with `arguments`; "" where it is there. sha256: of the model file
    in a folder that is there.
    """

    subject: Subject
    opening: Opening
    step: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cells with one input and one reference, which is the first. expected: how the reference is opened on the processor."""

    size: str
    expected: Opening
    cells: tuple[Planned, ...]

    @property
    def name(self) -> str:
        """The group's name in the record."""
        return self.cells[0].subject.group


def chosen_runtimes(request: Request) -> tuple[str, ...]:
    """The runtimes to measure, without the reference; raises UnknownNameError, UsageError, or BackendMissingError."""
    for name in request.runtimes:
        chosen = runtimes()[name]
        if not chosen.measures:
            raise UsageError(f"runtime {name} proves artifacts; it has no latency to report", hint="Leave it out of --runtimes.")
        if not runs_here(chosen):
            raise BackendMissingError(
                f"runtime {name} runs on {', '.join(chosen.platforms)} only", hint="Leave it out of --runtimes."
            )
        if request.device not in chosen.devices:
            raise UsageError(f"runtime {name} does not run on {request.device}", hint="Leave it out of --runtimes.")
        require(chosen.package, extra=chosen.extra, what=f"runtime {name}")
    able = [
        name
        for name, runtime in runtimes().items()
        if runtime.measures and runs_here(runtime) and request.device in runtime.devices and available(runtime.package)
    ]
    return tuple(name for name in request.runtimes or able if name != REFERENCE)


def groups(request: Request, artifacts: Path) -> tuple[Group, ...]:
    """All groups of the sweep; artifacts that must be made go below the folder `artifacts`.

    Raises UsageError, UnknownNameError or ArtifactError for what cannot be measured.
    """
    found = []
    folders = [Path(model) for model in request.models if _is_folder(model)]
    for model in request.models:
        network: _Network
        if _is_folder(model):
            alone = sum(each.resolve().name == Path(model).resolve().name for each in folders) == 1
            network = _Folder(Path(model), request, label=Path(model).resolve().name if alone else str(Path(model)))
        else:
            network = _Named(model, request, artifacts)
        for size in request.sizes or (_HD[network.scale],):
            network.check(parse_size(size))
            found.append(network.group(str(parse_size(size))))
    twice = [key for key, times in Counter(cell.subject.key for group in found for cell in group.cells).items() if times > 1]
    if twice:
        raise UsageError(f"{twice[0]} would be measured twice", hint="Name each model, folder and size once.")
    return tuple(found)


def _is_folder(model: str) -> bool:
    """A model's name stays one where a folder is called the same: write ./NAME for that."""
    return "/" in model or (Path(model).is_dir() and all(model not in family.variants for family in families().values()))


def _only(runtime: Runtime) -> str:
    return f" ({' and '.join(runtime.platforms)} only)" if runtime.platforms else ""


class _Network:
    """What the two kinds of things to measure have in common."""

    model: str
    scale: int
    label: dict[str, str]

    def __init__(self, request: Request) -> None:
        self.request = request

    def check(self, size: Size) -> None:
        """Raise SizeError when the network does not take the size."""
        raise NotImplementedError

    def reference(self, runtime: str, *, threads: int | None, device: str, precision: FloatPrecision = "fp32") -> Opening:
        """How the reference is opened in one of PyTorch's runtimes."""
        raise NotImplementedError

    def converted(self, runtime: str, size: str) -> Sequence[Planned]:
        """The cells of a runtime that opens artifacts."""
        raise NotImplementedError

    def group(self, size: str) -> Group:
        """The cells of all runtimes at `size`, the reference first."""
        cells: list[Planned] = []
        for runtime in (REFERENCE, *chosen_runtimes(self.request)):
            if runtimes()[runtime].formats or runtimes()[runtime].prepare:
                cells += self.converted(runtime, size)
            else:
                cells += [self._in_pytorch(runtime, precision, size) for precision in self._of_references]
        return Group(size=size, expected=self.reference(REFERENCE, threads=None, device="cpu"), cells=tuple(cells))

    @property
    def _of_references(self) -> tuple[FloatPrecision, ...]:
        """Float32 always; half precision too where it is asked for, on a GPU: processors are slower in it."""
        half = "fp16" in self.request.precisions and self.request.device == "cuda"
        return ("fp32", "fp16") if half else ("fp32",)

    def _in_pytorch(self, runtime: str, precision: FloatPrecision, size: str) -> Planned:
        threads, device = self.request.threads, self.device_of(runtime)
        opening = self.reference(runtime, threads=threads, device=device, precision=precision)
        return Planned(subject=self.subject(runtime, precision, size), opening=opening)

    def device_of(self, runtime: str) -> str:
        """That of the request, or the processor: the reference has no compute units of Core ML's, and maybe no CUDA."""
        device, candidate = self.request.device, runtimes()[runtime]
        if device == "cuda" and not candidate.formats:
            return device if pytorch_has_cuda() else "cpu"
        return device if device in candidate.devices else "cpu"

    def subject(self, runtime: str, precision: str, size: str) -> Subject:
        """The subject of a cell."""
        return Subject(
            model=self.model,
            scale=self.scale,
            runtime=runtime,
            precision=precision,
            size=size,
            device=self.device_of(runtime),
            **self.label,
        )

    def opening(self, runtime: str, folder: Path) -> Opening:
        """How a folder is opened in a runtime: an artifact's, or one of the runtime's own."""
        threads, device = self.request.threads, self.request.device
        return Opening(
            opener=f"edgesr.bench.openers:{'prepared' if runtimes()[runtime].prepare else 'artifact'}",
            arguments={"folder": str(folder), "runtime": runtime, "threads": threads, "device": device},
            package=runtimes()[runtime].package,
            threads=threads,
        )


class _Named(_Network):
    """A model by name: it is exported for each runtime's own target."""

    def __init__(self, model: str, request: Request, artifacts: Path) -> None:
        super().__init__(request)
        spec = model_spec(model, scale=request.scale or 4)
        self.model, self.scale, self.label = model, spec.scale, {}
        self._minimum, self._artifacts = spec.minimum_size, artifacts

    def check(self, size: Size) -> None:
        if min(size.height, size.width) < self._minimum:
            raise UsageError(f"{self.model} takes pictures of at least {self._minimum} pixels a side, not {size}")

    def reference(self, runtime: str, *, threads: int | None, device: str, precision: FloatPrecision = "fp32") -> Opening:
        where = {"runtime": runtime, "threads": threads, "device": device, "precision": precision}
        arguments = {"model": self.model, "scale": self.scale, "weights": None, **where}
        return Opening(opener="edgesr.bench.openers:reference", arguments=arguments, package="torch", threads=threads)

    def converted(self, runtime: str, size: str) -> Sequence[Planned]:
        network: dict[str, Any] = {"model": self.model, "scale": self.scale, "weights": None}
        if runtimes()[runtime].prepare:
            folder = self._artifacts / f"{self.model}-x{self.scale}-{size}-{runtime}"
            return [
                Planned(
                    subject=self.subject(runtime, "fp32", size),
                    opening=self.opening(runtime, folder),
                    step="edgesr.bench.preparing:prepared",
                    arguments={**network, "runtime": runtime, "size": size},
                )
            ]
        target = runtimes()[runtime].target_on.get(self.request.device, runtimes()[runtime].target)
        of_size = runtimes()[runtime].of_one_size
        stem = f"{self.model}-x{self.scale}{f'-{size}' if of_size else ''}"
        folders = {each: self._artifacts / f"{stem}-{each}-{target}" for each in self.request.precisions}
        network |= {"size": size if of_size else None}
        return [
            Planned(
                subject=self.subject(runtime, precision, size),
                opening=self.opening(runtime, folder),
                step="edgesr.bench.preparing:artifact",
                arguments={**network, "target": target, "precision": precision},
            )
            for precision, folder in folders.items()
        ]


class _Folder(_Network):
    """An artifact's folder: it is measured as it is."""

    def __init__(self, folder: Path, request: Request, *, label: str) -> None:
        super().__init__(request)
        artifact = read_artifact(folder)
        artifact.check_files()
        manifest = artifact.manifest
        self._folder, self._manifest = folder, manifest
        self.model, self.scale, self.label = manifest.model, manifest.scale, {"artifact": label}
        if manifest.weights != "untrained" and manifest.weights["kind"] != "demo":
            self.label["weights"] = f"{manifest.weights['name']} {manifest.weights['sha256'][:8]}"

    def check(self, size: Size) -> None:
        if not self._able():
            raise UsageError(
                f"nothing measures {self._manifest.format} files: what runs them here has no latency to report",
                hint="Measure in the app, on the device that they are for.",
            )
        self._manifest.sizes.check(size)

    def _able(self) -> dict[str, Runtime]:
        """The runtimes that measure what this is, wherever they run."""
        return {name: one for name, one in runtimes().items() if self._manifest.format in one.formats and one.measures}

    def reference(self, runtime: str, *, threads: int | None, device: str, precision: FloatPrecision = "fp32") -> Opening:
        where = {"runtime": runtime, "threads": threads, "device": device, "precision": precision}
        arguments = {"folder": str(self._folder), **where}
        return Opening(opener="edgesr.bench.openers:artifact", arguments=arguments, package="torch", threads=threads)

    def group(self, size: str) -> Group:
        found, asked = super().group(size), self.request.runtimes
        if all(not cell.sha256 for cell in found.cells) and (not asked or any(runtimes()[name].formats for name in asked)):
            fitting = [f"{name} on {', '.join(one.devices)}{_only(one)}" for name, one in self._able().items()]
            raise (UsageError if asked else BackendMissingError)(
                f"nothing that {'was asked for' if asked else 'is here'} runs {self._folder} on {self.request.device}",
                hint=f"{self._manifest.format} files are measured in {'; '.join(fitting)}. What is missing here: edgesr doctor",
            )
        return found

    def converted(self, runtime: str, size: str) -> Sequence[Planned]:
        if self._manifest.format not in runtimes()[runtime].formats:
            return []
        subject = self.subject(runtime, self._manifest.precision, size)
        return [Planned(subject=subject, opening=self.opening(runtime, self._folder), sha256=self._manifest.model_sha256)]
