"""The contract of a runtime: what a file in `edgesr/runtimes/` declares as its `RUNTIME`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgesr.tensors import FloatArray, SizeRule

if TYPE_CHECKING:
    from edgesr.artifact import Artifact


class Session(Protocol):
    """A loaded network."""

    @property
    def scale(self) -> int:
        """The upscaling factor s."""

    @property
    def sizes(self) -> SizeRule:
        """The input sizes that it takes."""

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW), not clamped.

        Raises SizeError before anything runs when the size is outside `sizes`.
        """


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One way to run a network.

    formats: the artifact formats that it opens, as targets name them; empty for the reference, which is built anew from the
        model and weights that a manifest names.
    package: the module that it needs and imports only when a session opens.
    extra: the extra of `pip install edgesr[extra]` that brings the package; empty when the base has it.
    open: a verified artifact -> a session; raises BackendMissingError where a device is missing. That the package is there has
        been checked before.
    """

    title: str
    formats: frozenset[str]
    package: str
    extra: str = ""
    open: Callable[["Artifact"], Session]
