"""The contract of a model family: what a file in `edgesr/models/` declares as its `MODEL`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

Shapes = Mapping[str, tuple[int, ...]]
"""A state dict's tensor names and shapes: all that detection may look at."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far an output pixel sees: does a tile see what the whole picture sees?

    local: `radius` input pixels in every direction, so tiles that overlap by it give the untiled result exactly.
    windowed: as far as its attention windows, whose grid starts at the picture's corner; tiles aligned to it come close.
    global: the whole picture (global pooling, FFT, or attention over everything), so every tiling is an approximation.
    """

    kind: Literal["local", "windowed", "global"]
    radius: int | None = None


@dataclass(frozen=True, kw_only=True)
class OfficialWeights:
    """A checkpoint that the authors publish. `sha256` is None where nobody could check the file."""

    file: str
    variant: str
    scale: int
    url: str
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Family:
    """One network family.

    variants: variant name -> scale -> configuration (the dataclass that `build` takes).
    build: configuration -> the reference module, with the authors' state-dict names.
    detect: tensor names and shapes -> configuration, or None when the tensors are not this family's. Names alone decide
        whether they are; sizes that contradict each other raise CheckpointError.
    minimum_size: configuration -> the smallest height and width in pixels, both inclusive.
    maximum_size: the largest height and width in pixels, both inclusive, up to which the network is one and the same graph; None
        where it always is. Larger pictures need a graph of their own.
    reach: configuration -> how far an output pixel sees.
    weights, weights_page: the checkpoints that can be fetched, and the page on which the authors publish theirs.
    input_peak: the network's own input and output range is [0, input_peak]; artifacts always take [0,1].
    """

    title: str
    paper: str
    licence: str
    variants: Mapping[str, Mapping[int, Any]]
    build: Callable[[Any], "nn.Module"]
    detect: Callable[[Shapes], Any | None]
    minimum_size: Callable[[Any], int]
    reach: Callable[[Any], Reach]
    input_peak: float = 1.0
    maximum_size: int | None = None
    weights: tuple[OfficialWeights, ...] = ()
    weights_page: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One network of a family: a variant at a scale, or a checkpoint's own configuration (`variant` None)."""

    family_name: str
    family: Family
    variant: str | None
    config: Any

    @property
    def scale(self) -> int:
        """The upscaling factor."""
        return int(self.config.scale)

    @property
    def name(self) -> str:
        """Variant and scale as file names write them, as in `vapsr-s-x4`."""
        return f"{self.variant or self.family_name + '-custom'}-x{self.scale}"

    @property
    def minimum_size(self) -> int:
        """The smallest input height and width in pixels, inclusive."""
        return self.family.minimum_size(self.config)

    @property
    def reach(self) -> Reach:
        """How far an output pixel sees."""
        return self.family.reach(self.config)

    def build(self) -> "nn.Module":
        """The reference module: float32, in eval mode, with freshly initialised weights."""
        return self.family.build(self.config).eval()

    def skeleton(self) -> "nn.Module":
        """The reference module without memory behind its tensors, for questions of names, shapes and cost."""
        import torch

        with torch.device("meta"):
            return self.build()
