"""VapSR with its state kept channels-last: the same network at awkward sizes, and no transposition left in ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgesr.artifact import Artifact
from edgesr.export.rewrite import apply_plan, plan
from edgesr.parity import difference
from edgesr.reference import load_reference
from edgesr.runtimes import open_artifact


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (33, 47)])
def test_one_file_is_the_reference_at_every_size_and_batch(vapsr_s: Artifact, height: int, width: int) -> None:
    session = open_artifact(vapsr_s, runtime="ort")
    reference = load_reference(model="vapsr-s", scale=4, weights=None).unit_module()
    images = np.random.default_rng(3).random((2, 3, height, width), dtype=np.float32)
    with torch.inference_mode():
        expected = reference(torch.from_numpy(images)).numpy()
    assert difference("noise", expected, session.run(images)).relative_l2 < 1e-5


def test_every_transposition_becomes_part_of_a_copy_into_or_out_of_the_blocked_layout(vapsr_s: Artifact, tmp_path: Path) -> None:
    stored = onnx.load(vapsr_s.path).graph.node
    assert sum(node.op_type == "Transpose" for node in stored) == 2 * 11
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3  # such a file is for this machine alone, of which it warns
    onnxruntime.InferenceSession(str(vapsr_s.path), options, providers=["CPUExecutionProvider"])
    optimised = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    if "ReorderInput" not in optimised:
        pytest.skip("ONNX Runtime has no blocked layout on this processor")
    assert optimised.count("Transpose") == 0


def test_the_rewrite_matches_the_body_alone() -> None:
    reference = load_reference(model="vapsr-s", scale=4, weights=None).unit_module()
    (applied,) = (step for step in apply_plan(plan({"channels_last"}), reference)[1] if step.name == "channels-last-residual")
    assert [path.rpartition(".")[2] for path in applied.matches] == ["body"]
    assert not applied.refusals
