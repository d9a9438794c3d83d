"""The contract of a target: what a file in `edgesr/export/targets/` declares as its `TARGET`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgesr.errors import RegistryError
from edgesr.export.rewrite import TRAITS
from edgesr.manifest import Compiled
from edgesr.parity import Budget
from edgesr.progress import Progress, silent
from edgesr.registry import Registry, discover
from edgesr.tensors import Precision, Size, SizeRule

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What a target makes a file of.

    graphs: the sizes that each takes -> the network in ONNX; several where each size has a graph of its own. folder: where the
    files go. stem: what their names begin with. precision, options: as asked for. facts: what the file's metadata should say, as
    text: model, precision, input, title, scale, paper, licence, weights, version, and manifest, the manifest's identity.
    progress: told of what takes long.
    """

    graphs: Mapping[SizeRule, "onnx.ModelProto"]
    folder: Path
    stem: str
    precision: Precision
    options: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = silent

    @property
    def graph(self) -> "onnx.ModelProto":
        """The only graph."""
        (graph,) = self.graphs.values()
        return graph


@dataclass(frozen=True, kw_only=True)
class Form:
    """A model file that a target wrote, or a folder which is the model. compiled: for which chip, where it is for one."""

    path: Path
    compiled: Compiled | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """One kind of artifact.

    format: what kind of file it writes, as `Runtime.formats` names it. runtime: the runtime that verifies it. also_on: a device
        on which it is verified too, where the runtime works there.
    needs: the traits that it needs of the network (see `edgesr.export.rewrite.TRAITS`); rewrites bring them about where they
        match.
    opsets: the ONNX opsets that the graph may have, the default first.
    precisions: those that it can be asked for, the default first. rounds: whether `lower` brings the network to the precision,
        and not edgesr in the graph. budgets: where it asks for another parity than `verification.BUDGETS`.
    half_io: whether input and output may be float16 in half precision.
    default_size: what is exported for when no size is named; None is any size. several_sizes: whether it takes lists and ranges.
    profiles: whether the manifest states the shapes as profiles; then one graph serves all sizes, of a fixed number of pictures
        unless more are asked for.
    options: what else may be asked for, by name: the possible values, the default first. Three mean the same in every target:
        `io` is "image" where files take and give pictures of whole numbers (`TensorInfo.is_picture`); `layout` is "nhwc" where
        their colours come last; `shapes` is "functions" where each of several sizes gets a graph of its own. parsed: of options
        whose values are no list: text -> what the manifest says, or a UsageError. check: raises UsageError for a precision and
        options that do not go together.
    proof: where a run of the artifact takes very long, how large at most a smaller one is that is made and run in its place, if
        the option `verify` is not "full". The runtime's device `cpu` then runs what was compiled, in float32.
    lower: writes the model files, named after the stem: the artifact first, then other forms of it, which `runtime` opens too.
    package, extra: the module that `lower` imports beyond the base, and the extra of `pip install edgesr[extra]` that brings it.
    """

    title: str
    format: str
    runtime: str
    needs: frozenset[str]
    opsets: tuple[int, ...]
    precisions: tuple[Precision, ...]
    lower: Callable[[Conversion], tuple[Form, ...]]
    rounds: bool = False
    budgets: Mapping[Precision, Budget] = field(default_factory=dict)
    also_on: str = ""
    half_io: bool = False
    default_size: Size | None = None
    several_sizes: bool = False
    profiles: bool = False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parsed: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    check: Callable[[Precision, Mapping[str, str]], None] = lambda _, __: None
    proof: Size | None = None
    package: str = ""
    extra: str = ""


@cache
def targets() -> Registry[Target]:
    """All targets by name; raises RegistryError for a needed trait that nobody defines."""
    found = discover("edgesr.export.targets", "TARGET", Target)
    for name, target in found.items():
        unknown = target.needs - TRAITS.keys()
        if unknown:
            raise RegistryError(f"target {name} needs {', '.join(sorted(unknown))}, which nobody defines")
    return found
