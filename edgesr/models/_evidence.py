"""Reading a family's sizes off a state dict's tensor shapes."""

from edgesr.errors import CheckpointError
from edgesr.model import Shapes


class Evidence:
    """The shapes of a state dict that is taken for a network of family `title`.

    Every question that the tensors cannot answer, or answer in two ways, raises CheckpointError with the tensor's name.
    """

    def __init__(self, shapes: Shapes, *, title: str) -> None:
        self._shapes = shapes
        self._title = title

    def has(self, name: str) -> bool:
        """Whether there is a tensor `name`."""
        return name in self._shapes

    def shape(self, name: str, *, rank: int) -> tuple[int, ...]:
        """The shape of tensor `name`, which must have `rank` dimensions."""
        if name not in self._shapes:
            raise self.contradiction(f"has no tensor {name!r}")
        shape = tuple(self._shapes[name])
        if len(shape) != rank or min(shape, default=1) < 1:
            raise self.contradiction(f"{name!r} has shape {shape} where {rank} positive sizes are expected")
        return shape

    def count(self, prefix: str) -> int:
        """How many members the module list `prefix` has: its indices must be 0, 1, … without a gap.

        Bounded by the number of tensors, whatever index a name claims, so that a forged name cannot ask for a huge network.
        """
        dotted = prefix + "."
        found = {name[len(dotted) :].split(".")[0] for name in self._shapes if name.startswith(dotted)}
        if not found or found != {str(i) for i in range(len(found))}:
            raise self.contradiction(f"{prefix!r} is not a list of modules numbered from 0: {sorted(found)}")
        return len(found)

    def scale(self, name: str) -> int:
        """The factor s of a convolution `name` that makes the 3·s² channels of a PixelShuffle into an RGB picture."""
        channels = self.shape(name, rank=4)[0]
        for scale in range(1, 17):
            if 3 * scale**2 == channels:
                return scale
        raise self.contradiction(f"{name!r} makes {channels} channels, which is not 3·s² for any scale s")

    def contradiction(self, what: str) -> CheckpointError:
        """The error to raise for a state dict of this family with `what` wrong in it."""
        return CheckpointError(
            f"looks like {self._title}, but {what}", hint="The file may be incomplete, or of a relative that is not supported."
        )
