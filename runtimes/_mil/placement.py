"""What will probably not run on the Neural Engine, or not fast, told from the file alone.

Apple does not say which operation runs where: it depends on the device and the system, and only a device can tell. Each rule here
has a source that says so, and every finding is a prediction.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

from edgesr.artifact import Artifact
from edgesr.runtime import Finding, Inspection
from edgesr.runtimes._mil.description import check_description
from edgesr.runtimes._mil.program import Feature, Function, Operation, Package, Value


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """An operation as rules look at it. kernel: a convolution's weights; computed: they follow from the picture."""

    kind: str
    outputs: tuple[Value, ...]
    kernel: Value | None
    computed: bool


_Check = Callable[[_Seen], bool]


@dataclass(frozen=True, kw_only=True)
class _Rule:
    name: str
    predicted: str
    source: str
    check: _Check


_RULES: list[_Rule] = []

_APPLE = "https://machinelearning.apple.com/research/neural-engine-transformers"
_GUIDE = "https://ane-guide.readthedocs.io/en/latest/part-5-practice/17-model-design-rules.html"
_FORUM = "https://developer.apple.com/forums/thread/724930"
_BYTES = {"FLOAT16": 2, "FLOAT32": 4}
_ROW = 64
"""Bytes to which the Neural Engine pads the last axis."""
_LONGEST = 16384
_MOST_CHANNELS = 65536
_WIDEST_KERNEL = 13


def inspection(artifact: Artifact) -> Inspection:
    """What a package holds; raises ArtifactError for one that is not what its manifest says."""
    package = Package(artifact.path)
    check_description(package, artifact.manifest)
    default = package.default
    counts = {name: operators(package.functions[name]) for name in sorted(package.functions, key=lambda each: each != default)}
    functions = {name: sum(each.values()) for name, each in counts.items()} if len(counts) > 1 else {}
    return Inspection(operators=counts[default], findings=findings(package), functions=functions)


def operators(function: Function) -> dict[str, int]:
    """How often each operator runs, the most frequent first; constants and what unpacks them do not run."""
    counts = Counter(each.kind for each in function.operations if not each.kind.startswith("constexpr_"))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def findings(package: Package, function: str | None = None) -> tuple[Finding, ...]:
    """What the rules find in a function of the package, or in its default one."""
    name = function or package.default
    return (*_in_inputs(package.inputs(name)), *findings_in(package.functions[name]))


def findings_in(function: Function) -> tuple[Finding, ...]:
    """What the rules find in the operations of a function."""
    running = [each for each in function.operations if not each.kind.startswith("constexpr_")]
    held = [_value(name, value) for name, value in function.constants.items() if not isinstance(value, str)]
    made = [output for each in function.operations for output in each.outputs]
    values = {each.name: each for each in (*function.inputs, *held, *made)}
    computed = {each.name for each in function.inputs} | {output.name for each in running for output in each.outputs}
    seen = [_seen(each, values, computed) for each in running]
    found = []
    for rule in _RULES:
        places = tuple(each.outputs[0].name for each in seen if rule.check(each))
        if places:
            found.append(Finding(rule=rule.name, predicted=rule.predicted, source=rule.source, places=places))
    return tuple(found)


def _seen(each: Operation, values: Mapping[str, Value], computed: Set[str]) -> _Seen:
    (weight,) = each.inputs["weight"] if each.kind in ("conv", "conv_transpose") else (None,)
    if weight is None:
        return _Seen(kind=each.kind, outputs=each.outputs, kernel=None, computed=False)
    kernel = values[weight] if isinstance(weight, str) else _value("", weight)
    return _Seen(kind=each.kind, outputs=each.outputs, kernel=kernel, computed=kernel.name in computed)


def _value(name: str, array: NDArray[Any]) -> Value:
    return Value(name=name, dtype=str(array.dtype).upper(), shape=array.shape)


def _in_inputs(inputs: tuple[Feature, ...]) -> tuple[Finding, ...]:
    """A range of sizes: only the default one runs on the Neural Engine, says an engineer of Apple; listed sizes all may."""
    places = tuple(each.name for each in inputs if any(low != high for low, high in each.ranges))
    predicted = "sizes other than the default one run on the GPU or CPU; a list of sizes would not"
    return (Finding(rule="range_of_sizes", predicted=predicted, source=_FORUM, places=places),) if places else ()


def _rule(*, predicted: str, source: str) -> Callable[[_Check], _Check]:
    """Register a function, whose name is the rule's."""

    def register(check: _Check) -> _Check:
        _RULES.append(_Rule(name=check.__name__, predicted=predicted, source=source, check=check))
        return check

    return register


@_rule(predicted="Core ML refuses the model", source="https://github.com/apple/coremltools/issues/1723")
def rank_above_5(each: _Seen) -> bool:
    """More than five axes."""
    return any(len(output.shape) > 5 for output in each.outputs)


@_rule(
    predicted="the convolution runs on the CPU, for its kernel is not a constant",
    source="https://github.com/apple/coremltools/issues/2536",
)
def run_time_kernel(each: _Seen) -> bool:
    """A kernel that follows from the picture."""
    return each.computed


@_rule(
    predicted="it runs on the CPU",
    source="https://github.com/hollance/neural-engine/blob/master/docs/unsupported-layers.md",
)
def gather(each: _Seen) -> bool:
    """Any of the gathers."""
    return each.kind.startswith("gather")


@_rule(
    predicted="it does not run on the Neural Engine, which has no scatter",
    source="https://ane-guide.readthedocs.io/en/latest/part-1-machine/04-capability-surface.html",
)
def scatter(each: _Seen) -> bool:
    """Any of the scatters."""
    return each.kind.startswith("scatter")


@_rule(predicted="it runs on the GPU or CPU, for the Neural Engine computes in half precision", source=_GUIDE)
def single_precision(each: _Seen) -> bool:
    """A float32 result; what turns numbers to and from half precision at the model's ends does not count."""
    return each.kind != "cast" and any(output.dtype == "FLOAT32" for output in each.outputs)


@_rule(predicted="it does not run on the Neural Engine, whose kernels are at most 13 wide", source=_GUIDE)
def large_kernel(each: _Seen) -> bool:
    """A kernel of more than 13 columns."""
    return each.kernel is not None and each.kernel.shape[-1] > _WIDEST_KERNEL


@_rule(
    predicted="it does not run on the Neural Engine, whose maps have at most 16384 rows and columns and 65536 channels",
    source=_GUIDE,
)
def long_side(each: _Seen) -> bool:
    """A side that is longer than the engine's."""
    return any(
        max(output.shape[-2:], default=0) > _LONGEST or max(output.shape[-3:-2], default=0) > _MOST_CHANNELS
        for output in each.outputs
    )


@_rule(predicted="half of the memory or more is padding, for the last axis is padded to 64 bytes", source=_APPLE)
def short_last_axis(each: _Seen) -> bool:
    """A last axis of 32 bytes or less, in results of 64 kB and more."""
    return any(
        output.dtype in _BYTES
        and len(output.shape) > 1
        and min(output.shape) > 0
        and output.shape[-1] * _BYTES[output.dtype] * 2 <= _ROW
        and prod(output.shape) * _BYTES[output.dtype] >= 1 << 16
        for output in each.outputs
    )


@_rule(predicted="the numbers are copied in memory", source=_APPLE)
def copy(each: _Seen) -> bool:
    """Another shape or order of axes."""
    return each.kind in ("reshape", "transpose")
