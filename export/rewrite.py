"""The contract of a rewrite, which rewrites a target gets, and how they are applied.

A rewrite replaces a module of the reference by another that computes the same function: an identity of real arithmetic, stated
as an equation with its domain in the docstring of its file and proven in float64 on witnesses. It says which traits the
replacement has; a target says which traits it needs; the plan follows from both.
"""

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from edgesr.errors import RegistryError
from edgesr.registry import Registry, discover

if TYPE_CHECKING:
    from torch import Tensor, nn

TRAITS = {
    "any_batch": "the number of pictures is known at run time only, and no picture sees another",
    "any_size": "height and width are known at run time only",
    "attention_at_once": "attention is two products around a softmax, of all windows at once, with heads as TensorRT fuses them",
    "bounded_memory": "what is largest, an attention's scores or a map at several times the size, is never alive as a whole",
    "cache_sized_attention": "attention in portions whose scores stay in the processor's cache",
    "channels_first": "linear layers of maps are 1×1 convolutions of planes, so that maps stay channels-first",
    "channels_last": "maps that are normalised stay channels-last, so that no transposition stands around a normalisation",
    "constant_transforms": "in place of a Fourier transform stand matrices, which are constants of a file for one size",
    "fast_run_time_kernels": "kernels that are known at run time only make several rows of the result at once",
    "few_multiplications": "convolutions take fewer multiplications than their kernels have taps",
    "fused_attention": "attention is one operator, of ONNX Runtime's own domain com.microsoft",
    "max_rank_5": "no map has more than five axes, and nothing is gathered by indices where cuts and transpositions do",
    "no_bicubic": "no bicubic interpolation, which most runtimes lack",
    "no_fft": "no Fourier transform and no complex numbers",
    "no_run_time_kernels": "no convolution whose kernel is known at run time only",
    "static_control_flow": "no loops: what is done depends on the size alone and is written out",
    "static_parts_apart": "what follows from the weights alone is a constant of the file, not mixed with what a run computes",
}
"""What a rewrite can give and a target can need."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A module of the right kind that the identity does not cover, with the reason."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Witness:
    """A module in general position (every parameter receives gradient) with inputs on which the identity is proven."""

    module: "nn.Module"
    inputs: "tuple[Tensor, ...]"


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """One exact rewrite.

    equation: the identity in one line. serves: the traits that its replacements have. after: rewrites that must run before.
    replace: a module -> its replacement, a Refusal for a near miss, or None for a module that it does not concern, such as one of
        a class that inherits from a known one; it must not alter the module, but may share its parameters.
    witnesses: modules that match, float64, with inputs. near_misses: modules that must be refused.
    functions: texts of the ONNX functions that its replacements call while they are exported (see `onnx_functions`).
    one_size: whether its replacements are exported for one size alone, which is written out in the graph.
    """

    equation: str
    serves: frozenset[str]
    replace: "Callable[[nn.Module], nn.Module | Refusal | None]"
    witnesses: Callable[[], Sequence[Witness]]
    near_misses: "Callable[[], Sequence[nn.Module]]"
    after: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    one_size: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """A rewrite in a plan and the needed traits that it is there for."""

    name: str
    rewrite: Rewrite
    because: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What a step did to a network: the places where it matched, and those that it refused with the reason."""

    name: str
    matches: tuple[str, ...]
    refusals: tuple[tuple[str, str], ...]


@cache
def rewrites() -> Registry[Rewrite]:
    """All rewrites by name; raises RegistryError for an unknown trait or an `after` that names no rewrite."""
    found = discover("edgesr.export.rewrites", "REWRITE", Rewrite)
    for name, rewrite in found.items():
        unknown = [*(rewrite.serves - TRAITS.keys()), *(set(rewrite.after) - found.keys())]
        if unknown:
            raise RegistryError(f"rewrite {name} names {', '.join(sorted(unknown))}, which nobody defines")
    return found


_WITHOUT = {
    "DFT": ("no_fft", "constant_transforms"),
    "If": ("static_control_flow",),
    "Loop": ("static_control_flow",),
    "Resize": ("no_bicubic",),
    "STFT": ("no_fft",),
    "Scan": ("static_control_flow",),
}
"""ONNX operator -> the traits of networks that do without it."""


def what_helps(operator: str, trait: str = "", *, needs: Collection[str] = TRAITS) -> str:
    """The trait (or that given), among a target's needs, by which a network does without the ONNX operator, and the rewrites for
    it; empty if unknown.
    """
    wanted = trait or next((known for known in _WITHOUT.get(operator, ()) if known in needs), "")
    serving = sorted(name for name, rewrite in rewrites().items() if wanted in rewrite.serves)
    return f"A rewrite for {wanted} helps ({TRAITS[wanted]}): {', '.join(serving)}. " if serving else ""


def plan(needs: Collection[str], *, without: Collection[str] = ()) -> tuple[Step, ...]:
    """The rewrites that serve any of the `needs`, in an order that keeps every `after`; `without` leaves rewrites out.

    Raises UnknownNameError for a name in `without` that is no rewrite, RegistryError when the `after`s go in a circle.
    """
    known = rewrites()
    left_out = {name for name in without if known[name]}
    try:
        order = list(TopologicalSorter({name: sorted(rewrite.after) for name, rewrite in known.items()}).static_order())
    except CycleError as error:
        raise RegistryError(f"rewrites wait for each other: {' after '.join(error.args[1])}") from error
    steps = (Step(name=name, rewrite=known[name], because=tuple(sorted(known[name].serves & set(needs)))) for name in order)
    return tuple(step for step in steps if step.because and step.name not in left_out)


def apply_plan(steps: Sequence[Step], module: "nn.Module") -> tuple["nn.Module", tuple[Applied, ...]]:
    """A rewritten copy of `module`, which stays as it is, and what each step did."""
    rewritten = copy.deepcopy(module)
    applied = []
    for step in steps:
        rewritten, outcome = _apply(step, rewritten)
        applied.append(outcome)
    return rewritten, tuple(applied)


def _apply(step: Step, root: "nn.Module") -> tuple["nn.Module", Applied]:
    matches: list[str] = []
    refusals: list[tuple[str, str]] = []
    for path, module in list(root.named_modules()):
        replacement = step.rewrite.replace(module)
        if isinstance(replacement, Refusal):
            refusals.append((path, replacement.reason))
        elif replacement is not None:
            matches.append(path)
            replacement.train(module.training)
            if path:
                root.set_submodule(path, replacement)
            else:
                root = replacement
    return root, Applied(name=step.name, matches=tuple(matches), refusals=tuple(refusals))
