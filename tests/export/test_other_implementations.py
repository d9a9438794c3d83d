"""The graph of standard operators means the same to ONNX's own reference evaluator, and to OpenVINO where it is installed."""

import numpy as np
import onnx
import onnx.reference
import pytest

from edgesr.artifact import Artifact
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.export.verification import read_recorded
from edgesr.parity import difference
from edgesr.tensors import FloatArray

CLOSE = 1e-4
OPENVINO_LACKS = {
    "failed for: Scan": "in OpenVINO 2026.4 the body of a Scan sees no computed value from outside, and holds no other Scan",
    "DFT": "OpenVINO 2026.4 takes the output of opset 20's DFT for one of rank 6",
}
"""What OpenVINO's error names -> why it cannot read the graph."""
MODELS = ("esc-light", "esc-fp", "srconvnet", "vapsr-s", "rgt-s")


@pytest.fixture(scope="module", params=MODELS)
def standard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A model of each family as ONNX of standard operators, for any batch and size."""
    folder = tmp_path_factory.mktemp("standard") / request.param
    return export(ExportRequest(model=request.param, target_name="onnx", folder=folder))


def smallest(artifact: Artifact) -> tuple[FloatArray, FloatArray]:
    """The smallest input on which the reference's output was recorded, and that output."""
    inputs, outputs = read_recorded(artifact.folder / "parity.npz")
    name = min(inputs, key=lambda each: inputs[each].size)
    return inputs[name], outputs[name]


def test_only_standard_operators(standard: Artifact) -> None:
    assert {opset.domain for opset in onnx.load(standard.path).opset_import} == {""}


def test_reference_evaluator(standard: Artifact) -> None:
    image, expected = smallest(standard)
    (output,) = onnx.reference.ReferenceEvaluator(str(standard.path)).run(None, {"input": image})
    assert difference("smallest", expected, np.asarray(output)).relative_l2 < CLOSE


def test_openvino(standard: Artifact) -> None:
    openvino = pytest.importorskip("openvino")
    try:
        compiled = openvino.Core().compile_model(str(standard.path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        reasons = [reason for operator, reason in OPENVINO_LACKS.items() if operator in str(error)]
        if not reasons:
            raise
        pytest.xfail(reasons[0])
    inputs, outputs = read_recorded(standard.folder / "parity.npz")
    for name, image in inputs.items():
        assert difference(name, outputs[name], compiled(image)[0]).relative_l2 < CLOSE, name
