"""edgesr: efficient super-resolution networks, from the authors' checkpoints to what phones and Jetsons run."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build_model"]
__version__ = "0.1.0"


def build_model(name: str, *, scale: int = 4) -> "nn.Module":
    """The reference network `name` (see `edgesr models`), as its authors define it, with freshly initialised weights.

    x (B,3,H,W) RGB -> (B,3,sH,sW), float32, eval mode; the range is [0,1] but for families whose `input_peak` says otherwise.
    Raises UnknownNameError or UsageError (a scale that the model does not have).
    """
    from edgesr.models import model_spec

    return model_spec(name, scale=scale).build()
