"""`.ort` files: the same bytes each time, the same function, and the list of operators that a small build needs."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edgesr.artifact import Artifact
from edgesr.errors import ExportError
from edgesr.export.ort_format import write_ort_format

TEXT = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,3,H,W] input) => (float[N,3,H,W] output) <float[1] factor = {0.5}, float[1] shift = {-1.0}, int64[2] axes = {2, 3}> {
  scaled = Scan <num_scan_inputs = 1, body = one (float[C,H,W] x) => (float[C,H,W] y) {
    t = Exp (x)
    y = Mul (t, factor)
  }> (input)
  mean = ReduceMean <keepdims = 1> (scaled, axes)
  moved = Add (mean, shift)
  output = Mul (scaled, moved)
}"""


def test_names_and_weights_stand_in_the_same_order_each_time(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(TEXT)
    files = [tmp_path / name for name in ("one.ort", "two.ort")]
    configs = [write_ort_format(model, file) for file in files]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert configs[0].read_text() == configs[1].read_text()


def test_it_is_the_same_function(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(TEXT)
    write_ort_format(model, tmp_path / "one.ort")
    x = np.random.default_rng(0).random((2, 3, 5, 4), dtype=np.float32)
    expected, actual = (
        onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]
        for source in (model.SerializeToString(), str(tmp_path / "one.ort"))
    )
    assert np.abs(np.asarray(expected) - np.asarray(actual)).max() < 1e-6


def test_the_operators_of_bodies_are_listed_too(tmp_path: Path) -> None:
    config = write_ort_format(onnx.parser.parse_model(TEXT), tmp_path / "one.ort")
    lines = config.read_text().splitlines()
    assert lines[1:] == ["ai.onnx;13;Exp", "ai.onnx;14;Add,Mul", "ai.onnx;18;ReduceMean", "ai.onnx;19;Scan"]


def test_an_artifact_has_it_beside_the_onnx_file(vapsr_s: Artifact) -> None:
    names = {file.name for file in vapsr_s.manifest.files}
    assert {"vapsr-s-x4-fp32.onnx", "vapsr-s-x4-fp32.ort", "vapsr-s-x4-fp32.config"} <= names
    assert "FusedConv" in (vapsr_s.folder / "vapsr-s-x4-fp32.config").read_text()


def test_a_graph_that_onnx_runtime_cannot_take(tmp_path: Path) -> None:
    broken = onnx.parser.parse_model(TEXT.replace("ReduceMean", "Nothing"))
    with pytest.raises(ExportError, match="cannot write this graph"):
        write_ort_format(broken, tmp_path / "one.ort")
