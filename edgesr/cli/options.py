"""Options that several commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Scale = Annotated[int | None, typer.Option(help="Upscaling factor; 4 unless the weights say otherwise.", show_default=False)]
Weights = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Checkpoint (.pth, .pt, .safetensors), or the name of fetched official weights."),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="Where it runs: cpu, cuda; in Core ML all, cpu, gpu or ane; in mil-reference exact (no rounding); in QNN a chip.",
        show_default=False,
    ),
]
