"""IO binding, on the processor by the real thing: what is bound once is read and written by every run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgesr.artifact import Artifact
from edgesr.runtime import Options
from edgesr.runtimes.ort import OrtSession, _Binding, session_options
from edgesr.tensors import FloatArray

SHAPE = (1, 3, 9, 14)


@pytest.fixture(scope="module")
def session(vapsr_s: Artifact) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        str(vapsr_s.path), session_options(Options(threads=1)), providers=["CPUExecutionProvider"]
    )


@pytest.fixture
def as_if_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], str]]:
    """What is asked for on cuda is made on the processor; the shapes and devices that were asked for."""
    asked: list[tuple[list[int], str]] = []
    real = onnxruntime.OrtValue.ortvalue_from_shape_and_type

    def made(shape: list[int], element_type: Any, device_type: str, device_id: int) -> Any:
        asked.append((shape, device_type))
        return real(shape, element_type, "cpu", device_id)

    monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_shape_and_type", made)
    return asked


def image(seed: int, shape: tuple[int, ...] = SHAPE) -> FloatArray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def test_a_run_reads_and_writes_what_was_bound(vapsr_s: Artifact, session: onnxruntime.InferenceSession) -> None:
    plain = OrtSession(session, vapsr_s.manifest)
    binding = _Binding(session, vapsr_s.manifest, SHAPE, "cpu")
    places = binding._input.data_ptr(), binding._output.data_ptr()
    for seed in (0, 1):
        binding.put(image(seed))
        binding.run()
        np.testing.assert_array_equal(binding.output(), plain.run(image(seed)))
    assert (binding._input.data_ptr(), binding._output.data_ptr()) == places, "a run made itself another input or output"
    (given,) = binding._binding.get_outputs()
    assert given.data_ptr() == places[1], "the run wrote elsewhere"


def test_nothing_is_copied_by_a_run(vapsr_s: Artifact, session: onnxruntime.InferenceSession) -> None:
    bound = OrtSession(session, vapsr_s.manifest).bind(image(0))
    bound()
    first = bound.output()
    given = image(0)
    again = OrtSession(session, vapsr_s.manifest).bind(given)
    given[:] = 0  # the image was put in place before
    again()
    np.testing.assert_array_equal(again.output(), first)


def test_on_a_gpu_pictures_of_one_size_share_a_binding(
    vapsr_s: Artifact, session: onnxruntime.InferenceSession, as_if_on_a_gpu: list[tuple[list[int], str]]
) -> None:
    plain, on_gpu = (OrtSession(session, vapsr_s.manifest, device=device) for device in ("cpu", "cuda"))
    sizes = (SHAPE, SHAPE, (2, 3, 5, 6), SHAPE)
    for seed, shape in enumerate(sizes):
        np.testing.assert_array_equal(on_gpu.run(image(seed, shape)), plain.run(image(seed, shape)))
    assert as_if_on_a_gpu == [
        (list(shape), "cuda") for size in (SHAPE, (2, 3, 5, 6), SHAPE) for shape in (size, (*size[:2], 4 * size[2], 4 * size[3]))
    ]


def test_half_precision_at_the_door(vapsr_s: Artifact, as_if_on_a_gpu: list[tuple[list[int], str]]) -> None:
    """A file with float16 input and output gets them, and gives float32 on."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT16, ["N", 3, None, None]) for name in ("input", "output"))
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1.0, 1.0, 4.0, 4.0])
    node = helper.make_node("Resize", ["input", "", "scales"], ["output"], mode="nearest")
    graph = helper.make_graph([node], "repeated", [x], [y], [scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    manifest = vapsr_s.manifest
    half = replace(manifest, input=replace(manifest.input, dtype="float16"), output=replace(manifest.output, dtype="float16"))
    output = OrtSession(session, half, device="cuda").run(image(0))
    assert output.dtype == np.float32
    np.testing.assert_array_equal(output[:, :, ::4, ::4], image(0).astype(np.float16).astype(np.float32))


class Full:
    """A session whose device has no memory left."""

    def __init__(self, text: str) -> None:
        self.text = text

    def io_binding(self) -> Any:
        return self

    def bind_ortvalue_input(self, name: str, ortvalue: Any) -> None: ...

    def bind_ortvalue_output(self, name: str, ortvalue: Any) -> None: ...

    def run_with_iobinding(self, iobinding: Any) -> None:
        raise RuntimeError(self.text)


def test_too_little_memory_names_the_size(vapsr_s: Artifact) -> None:
    full: Any = Full("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer of size 9")
    with pytest.raises(MemoryError, match="9x14"):
        _Binding(full, vapsr_s.manifest, SHAPE, "cpu").run()
    other: Any = Full("something else")
    with pytest.raises(RuntimeError, match="something else"):
        _Binding(other, vapsr_s.manifest, SHAPE, "cpu").run()


@pytest.mark.parametrize("name", ["bind_ortvalue_input", "bind_ortvalue_output", "synchronize_outputs", "get_outputs"])
def test_the_stand_ins_know_what_the_real_binding_knows(name: str) -> None:
    assert callable(getattr(onnxruntime.IOBinding, name))


def on_cuda() -> bool:
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.mark.skipif(not on_cuda(), reason="this onnxruntime has no CUDA provider")
def test_on_a_real_gpu(vapsr_s: Artifact) -> None:
    from edgesr.runtimes import open_artifact

    on_gpu, plain = (open_artifact(vapsr_s, runtime="ort", options=Options(device=device)) for device in ("cuda", "cpu"))
    expected = plain.run(image(0))
    bound = on_gpu.bind(image(0))
    for _ in range(3):
        bound()
    for output in (bound.output(), on_gpu.run(image(0))):
        np.testing.assert_allclose(output, expected, atol=1e-4)


Command = Callable[..., Any]


def test_memory_of_a_gpu_is_one_clear_error(
    edgesr: Command, vapsr_s: Artifact, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    def full(*_: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.\nMore lines")

    Image.new("RGB", (20, 20)).save(tmp_path / "in.png")
    monkeypatch.setattr(OrtSession, "run", full)
    done = edgesr("upscale", tmp_path / "in.png", tmp_path / "out.png", "--artifact", vapsr_s.folder)
    assert done.code == 1
    assert "not enough memory for this: CUDA out of memory. Tried to allocate 20.00 GiB." in done.err
    assert not (tmp_path / "out.png").exists()
