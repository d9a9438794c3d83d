"""The contract of a target: what a file in `edgesr/export/targets/` declares as its `TARGET`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgesr.errors import RegistryError
from edgesr.export.rewrite import TRAITS
from edgesr.registry import Registry, discover
from edgesr.tensors import Precision

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class Target:
    """One kind of artifact.

    format: what kind of file it writes, as `Runtime.formats` names it. runtime: the runtime that verifies it.
    needs: the traits that it needs of the network (see `edgesr.export.rewrite.TRAITS`); rewrites bring them about where they
        match.
    opsets: the ONNX opsets that the graph may have, the default first.
    lower: (graph, folder, stem) -> the model files, written into the folder and named after the stem: the artifact first, then
        other forms of it, which `runtime` opens too.
    package, extra: the module that `lower` imports beyond the base, and the extra of `pip install edgesr[extra]` that brings it.
    """

    title: str
    format: str
    runtime: str
    needs: frozenset[str]
    opsets: tuple[int, ...]
    precisions: tuple[Precision, ...]
    lower: Callable[["onnx.ModelProto", Path, str], tuple[Path, ...]]
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
