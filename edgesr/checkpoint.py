"""Checkpoints: reading one safely, and loading it into a module strictly.

A state dict may lie bare in the file or in a branch of it. Where a training kept an exponential moving average of the weights
(`params_ema`), that is what authors publish figures for, so it is preferred.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesr.containers import Container, container_of, unpack
from edgesr.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor, nn

MAX_BYTES = 1 << 30
"""1 GiB, for a file and for what it unpacks to: several times the largest checkpoint of any family."""

BRANCHES = ("params_ema", "params", "model_state_dict")
"""Where trainings put the state dict, the preferred place first."""

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A state dict as it was read: nothing is known yet of the network that it belongs to.

    tensors: on the CPU, in the file's own dtypes, names without a `module.` prefix. bytes: the file's size.
    branch: the one of BRANCHES that the tensors were taken from, "" for a bare state dict. branches: all that the file has.
    """

    path: Path
    sha256: str
    bytes: int
    container: Container
    tensors: dict[str, "Tensor"]
    branch: str
    branches: tuple[str, ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes: what detection may look at."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


def read_checkpoint(path: Path, *, max_bytes: int = MAX_BYTES) -> Checkpoint:
    """Read a .pth, .pt, .ckpt or .safetensors file, told apart by content; nothing in it is executed, nothing is written.

    Raises CheckpointError when the file cannot be read, holds no state dict, or holds or declares more than `max_bytes`.
    """
    data = _read_bounded(path, max_bytes)
    container = container_of(path.name, data)
    content = unpack(path.name, data, container=container, max_bytes=max_bytes)
    branch, branches, state = _find_state_dict(path.name, content)
    _check_tensors(path.name, state, max_bytes)
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return Checkpoint(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        container=container,
        tensors={name: tensor.detach() for name, tensor in state.items()},
        branch=branch,
        branches=branches,
    )


def _read_bounded(path: Path, max_bytes: int) -> bytes:
    try:
        if not path.is_file():
            problem = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "does not exist"
            raise CheckpointError(f"{path} {problem}", hint="Name a .pth or .safetensors file, or one of: edgesr weights list")
        size = path.stat().st_size
        if size <= max_bytes:
            with path.open("rb") as file:
                data = file.read(size + 1)  # no more than that, should the file grow meanwhile
            size = len(data)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}", hint="Check the file's permissions.") from error
    if size > max_bytes:
        raise CheckpointError(
            f"{path.name}: {size:,} bytes, more than the limit of {max_bytes:,}",
            hint="Save the state dict alone, without the optimiser.",
        )
    return data


def _find_state_dict(name: str, content: Any) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """The branch used, all branches found, and the state dict."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{name}: holds a {type(content).__name__}, not a state dict", hint="Save module.state_dict().")
    branches = tuple(branch for branch in BRANCHES if isinstance(content.get(branch), Mapping))
    branch = branches[0] if branches else ""
    state = dict(content[branch]) if branch else dict(content)
    if not state:
        raise CheckpointError(f"{name}: the state dict{f' {branch!r}' if branch else ''} is empty")
    return branch, branches, state


def _check_tensors(name: str, state: Mapping[str, Any], max_bytes: int) -> None:
    """Every entry must be an ordinary tensor that is really there, not a small storage blown up by zero strides."""
    import torch

    total = 0
    for key, tensor in state.items():
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise CheckpointError(
                f"{name}: {key!r} is a {type(tensor).__name__}, not a tensor; the file has {_listed(map(str, state))}",
                hint=f"A state dict lies bare in the file or under one of: {', '.join(BRANCHES)}.",
            )
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise CheckpointError(
                f"{name}: tensor {key!r} is sparse, quantised or without data", hint="Save it as a dense tensor."
            )
        declared = tensor.numel() * tensor.element_size()
        total += declared
        if not declared or declared > tensor.untyped_storage().nbytes() or total > max_bytes:
            held = tensor.untyped_storage().nbytes()
            raise CheckpointError(
                f"{name}: tensor {key!r} has shape {tuple(tensor.shape)}, {declared:,} bytes, where the file holds {held:,}",
                hint="No network has such a tensor; do not trust this file.",
            )


def check_fit(module: "nn.Module", checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless the tensors are those of `module`, by name, shape and kind of number.

    The module may lie on the meta device. Floating-point tensors may have any precision. Constants that the network makes
    itself (index tables, masks, mean colours) may be left out, for nothing is lost with them.
    """
    seen, expected = checkpoint.tensors, module.state_dict()
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    problems = [
        _problem("missing", [name for name in expected if name in trained and name not in seen]),
        _problem("extra", [name for name in seen if name not in expected]),
        _problem(
            "misshaped",
            [
                f"{name}: {tuple(seen[name].shape)} seen, {tuple(tensor.shape)} expected"
                for name, tensor in expected.items()
                if name in seen and seen[name].shape != tensor.shape
            ],
        ),
        _problem(
            "of a wrong type",
            [
                f"{name}: {_dtype(seen[name])} seen, {_dtype(tensor)} expected"
                for name, tensor in expected.items()
                if name in seen
                and (seen[name].is_floating_point(), seen[name].is_complex()) != (tensor.is_floating_point(), False)
            ],
        ),
    ]
    if any(problems):
        raise CheckpointError(
            f"{checkpoint.path.name} does not fit the network: {'; '.join(filter(None, problems))}",
            hint="The file is cut down, extended, or of a relative that is not supported. See: edgesr models",
        )


def nonfinite(tensors: Mapping[str, "Tensor"]) -> dict[str, int]:
    """The tensors that have NaN or Inf values, and how many each."""
    import torch

    counts = {
        name: int((~torch.isfinite(tensor.float())).sum()) for name, tensor in tensors.items() if tensor.is_floating_point()
    }
    return {name: count for name, count in counts.items() if count}


def load_into(module: "nn.Module", checkpoint: Checkpoint) -> None:
    """Copy the weights into `module`, strictly as `check_fit` says, in the module's own precision.

    Raises CheckpointError naming the tensors that are missing, extra, misshaped, of a wrong type, or that hold NaN or Inf; the
    module is then as it was.
    """
    check_fit(module, checkpoint)
    bad = nonfinite(checkpoint.tensors)
    if bad:
        shown = [_describe_nonfinite(name, checkpoint.tensors[name]) for name in list(bad)[:_SHOWN]]
        raise CheckpointError(
            f"{checkpoint.path.name} holds values that are not finite in {len(bad)} of {len(checkpoint.tensors)} tensors: "
            f"{_listed(shown, of=len(bad))}",
            hint="Its training diverged or the file is damaged: take an earlier checkpoint, or fetch it again.",
        )
    module.load_state_dict({**module.state_dict(), **checkpoint.tensors}, strict=True)


def _describe_nonfinite(name: str, tensor: "Tensor") -> str:
    values = tensor.float()
    nans, infs = int(values.isnan().sum()), int(values.isinf().sum())
    counts = " and ".join(f"{count} {kind}" for count, kind in ((nans, "NaN"), (infs, "Inf")) if count)
    return f"{name} ({counts} of {math.prod(tensor.shape)})"


def _problem(kind: str, names: list[str]) -> str:
    return f"{len(names)} {kind} ({_listed(names)})" if names else ""


def _listed(names: Iterable[str], *, of: int | None = None) -> str:
    """The first few, and how many more there are."""
    listed = list(names)
    more = (len(listed) if of is None else of) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _dtype(tensor: "Tensor") -> str:
    return str(tensor.dtype).removeprefix("torch.")
