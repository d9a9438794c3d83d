"""The reference of everything that follows: a network as its authors define it, with its weights and where they come from."""

from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from edgesr.checkpoint import Checkpoint, check_fit, load_into, nonfinite, read_checkpoint
from edgesr.complexity import parameters
from edgesr.containers import Container
from edgesr.errors import CheckpointError, UnknownNameError, UsageError
from edgesr.model import ModelSpec
from edgesr.models import detect_spec, model_spec
from edgesr.seeding import seed_weights
from edgesr.weights import find_weights, official_weights

_DEFAULT_SCALE = 4


@dataclass(frozen=True, kw_only=True)
class WeightsInfo:
    """Where weights come from.

    official: a file with the sha256 of one that the authors publish. file: any other. demo: shipped with this package.
    untrained: seeded, for latency and conversion only; `sha256` is then None.
    """

    kind: Literal["official", "file", "demo", "untrained"]
    name: str
    sha256: str | None


class UnitRange(nn.Module):
    """A network whose own range is [0, peak], given the range [0,1]: x (B,3,H,W) -> module(x·peak)/peak."""

    def __init__(self, module: nn.Module, *, peak: float) -> None:
        super().__init__()
        self.module = module
        self.peak = peak

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x * self.peak) / self.peak


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A network with its weights: `module` is float32, in eval mode, and works in the family's own range."""

    spec: ModelSpec
    module: nn.Module
    weights: WeightsInfo

    def unit_module(self) -> nn.Module:
        """The network as x (B,3,H,W) RGB in [0,1] -> (B,3,sH,sW), not clamped; the module itself where that is its own range."""
        peak = self.spec.family.input_peak
        return self.module if peak == 1 else UnitRange(self.module, peak=peak).eval()


@dataclass(frozen=True, kw_only=True)
class CheckpointReport:
    """What a file holds.

    variant: "custom" for sizes that are no named variant's. configuration: the family's sizes. parameters: the network's, without
    buffers. tensors: how many. nonfinite: the tensors with NaN or Inf, and how many values each.
    """

    family: str
    variant: str
    scale: int
    configuration: dict[str, Any]
    parameters: int
    tensors: int
    dtypes: tuple[str, ...]
    branch: str
    branches: tuple[str, ...]
    container: Container
    sha256: str
    bytes: int
    nonfinite: dict[str, int]

    @property
    def finite(self) -> bool:
        """Whether every value is a number."""
        return not self.nonfinite

    def to_json(self) -> dict[str, Any]:
        """All fields, and `finite`."""
        return {**asdict(self), "finite": self.finite}


def load_reference(*, model: str | None = None, scale: int | None = None, weights: Path | str | None = None) -> Reference:
    """The network with the weights asked for.

    weights: a file or the name of fetched official weights. The network is told from its tensors; a `model` or `scale` named as
    well must agree. Without: the demo weights that the package ships for the variant (×4 unless `scale` says otherwise), or
    else seeded ones.
    Raises CheckpointError, UsageError or UnknownNameError.
    """
    if weights is not None:
        checkpoint = read_checkpoint(find_weights(weights))
        return _load(_agreed_spec(checkpoint, model, scale), checkpoint)
    if model is None:
        raise UsageError("neither a model nor a weights file was named", hint="See the models: edgesr models")
    spec = model_spec(model, scale=_DEFAULT_SCALE if scale is None else scale)
    demo = resources.files("edgesr") / "assets" / f"{spec.name}-demo.safetensors"
    if demo.is_file():
        with resources.as_file(demo) as path:
            return _load(spec, read_checkpoint(path), demo=True)
    module = spec.build()
    seed_weights(module, seed=0)
    return Reference(spec=spec, module=module, weights=WeightsInfo(kind="untrained", name="untrained", sha256=None))


def inspect_checkpoint(path: Path) -> CheckpointReport:
    """Everything that can be told of a checkpoint without running its network; raises CheckpointError."""
    checkpoint = read_checkpoint(path)
    spec = identify(checkpoint)
    skeleton = _fitting_skeleton(spec, checkpoint)
    return CheckpointReport(
        family=spec.family_name,
        variant=spec.variant or "custom",
        scale=spec.scale,
        configuration=asdict(spec.config),
        parameters=parameters(skeleton),
        tensors=len(checkpoint.tensors),
        dtypes=tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.tensors.values()})),
        branch=checkpoint.branch,
        branches=checkpoint.branches,
        container=checkpoint.container,
        sha256=checkpoint.sha256,
        bytes=checkpoint.bytes,
        nonfinite=nonfinite(checkpoint.tensors),
    )


def identify(checkpoint: Checkpoint) -> ModelSpec:
    """The network that the tensors belong to; raises CheckpointError when it is of no family, or they contradict each other."""
    shapes, name = checkpoint.shapes, checkpoint.path.name
    try:
        indices = [int(part) for tensor in shapes for part in tensor.split(".") if part.isdecimal()]
        if max(indices, default=0) > max(64, len(shapes)):  # a forged index would ask for as many modules
            raise ValueError(f"they count modules up to {max(indices)}, but there are {len(shapes)} tensors")
        spec = detect_spec(shapes)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error.message}", hint=error.hint) from error
    except KeyError as error:
        raise CheckpointError(
            f"{name}: the tensor {error} is missing", hint=f"See also: edgesr inspect {checkpoint.path}"
        ) from error
    except (ValueError, IndexError, ArithmeticError) as error:
        raise CheckpointError(f"{name}: its tensors' names and shapes contradict each other: {error}") from error
    if spec is None:
        first = ", ".join(f"{tensor} {shape}" for tensor, shape in list(shapes.items())[:3])
        raise CheckpointError(
            f"{name}: a network of no known family; the first of its {len(shapes)} tensors are {first}",
            hint="See which families there are: edgesr models",
        )
    return spec


def _agreed_spec(checkpoint: Checkpoint, model: str | None, scale: int | None) -> ModelSpec:
    """The checkpoint's network, if it is the one asked for; `<family>-custom` asks for sizes that are no variant's.

    A file that cannot be identified is taken for the network asked for, so that the strict check says what is wrong with it.
    """
    try:
        spec = identify(checkpoint)
    except CheckpointError:
        if model is None:
            raise
        asked = model_spec(model, scale=_DEFAULT_SCALE if scale is None else scale)
        if checkpoint.tensors.keys().isdisjoint(asked.skeleton().state_dict()):
            raise
        return asked
    label = spec.variant or f"{spec.family_name}-custom"
    if model in (None, label) and scale in (None, spec.scale):
        return spec
    if model is not None and model != label:
        _check_exists(model, scale)
    asked_for = f"{model or label} ×{spec.scale if scale is None else scale}"
    raise CheckpointError(
        f"{checkpoint.path.name} holds {label} ×{spec.scale} ({_sizes(spec)}), you asked for {asked_for}",
        hint=f"For this file: edgesr export {label} --scale {spec.scale} --weights {checkpoint.path}",
    )


def _check_exists(model: str, scale: int | None) -> None:
    """Raise UnknownNameError or UsageError for a model that there is not: that is said before what the file holds."""
    try:
        model_spec(model, scale=_DEFAULT_SCALE if scale is None else scale)
    except UnknownNameError:
        raise
    except UsageError:
        if scale is not None:
            raise


def _sizes(spec: ModelSpec) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(spec.config).items() if name != "scale")


def _load(spec: ModelSpec, checkpoint: Checkpoint, *, demo: bool = False) -> Reference:
    _fitting_skeleton(spec, checkpoint)
    module = spec.build()
    load_into(module, checkpoint)
    official = checkpoint.sha256 in {weights.sha256 for weights in official_weights()}
    info = WeightsInfo(
        kind="demo" if demo else "official" if official else "file", name=checkpoint.path.name, sha256=checkpoint.sha256
    )
    return Reference(spec=spec, module=module, weights=info)


def _fitting_skeleton(spec: ModelSpec, checkpoint: Checkpoint) -> nn.Module:
    """The network without memory behind its tensors, once the checkpoint's are known to fit it.

    A forged file can have sizes that multiply to a network of terabytes, so nothing is allocated before this.
    """
    try:
        skeleton = spec.skeleton()
    except (ValueError, RuntimeError, AssertionError, ArithmeticError) as error:
        raise CheckpointError(f"{checkpoint.path.name}: no network has its sizes ({_sizes(spec)}): {error}") from error
    check_fit(skeleton, checkpoint)
    return skeleton
