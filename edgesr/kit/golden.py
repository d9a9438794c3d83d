"""A picture and what the reference made of it, for an app's model to be compared with."""

from dataclasses import dataclass

import numpy as np

from edgesr.artifact import Artifact
from edgesr.errors import ArtifactError
from edgesr.image_decoding import Samples
from edgesr.images import to_samples
from edgesr.parity import PICTURE
from edgesr.recorded import RECORDED, read_recorded
from edgesr.tensors import FloatArray, Size


@dataclass(frozen=True, kw_only=True, eq=False)
class Golden:
    """Samples (H,W,3) and (sH,sW,3), uint8.

    mean_square: how far an app's result may be, of samples from 0 to 255: what the artifact's budget allows, and 1 for the
    rounding of both results, whichever way Core ML rounds.
    """

    input: Samples
    output: Samples
    mean_square: float

    @property
    def size(self) -> Size:
        """Of the input."""
        return Size(height=self.input.shape[0], width=self.input.shape[1])


def golden(artifact: Artifact) -> Golden:
    """The largest picture that the export recorded; raises ArtifactError when there is none of 8 bits."""
    path = artifact.folder / RECORDED
    inputs, outputs = read_recorded(path)
    pictures = {name: image for name, image in inputs.items() if name.startswith(PICTURE) and _is_of_8_bits(image)}
    if not pictures:
        raise ArtifactError(f"{path} holds no picture of 8 bits", hint="Export the model again.")
    name = max(pictures, key=lambda each: pictures[each].size)
    return Golden(
        input=to_samples(pictures[name][0].transpose(1, 2, 0)),
        output=to_samples(outputs[name][0].transpose(1, 2, 0)),
        mean_square=255**2 * 10 ** (-artifact.manifest.budget.psnr_db / 10) + 1,
    )


def _is_of_8_bits(image: FloatArray) -> bool:
    return bool(np.all(np.abs(image * 255 - np.rint(image * 255)) < 1e-3))
