"""What to export."""

from dataclasses import dataclass
from pathlib import Path

from edgesr.errors import UsageError
from edgesr.export.target import Target, targets
from edgesr.parity import IDENTICAL_DB
from edgesr.tensors import Precision, Size


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """One export.

    weights: a file, or the name of fetched official weights; None takes the demo weights or seeded ones. size: the one input size
    to convert for, or None for any. opset: the ONNX opset; None takes the target's default. budget_db: the least PSNR on the
    picture; None takes the precision's own. half_io: whether input and output of an fp16 artifact are float16 too. without:
    rewrites to leave out. folder: where the artifact goes; None makes one in the current folder, named after the model.
    """

    model: str
    scale: int | None = None
    weights: str | None = None
    target_name: str = "ort"
    size: Size | None = None
    opset: int | None = None
    precision: Precision = "fp32"
    budget_db: float | None = None
    half_io: bool = False
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
        if self.opset is not None and self.opset not in target.opsets:
            raise UsageError(
                f"target {self.target_name} has no opset {self.opset}",
                hint=f"Its opsets: {', '.join(str(opset) for opset in target.opsets)}.",
            )
        if self.budget_db is not None and not 0 < self.budget_db < IDENTICAL_DB:
            raise UsageError(f"{self.budget_db} dB is no budget", hint="Take decibels above 0, as in --budget 50.")
        if self.half_io and self.precision != "fp16":
            raise UsageError("float16 input and output need half precision", hint="Add --precision fp16, or leave --half-io out.")
        return target

    @property
    def opset_of_target(self) -> int:
        """The opset asked for, or the target's default."""
        return self.opset or self.target.opsets[0]
