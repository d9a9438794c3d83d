"""A provider that does not come up, or leaves operators to the processor, is an error that says what to type."""

from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from edgesr import ort_packages
from edgesr.artifact import Artifact
from edgesr.errors import ArtifactError, BackendMissingError, UsageError
from edgesr.runtime import Options
from edgesr.runtimes import _ort_providers, open_artifact
from edgesr.runtimes._ort_providers import CPU, CUDA, TENSORRT, Provider, cuda, open_on_gpu, placement
from edgesr.runtimes.ort import session_options


class Node:
    def __init__(self, op_type: str) -> None:
        self.name, self.domain, self.op_type = op_type, "", op_type


class Part:
    def __init__(self, ep_name: str, *kinds: str) -> None:
        self.ep_name, self._nodes = ep_name, [Node(kind) for kind in kinds]

    def get_nodes(self) -> list[Node]:
        return self._nodes


class Planted:
    """What stands in for `onnxruntime.InferenceSession`: a session that tells where its operators went."""

    providers: list[str]
    parts: list[Part]
    error = ""
    asked: list[dict[str, Any]]

    def __init__(self, path: str | bytes, sess_options: Any, providers: list[Any], enable_fallback: int) -> None:
        self.asked.append({"path": path, "options": sess_options, "providers": providers, "enable_fallback": enable_fallback})
        if self.error:
            raise RuntimeError(self.error)

    def get_providers(self) -> list[str]:
        return self.providers

    def get_provider_graph_assignment_info(self) -> list[Part]:
        return self.parts


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> type[Planted]:
    """An onnxruntime for GPUs whose CUDA provider comes up and takes everything."""

    class Session(Planted):
        providers = [CUDA, CPU]  # noqa: RUF012  # as plain as a fake should be
        parts = [Part(CUDA, "Conv", "Gelu"), Part(CPU, "Concat", "Mul")]  # noqa: RUF012  # as plain as a fake should be
        asked: list[dict[str, Any]] = []  # noqa: RUF012  # as plain as a fake should be

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    return Session


def opened(model: Path | bytes = b"model") -> tuple[Any, str]:
    return open_on_gpu(model, [cuda()], session_options(Options()))


def test_what_is_asked_for(planted: type[Planted], tmp_path: Path) -> None:
    _, placed = opened(tmp_path / "net.onnx")
    assert placed == "2 operators on CUDA, 2 operators on CPU (sizes)"
    (asked,) = planted.asked
    assert asked["path"] == str(tmp_path / "net.onnx")
    assert asked["enable_fallback"] == 0
    ((name, options),) = asked["providers"]
    assert name == CUDA
    assert options["use_tf32"] == "0", "float32 would not be float32"
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert asked["options"].get_session_config_entry("session.record_ep_graph_assignment_info") == "1"


def test_the_real_onnxruntime_of_this_machine_says_what_to_install(vapsr_s: Artifact) -> None:
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is one for GPUs")
    with pytest.raises(BackendMissingError, match=f"has no {CUDA}, only .*{CPU}") as caught:
        open_artifact(vapsr_s, runtime="ort", options=Options(device="cuda"))
    assert caught.value.exit_code == 4
    version = onnxruntime.__version__
    assert f"onnxruntime {version}" in caught.value.message
    assert "pip uninstall -y onnxruntime\n" in caught.value.hint
    assert 'pip install "onnxruntime-gpu[cuda,cudnn]"' in caught.value.hint
    assert caught.value.hint.endswith("edgesr doctor")


def test_a_provider_that_does_not_come_up(planted: type[Planted], monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime gives a session on the processor then, and prints what it could not load."""
    planted.providers = [CPU]
    line = "Failed to load libcudnn.so.9: libcudnn.so.9: cannot open shared object file"
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print(line))  # noqa: T201  # as the real one does
    with pytest.raises(
        BackendMissingError, match="would have run on the processor without a word: Failed to load libcudnn"
    ) as caught:
        opened()
    assert "edgesr doctor" in caught.value.hint


def test_what_onnxruntime_prints_does_not_reach_standard_output(
    planted: type[Planted], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load x"))  # noqa: T201  # as the real one does
    opened()
    assert capsys.readouterr().out == ""


def test_operators_on_maps_on_the_processor_are_an_error(planted: type[Planted]) -> None:
    planted.parts = [Part(CUDA, "Conv"), Part(CPU, "Concat", "DFT", "DFT", "Gather")]
    with pytest.raises(ArtifactError, match=r"would run 2 operators on the processor.*: 2 DFT") as caught:
        opened()
    assert "--device cpu" in caught.value.hint


def test_an_old_onnxruntime_can_only_refuse(planted: type[Planted], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Planted, "get_provider_graph_assignment_info")
    _, placed = opened()
    assert "refuses anything else" in placed
    options = planted.asked[-1]["options"]
    assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
    planted.error = (
        "[ONNXRuntimeError] : 1 : FAIL : This session contains graph nodes that are assigned to the default CPU EP, "
        "but fallback to CPU EP has been explicitly disabled by the user."
    )
    with pytest.raises(ArtifactError, match="does not say which") as caught:
        opened()
    assert "--size" in caught.value.hint
    line = "Failed to load libcudnn.so.9: no such file"
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print(line))  # noqa: T201  # as the real one does
    with pytest.raises(BackendMissingError, match=r"did not come up.*libcudnn"):
        opened()


def test_a_provider_that_takes_nothing_is_not_what_was_asked_for(planted: type[Planted]) -> None:
    planted.providers = [TENSORRT, CUDA, CPU]
    with pytest.raises(ArtifactError, match=f"{TENSORRT} took none of the operators: {CPU}, {CUDA} has them all"):
        open_on_gpu(b"", [Provider(name=TENSORRT, options={}), cuda()], session_options(Options()))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version", BackendMissingError),
        ("EP_FAIL : TensorRT EP failed to create engine", BackendMissingError),
        ("INVALID_PROTOBUF : Load model failed: Protobuf parsing failed.", ArtifactError),
    ],
)
def test_a_session_that_is_refused(planted: type[Planted], text: str, kind: type[Exception]) -> None:
    planted.error = f"[ONNXRuntimeError] : {text}"
    with pytest.raises(kind, match=text[-20:]):
        opened()


def test_the_provider_that_was_asked_for_must_be_the_first(planted: type[Planted]) -> None:
    """TensorRT's provider that does not come up leaves CUDA's, which is not what was asked for."""
    with pytest.raises(BackendMissingError, match=f"{TENSORRT} did not come up") as caught:
        open_on_gpu(b"", [Provider(name=TENSORRT, options={}), cuda()], session_options(Options()))
    assert 'TensorRT 10, not 11: pip install "edgesr[ort-tensorrt]"' in caught.value.hint


def test_placement_by_the_real_thing(vapsr_s: Artifact) -> None:
    """On the processor everything is on the processor, and the first operators that are no shapes' are named."""
    options = session_options(Options())
    options.add_session_config_entry(_ort_providers._RECORD, "1")
    session = onnxruntime.InferenceSession(str(vapsr_s.path), options, providers=[CPU])
    with pytest.raises(ArtifactError, match=r"\d+ Conv"):
        placement(session, CUDA)


def test_the_real_session_tells(vapsr_s: Artifact) -> None:
    options = session_options(Options())
    options.add_session_config_entry(_ort_providers._RECORD, "1")
    session = onnxruntime.InferenceSession(str(vapsr_s.path), options, providers=[CPU], enable_fallback=0)
    parts = session.get_provider_graph_assignment_info()
    assert {part.ep_name for part in parts} == {CPU}
    assert "Conv" in {node.op_type for part in parts for node in part.get_nodes()}


def test_the_tensorrt_runtime_needs_tensorrt(vapsr_s: Artifact) -> None:
    from edgesr.backends import available

    if available("tensorrt"):
        pytest.skip("TensorRT is installed")
    with pytest.raises(BackendMissingError, match="needs the package tensorrt") as caught:
        open_artifact(vapsr_s, runtime="ort-tensorrt")
    assert "edgesr[ort-tensorrt]" in caught.value.hint, "pip would bring TensorRT 11, which ONNX Runtime cannot load"


def test_the_tensorrt_runtime_keeps_engines_in_the_users_cache(
    planted: type[Planted], vapsr_s: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgesr.runtimes import ort, ort_tensorrt

    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")  # so that what is set meanwhile goes, too
    monkeypatch.setattr("importlib.import_module", lambda name: None)
    monkeypatch.setattr(ort, "OrtSession", lambda session, manifest, device: _Settings())
    planted.providers = [TENSORRT, CUDA, CPU]
    planted.parts = [Part(TENSORRT, "Conv", "Gelu")]
    planted.get_provider_options = lambda self: {CUDA: {"use_tf32": "0"}, TENSORRT: {}}  # type: ignore[attr-defined]  # as the real one has
    session: Any = ort_tensorrt._open(vapsr_s, Options(device="cuda"))
    cache = tmp_path / "ort-tensorrt" / vapsr_s.manifest.model_sha256[:16]
    assert cache.is_dir()
    assert session.settings["engines"] == f"ort-tensorrt/{cache.name} in the user's cache"
    assert not [value for value in session.settings.values() if str(tmp_path) in value], "a record would hold it"
    options = dict(planted.asked[-1]["providers"])
    assert options[TENSORRT]["trt_engine_cache_path"] == str(cache)
    assert options[TENSORRT]["trt_fp16_enable"] == "0"
    assert session.settings["NVIDIA_TF32_OVERRIDE"] == "0", "float32 would not be float32"
    assert session.settings["placement"] == "2 operators on Tensorrt"
    assert [name for name, _ in planted.asked[-1]["providers"]] == [TENSORRT, CUDA]


class _Settings:
    def __init__(self) -> None:
        self.settings: dict[str, str] = {}


def test_a_tensorrt_that_cannot_be_loaded(vapsr_s: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgesr.runtimes import ort_tensorrt

    def refuse(name: str) -> None:
        raise ImportError("libnvinfer.so.10: cannot open shared object file")

    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(BackendMissingError, match=r"cannot be loaded: libnvinfer\.so\.10"):
        ort_tensorrt._open(vapsr_s, Options(device="cuda"))


def test_a_cache_that_cannot_be_written(vapsr_s: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgesr.runtimes import ort_tensorrt

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("importlib.import_module", lambda name: None)
    with pytest.raises(ArtifactError, match="cannot be written") as caught:
        ort_tensorrt._open(vapsr_s, Options(device="cuda"))
    assert "EDGESR_CACHE" in caught.value.hint


def test_a_device_that_a_runtime_does_not_have(vapsr_s: Artifact) -> None:
    with pytest.raises(UsageError, match="does not run on ane"):
        open_artifact(vapsr_s, runtime="ort", options=Options(device="ane"))


def test_two_builds_are_a_conflict_and_both_go() -> None:
    both = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.30.0"}
    assert "onnxruntime 1.31.1 and onnxruntime-gpu 1.30.0 are builds of one module" in ort_packages.complaint(both)
    assert ort_packages.commands(both, gpu=True) == (
        "pip uninstall -y onnxruntime onnxruntime-gpu",
        'pip install "onnxruntime-gpu[cuda,cudnn]"',
    )
    assert ort_packages.commands({}, gpu=False) == ("pip install onnxruntime",)
    assert ort_packages.complaint({"onnxruntime-gpu": "1.23.0"}) == ""
    assert ort_packages.installed().keys() & {"onnxruntime", "onnxruntime-gpu"}
