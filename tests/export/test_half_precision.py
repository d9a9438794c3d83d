"""Half precision: what becomes float16, what stays float32, and that the islands are found by measuring."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from edgesr.errors import ParityError, UsageError
from edgesr.export.half_precision import in_half_precision, rounded_to_half
from edgesr.export.half_precision_search import find_islands
from edgesr.export.parity_inputs import picture
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.export.verification import verify
from edgesr.runtimes import open_artifact
from edgesr.tensors import Size


def model(text: str) -> onnx.ModelProto:
    """A graph of opset 20 in ONNX's textual syntax."""
    made: onnx.ModelProto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 20]>\n{text}')
    return made


def run(graph: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"input": x})
    return np.asarray(output)


SCALED = model(
    """g (float[N,3,H,W] input) => (float[N,3,H,W] output) <float large = {70000.0}, float[1] small = {0.1}> {
         a = Mul (input, small)
         b = Sqrt (a)
         output = Add (b, small)
    }"""
)


def types(graph: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(graph)
    return {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}


def test_everything_between_input_and_output_is_float16() -> None:
    half = in_half_precision(SCALED)
    assert [node.op_type for node in half.graph.node] == ["Cast", "Mul", "Sqrt", "Add", "Cast"]
    assert half.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert half.graph.output[0].name == "output"
    assert types(half)["a"] == onnx.TensorProto.FLOAT16
    x = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    assert np.abs(run(half, x) - run(SCALED, x)).max() < 1e-3


def test_half_input_and_output_need_no_casts() -> None:
    half = in_half_precision(SCALED, half_io=True)
    assert [node.op_type for node in half.graph.node] == ["Mul", "Sqrt", "Add"]
    assert run(half, np.zeros((1, 3, 2, 2), np.float16)).dtype == np.float16


def test_an_island_keeps_float32() -> None:
    half = in_half_precision(SCALED, {"Sqrt"})
    assert [node.op_type for node in half.graph.node] == ["Cast", "Mul", "Cast", "Sqrt", "Cast", "Add", "Cast"]
    assert types(half)["b"] == onnx.TensorProto.FLOAT


def test_a_weight_beyond_the_range_of_float16_stays_float32() -> None:
    graph = model(
        """g (float[N,3,H,W] input) => (float[N,3,H,W] output) <float[1] large = {70000.0}> {
             a = Mul (input, large)
             output = Div (a, large)
        }"""
    )
    x = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    assert np.allclose(run(in_half_precision(graph), x), x)


def test_islands_are_found_where_products_leave_the_range() -> None:
    graph = model(
        """g (float[N,3,H,W] input) => (float[N,3,H,W] output) <float[1] large = {60000.0}, float[1] ten = {10.0}> {
             a = Mul (input, large)
             b = Mul (a, ten)
             c = Transpose <perm = [0, 1, 3, 2]> (b)
             d = Div (c, ten)
             e = Div (d, large)
             output = Sigmoid (e)
        }"""
    )
    x = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    islands, found = find_islands(graph, x, run(graph, x), psnr_db=50)
    assert islands == ("Div", "Mul"), "one of them alone would not do, and what lies between moves float32"
    assert found.psnr_db > 53
    half = in_half_precision(graph, islands)
    assert types(half)["c"] == onnx.TensorProto.FLOAT
    (strict,) = ReferenceEvaluator(half).run(None, {"input": x})  # rounds between all operators, as few runtimes do
    assert np.abs(strict - run(graph, x)).max() < 1e-3


def test_an_island_whose_results_do_not_fit_its_readers_is_none() -> None:
    graph = model(
        """g (float[N,3,H,W] input) => (float[N,3,H,W] output) <float[1] large = {2000.0}> {
             a = Mul (input, large)
             b = Mul (a, large)
             c = Sqrt (b)
             d = Div (c, large)
             output = Sigmoid (d)
        }"""
    )
    x = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    expected = run(graph, x)
    assert np.abs(run(rounded_to_half(graph, ("Mul",)), x) - expected).max() > 0.1
    islands, _ = find_islands(graph, x, expected, psnr_db=50)
    assert islands == ("Mul", "Sqrt")
    (strict,) = ReferenceEvaluator(in_half_precision(graph, islands)).run(None, {"input": x})
    assert np.abs(strict - expected).max() < 1e-3


def test_half_precision_that_is_none_is_refused() -> None:
    graph = model(
        """g (float[N,3,H,W] input) => (float[N,3,H,W] output) <float[1] large = {2000.0}> {
             a = Mul (input, large)
             b = Mul (a, large)
             c = Div (b, large)
             output = Div (c, large)
        }"""
    )
    x = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    with pytest.raises(ParityError, match="all in float32"):
        find_islands(graph, x, x, psnr_db=50)


def test_what_follows_from_the_shape_alone_stays_float32() -> None:
    graph = model(
        """g (float[N,3,H,W] input) => (float[N,3,H,W] output) {
             size = Shape <start = 3, end = 4> (input)
             width = Cast <to = 1> (size)
             many = Mul (width, width)
             root = Sqrt (many)
             output = Div (input, root)
        }"""
    )
    half = in_half_precision(graph)
    assert {name: types(half)[name] for name in ("width", "many", "root")} == dict.fromkeys(("width", "many", "root"), 1)
    x = np.random.default_rng(0).random((1, 3, 1, 300), dtype=np.float32)
    assert np.abs(run(half, x) - run(graph, x)).max() < 1e-5


def test_bodies_of_scans_are_converted_too() -> None:
    graph = model(
        """g (float[N,3,H,W] input) => (float[N,3,H,W] output) <float[1] factor = {0.3}> {
             output = Scan <num_scan_inputs = 1, body = one (float[C,H,W] x) => (float[C,H,W] y) {
               s = Mul (x, factor)
               t = Exp (s)
               y = Add (t, factor)
             }> (input)
        }"""
    )
    x = np.random.default_rng(0).random((2, 3, 4, 5), dtype=np.float32)
    for islands in ((), ("Exp",)):
        half = in_half_precision(graph, islands)
        assert 1e-6 < np.abs(run(half, x) - run(graph, x)).max() < 3e-3
        assert 1e-6 < np.abs(run(rounded_to_half(graph, islands), x) - run(graph, x)).max() < 3e-3
    assert np.array_equal(run(rounded_to_half(graph, ("Mul", "Exp", "Add", "Scan")), x), run(graph, x))


def test_rounding_happens_for_certain() -> None:
    x = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)

    def half(values: Any) -> Any:
        return np.asarray(values, np.float16).astype(np.float32)

    expected = half(half(np.sqrt(half(half(x) * half(0.1)))) + half(0.1))
    np.testing.assert_array_equal(run(rounded_to_half(SCALED), x), expected)


def test_an_artifact_in_half_precision(tmp_path: Path) -> None:
    artifact = export(ExportRequest(model="vapsr-s", precision="fp16", half_io=True, folder=tmp_path / "half"))
    manifest = artifact.manifest
    assert (manifest.precision, manifest.input.dtype, manifest.output.dtype) == ("fp16", "float16", "float16")
    assert [edge.name for edge in manifest.parity] == ["rewritten", "rounded to float16", "artifact"]
    assert 50 <= manifest.parity[-1].extremes["psnr_db"] < 100
    assert artifact.path.stat().st_size < 0.4e6
    assert verify(tmp_path / "half").edge == manifest.parity[2]
    output = open_artifact(artifact).run(picture(Size(height=16, width=16)))
    assert output.dtype == np.float32


def test_a_budget_that_half_precision_misses_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="half precision cannot reach 160 dB"):
        export(ExportRequest(model="vapsr-s", precision="fp16", budget_db=160, folder=tmp_path / "half"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("budget", [0, -5, float("nan"), float("inf"), 300])
def test_a_budget_is_decibels_above_zero(budget: float) -> None:
    with pytest.raises(UsageError, match="no budget"):
        _ = ExportRequest(model="vapsr-s", budget_db=budget).target


def test_half_input_needs_half_precision() -> None:
    with pytest.raises(UsageError, match="need half precision"):
        _ = ExportRequest(model="vapsr-s", half_io=True).target
