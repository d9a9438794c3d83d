"""The compiler's process: what it refuses, its aborts, its hanging, each with a planted one in its place."""

import sys
import time
from pathlib import Path

import onnx
import pytest

from edgesr import backends
from edgesr.errors import ExportError, UsageError
from edgesr.export.onnx_graph import REWRITE_KEY
from edgesr.export.qnn.compiling import Placement, compile_for

LOG = (
    "\x1b[1;31m2026 [E:onnxruntime:, qnn_execution_provider.cc:2453 GetCapabilityImpl] Unsupported nodes in QNN EP: "
    "{ name: node_view_token_7, type: Reshape }{ name: node_mul, type: Mul }{ name: node_softmax, type: Softmax }, \x1b[m\n"
)
"""In the form of the provider's own."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A graph with a node that a rewrite made, in a folder of its own, which is where the compiler writes."""
    shapes = {"input": [1, 3, 4, 4], "output": [1, 3, 2, 2, 2, 2, 1]}
    given, made = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items())
    node = onnx.helper.make_node("Reshape", ["input", "shape"], ["output"], name="node_view")
    node.metadata_props.add(key=REWRITE_KEY, value="window-attention-at-once")
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [7], shapes["output"])
    path = tmp_path / "made" / "net.onnx"
    path.parent.mkdir()
    graph = onnx.helper.make_graph([node], "net", [given], [made], [shape])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def planted(model: Path, code: str) -> Placement:
    """What comes of a compiler that runs these lines, with what it was asked for as `asked`."""
    command = (sys.executable, "-c", f"import json, os, sys, time; asked = json.loads(sys.argv[1])\n{code}")
    return compile_for("sm8650", model, model.parent / "net.sm8650.onnx", level=2, command=command)


def test_it_runs_beside_the_model_and_says_what_it_placed(model: Path) -> None:
    """Paths go to the compiler as they are seen from the model's folder, for the binary depends on them."""
    trace = {"summary": {"supported_nodes": 3, "unsupported_nodes": 1}, "unsupported_nodes": []}
    code = f"""
assert [asked[name] for name in ("chip", "level", "model", "context")] == ["sm8650", 2, "net.onnx", "net.sm8650.onnx"]
open(asked["model"]).close()
open(asked["context"], "w").close()
json.dump({trace}, open(os.path.join(asked["trace"], "qnn_op_trace.json"), "w"))
"""
    code += """
graph = {"graph": {"nodes": {"a": {"type": "Conv2d"}, "b": {"type": "Gelu"}, "c": {"type": "Conv2d"}}}}
json.dump(graph, open(os.path.join(asked["trace"], "net.json"), "w"))
json.dump([], open(os.path.join(asked["trace"], "tensors.json"), "w"))
"""
    assert planted(model, code) == Placement(npu=3, cpu=1, operators={"Conv2d": 2, "Gelu": 1})
    assert {path.name for path in model.parent.iterdir()} == {"net.onnx", "net.sm8650.onnx"}


def test_a_refused_node_is_named_with_its_rewrite_even_where_the_compiler_then_aborts(model: Path) -> None:
    with pytest.raises(ExportError, match="cannot run on the NPU of sm8650: QNN's validation refuses it; and 2 more") as raised:
        planted(model, f"print({LOG!r}, file=sys.stderr, flush=True)\nos.abort()")
    assert "Reshape node_view_token_7 (1×3×4×4 and 1×3×2×2×2×2×1), made by the rewrite window-attention" in raised.value.message
    assert "max_rank_5" in raised.value.hint
    assert "edgesr plan" in raised.value.hint


@pytest.mark.skipif(not backends.available("onnxruntime_qnn"), reason="onnxruntime-qnn is not installed")
def test_qualcomms_compiler_itself_refuses_seven_axes_and_the_node_is_named(model: Path) -> None:
    with pytest.raises(
        ExportError, match=r"^Reshape node_view \(1×3×4×4 and 1×3×2×2×2×2×1\), made by the rewrite window-a"
    ) as raised:
        compile_for("sm8650", model, model.parent / "net.sm8650.onnx", level=1)
    assert "cannot run on the NPU of sm8650: QNN's validation refuses it" in raised.value.message
    assert "max_rank_5" in raised.value.hint
    assert [path.name for path in model.parent.iterdir()] == ["net.onnx"]


@pytest.mark.skipif(not backends.available("onnxruntime_qnn"), reason="onnxruntime-qnn is not installed")
def test_qualcomms_compiler_itself_knows_no_fourier_transform(model: Path) -> None:
    graph = onnx.load(model)
    (node,) = graph.graph.node
    node.op_type, node.name = "DFT", "node_fft"
    node.input[:], node.output[:] = ["input", "", "axis"], ["output"]
    graph.graph.initializer.append(onnx.helper.make_tensor("axis", onnx.TensorProto.INT64, [], [2]))
    graph.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, 4, 4, 2]))
    graph.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [1, 3, 4, 4, 2]))
    onnx.save(graph, model)
    with pytest.raises(ExportError, match=r"^DFT node_fft .*: Operators of type `DFT` are not supported") as raised:
        compile_for("sm8650", model, model.parent / "net.sm8650.onnx", level=1)
    assert "constant_transforms" in raised.value.hint
    assert "fourier-linear" in raised.value.hint


@pytest.mark.parametrize("seconds", ["abc", "-5", "0", "1.5"])
def test_a_time_limit_that_is_none_is_refused(seconds: str, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESR_QNN_SECONDS", seconds)
    with pytest.raises(UsageError, match=f"EDGESR_QNN_SECONDS={seconds} is no time limit"):
        planted(model, "pass")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('terminate called: boom', flush=True)\nos.abort()", "SIGABRT: terminate called: boom"),
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("open(os.path.join(asked['trace'], 'qnn_op_trace.json'), 'w').write('{')\nos.abort()", "SIGABRT"),
        ("open(asked['context'], 'w').close()", "did not say what of the network runs on the NPU"),
        ("os.kill(os.getpid(), 40)", "code -40"),
        ("json.dump({'x': 1}, open(os.path.join(asked['trace'], 'qnn_op_trace.json'), 'w'))\nsys.exit(3)", "code 3"),
        ("sys.exit('error: no such thing')", "code 1: error: no such thing"),
        ("pass", "code 0"),
    ],
)
def test_a_compiler_that_dies_is_an_error_that_says_how(code: str, message: str, model: Path) -> None:
    with pytest.raises(ExportError, match=message) as raised:
        planted(model, code)
    assert ("--tables compact" in raised.value.hint) == ("SIGKILL" in message)


def test_a_full_disk_is_named(model: Path) -> None:
    with pytest.raises(ExportError, match="code 1") as raised:
        planted(model, "sys.exit('error: Failed to write context cache file')")
    assert "disk full" in raised.value.hint


def test_a_compiler_that_hangs_is_ended_with_its_own_children(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESR_QNN_SECONDS", "1")
    mark = model.parent / "alive"
    child = f"import time; time.sleep(3); open({str(mark)!r}, 'w')"
    begin = time.monotonic()
    with pytest.raises(ExportError, match="not done within 1 s") as raised:
        planted(model, f"import subprocess; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)")
    assert time.monotonic() - begin < 10
    assert "EDGESR_QNN_SECONDS=2" in raised.value.hint
    assert "--optimization O1" in raised.value.hint
    time.sleep(max(0, 3.5 - (time.monotonic() - begin)))
    assert not mark.exists()
