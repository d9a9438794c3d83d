"""What to export."""

from dataclasses import dataclass
from pathlib import Path

from edgesr.errors import UsageError
from edgesr.export.target import Target, targets
from edgesr.tensors import Precision, Size


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """One export.

    size: the one input size to convert for, or None for any. weights: a file, or the name of fetched official weights; None
    takes the demo weights or seeded ones. without: rewrites to leave out. folder: where the artifact goes; None makes one in
    the current folder, named after the model.
    """

    model: str
    scale: int | None = None
    weights: str | None = None
    target_name: str = "ort"
    size: Size | None = None
    precision: Precision = "fp32"
    without: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def target(self) -> Target:
        """The target; raises UnknownNameError, or UsageError for a precision that it does not have."""
        target = targets()[self.target_name]
        if self.precision not in target.precisions:
            raise UsageError(
                f"target {self.target_name} has no precision {self.precision!r}",
                hint=f"Its precisions: {', '.join(target.precisions)}.",
            )
        return target
