"""What is measured by default, and what the exports should reach."""

from dataclasses import dataclass

from edgesr.tensors import Size

SQUARE = Size(height=128, width=128)
HD = Size(height=180, width=320)
"""The papers' setting: ×4 to 1280×720."""

MEMORY_SIZES = (SQUARE, HD)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a model should keep to, each at most.

    file_mb: 10⁶ bytes. nodes: with those of subgraphs. ratio: latency over that of the fastest float32 peer. memory_square_mb,
    memory_hd_mb: peak of a fresh process at SQUARE and at HD, in 2²⁰ bytes. export_seconds: without the start of Python.
    """

    file_mb: float
    nodes: int
    ratio: float
    memory_square_mb: int
    memory_hd_mb: int
    export_seconds: int = 20
    latency_size: Size = SQUARE


GOALS = {
    "esc": Goal(file_mb=4.6, nodes=900, ratio=0.80, memory_square_mb=250, memory_hd_mb=450),
    "esc-light": Goal(file_mb=3.1, nodes=560, ratio=0.80, memory_square_mb=250, memory_hd_mb=450),
    "esc-fp": Goal(file_mb=2.9, nodes=950, ratio=0.75, memory_square_mb=200, memory_hd_mb=400),
    "srconvnet": Goal(file_mb=4.6, nodes=750, ratio=0.60, memory_square_mb=200, memory_hd_mb=450),
    "vapsr": Goal(file_mb=1.6, nodes=240, ratio=0.90, memory_square_mb=90, memory_hd_mb=170),
    "rgt-s": Goal(
        file_mb=44,
        nodes=2500,
        ratio=0.80,
        memory_square_mb=600,
        memory_hd_mb=1200,
        export_seconds=60,
        latency_size=Size(height=64, width=64),
    ),
}

TORCHSCRIPT_ONLY = {"rgt-s", "rgt"}
"""PyTorch's newer exporter does not end within ten minutes on these references, so the naive form comes from the older one."""


def latency_size(model: str) -> Size:
    """The size at which a model's latency is measured unless another is asked for."""
    return GOALS[model].latency_size if model in GOALS else SQUARE
