"""How engines are built."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """workspace_mb: the most scratch memory that TensorRT may use for one layer, in MB of 2²⁰ bytes; None leaves it the whole
    GPU.

    tf32: whether float32 convolutions and products may be rounded to TF32's 10 bits, which is faster and no longer the same
    function to 1e-4. timing_cache: the file for measured times; None takes the one in the artifact's folder. again: whether to
    build what is there already.
    """

    workspace_mb: int | None = None
    tf32: bool = False
    timing_cache: Path | None = None
    again: bool = False

    @property
    def record(self) -> dict[str, str]:
        """What changes the engine, for its manifest and its name."""
        workspace = "all" if self.workspace_mb is None else f"{self.workspace_mb} MB"
        return {"workspace": workspace, "tf32": "yes" if self.tf32 else "no"}
