"""The driver's calls through ctypes, on planted functions: their order, and what is said of their errors."""

import gc

import pytest

from edgesr.errors import BackendMissingError, DeviceError
from edgesr.runtimes._trt import driver as module
from edgesr.runtimes._trt.driver import Driver, GpuInfo
from tests.runtimes.trt.planted_cuda import PlantedCuda


def test_the_first_gpu() -> None:
    assert Driver(PlantedCuda()).first_gpu() == GpuInfo(
        name="NVIDIA Jetson AGX Orin", compute_capability="8.7", cuda="12.6", memory_bytes=64 << 30
    )


@pytest.mark.parametrize(
    ("code", "said"), [(100, "it finds no GPU (error 100)"), (804, "the driver is too old"), (999, "error 999")]
)
def test_a_driver_that_does_not_start(code: int, said: str) -> None:
    library = PlantedCuda()
    library.codes["cuInit"] = code
    with pytest.raises(BackendMissingError) as caught:
        Driver(library)
    assert said in caught.value.message
    assert "nvidia-smi" in caught.value.hint


def test_no_driver_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIBRARIES", ("libcuda-that-nobody-has.so.1",))
    with pytest.raises(BackendMissingError, match="no NVIDIA driver here: neither libcuda-that-nobody-has") as caught:
        Driver()
    assert caught.value.exit_code == 4


def test_a_graph_is_captured_made_launched_and_given_back() -> None:
    library = PlantedCuda()
    driver = Driver(library)
    graph = driver.capture(7, lambda: library.calls.append("work"))
    graph.launch()
    graph.launch()
    del graph
    gc.collect()
    assert library.calls == [
        "cuInit",
        "cuStreamBeginCapture_v2",
        "work",
        "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags",
        "cuGraphDestroy",
        "cuGraphLaunch",
        "cuGraphLaunch",
        "cuGraphExecDestroy",
    ]


def test_a_capture_ends_whatever_happens_in_it() -> None:
    library = PlantedCuda()

    def fail() -> None:
        raise DeviceError("TensorRT refuses")

    with pytest.raises(DeviceError, match="TensorRT refuses"):
        Driver(library).capture(7, fail)
    assert library.calls[-2:] == ["cuStreamEndCapture", "cuGraphDestroy"]


@pytest.mark.parametrize("function", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"])
def test_what_cannot_be_captured_is_an_error(function: str) -> None:
    library = PlantedCuda()
    library.codes[function] = 900
    with pytest.raises(DeviceError, match=f"{function} failed: error 900"):
        Driver(library).capture(7, lambda: None)
    assert ("cuGraphDestroy" in library.calls) == (function == "cuGraphInstantiateWithFlags")


def test_free_memory_is_unknown_without_a_context() -> None:
    library = PlantedCuda()
    assert Driver(library).free_bytes() == 4 << 30
    library.codes["cuMemGetInfo_v2"] = 201
    assert Driver(library).free_bytes() is None
