"""Exported files compute what the authors' implementations compute: one file of each family, for any batch and size.

`pytest -m slow tests/models` goes over the golden cases of every variant and scale, which takes many minutes.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.torch import save_file

from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.runtimes import open_artifact
from edgesr.tensors import FloatArray, Size, one_of

if TYPE_CHECKING:
    from tests.models.conftest import GoldenCase

CLOSE = 1e-4
QUICK = ("esc-light-x4", "esc-fp-x3", "srconvnet-x4", "vapsr-x2", "rgt-s-x2")


def through_file(golden: "GoldenCase", folder: Path, size: Size | None) -> float:
    """‖Δ‖/‖y‖ of the exported file's output from the authors'."""
    layout = golden.layout
    weights = folder / "golden.safetensors"
    save_file({name: value.contiguous() for name, value in layout.filled().state_dict().items()}, weights)
    sizes = one_of((size,)) if size else None
    request = ExportRequest(model=layout.variant, scale=layout.scale, weights=str(weights), sizes=sizes, folder=folder / "out")
    artifact = export(request)
    # The golden pictures are in [0,1] whatever range the network takes; a file's input always stands for that range.
    peak = np.float32(layout.spec.family.input_peak)
    image: FloatArray = (golden.input.numpy() / peak).astype(np.float32)
    actual = open_artifact(artifact).run(image) * peak
    expected = golden.output.numpy()
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def test_a_file_of_each_family(golden: "GoldenCase", tmp_path: Path) -> None:
    if not golden.file.name.startswith(QUICK):
        pytest.skip("one file of each family is enough for every day: pytest -m slow runs all")
    assert through_file(golden, tmp_path, None) <= CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True], ids=["any-size", "one-size"])
def test_a_file_of_every_variant(golden: "GoldenCase", static: bool, tmp_path: Path) -> None:
    height, width = golden.input.shape[2:]
    assert through_file(golden, tmp_path, Size(height=height, width=width) if static else None) <= CLOSE
