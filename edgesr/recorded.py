"""Inputs and the reference's outputs beside an artifact, so that it can be verified without checkpoint and PyTorch."""

import zipfile
from pathlib import Path

import numpy as np

from edgesr.errors import ArtifactError
from edgesr.tensors import FloatArray

RECORDED = "parity.npz"
"""The file's name in an artifact's folder."""

Pictures = dict[str, FloatArray]
"""Input name -> (N,3,H,W)."""


def write_recorded(path: Path, inputs: Pictures, outputs: Pictures) -> None:
    """Write inputs and outputs as one `.npz`: arrays `input/NAME` and `output/NAME`."""
    arrays = {f"input/{name}": array for name, array in inputs.items()}
    arrays |= {f"output/{name}": array for name, array in outputs.items()}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]  # numpy's stub gives its own options the names of arrays


def read_recorded(path: Path) -> tuple[Pictures, Pictures]:
    """What `write_recorded` wrote; raises ArtifactError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            named = {key.partition("/")[::2]: arrays[key] for key in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path} cannot be read: {error}", hint="Export the model again.") from error
    inputs = {name: array for (kind, name), array in named.items() if kind == "input"}
    outputs = {name: array for (kind, name), array in named.items() if kind == "output"}
    if not inputs or inputs.keys() != outputs.keys():
        raise ArtifactError(f"{path} cannot be read: it holds no output for every input", hint="Export the model again.")
    return inputs, outputs
