"""The device on real CUDA: buffers, streams, events, graphs. Skipped without a GPU; docs/tensorrt.md lists it until it ran."""

import numpy as np
import pytest

from edgesr.errors import BackendMissingError, DeviceError
from edgesr.runtimes._trt.cuda import CudaDevice
from edgesr.runtimes._trt.device import DeviceMemoryError


@pytest.fixture(scope="module")
def device() -> CudaDevice:
    """The GPU of this machine."""
    try:
        return CudaDevice()
    except BackendMissingError as error:
        pytest.skip(error.message)


def test_bytes_come_back_as_they_went(device: CudaDevice) -> None:
    given, made = device.pinned(1 << 20), device.pinned(1 << 20)
    given[:] = np.random.default_rng(0).integers(0, 256, given.size)
    memory = device.allocate(given.nbytes)
    device.upload(given, memory)
    device.download(memory, made)
    device.synchronize()
    np.testing.assert_array_equal(made, given)
    assert memory.address % 256 == 0
    memory.free()


def test_events_measure_in_the_order_of_the_stream(device: CudaDevice) -> None:
    begin, end = device.event(), device.event()
    given, memory = device.pinned(64 << 20), device.allocate(64 << 20)
    begin.record()
    for _ in range(4):
        device.upload(given, memory)
    end.record()
    device.synchronize()
    assert 0.1 < end.milliseconds_since(begin) < 10_000
    memory.free()


def test_a_graph_does_its_work_when_it_is_launched_and_not_when_it_is_captured(device: CudaDevice) -> None:
    given, made, memory = device.pinned(1024), device.pinned(1024), device.allocate(1024)
    made[:] = 0
    given[:] = 1

    def enqueue() -> None:
        device.upload(given, memory)
        device.download(memory, made)

    graph = device.capture(enqueue)
    device.synchronize()
    assert not made.any(), "the work was done while it was captured"
    for value in (2, 3):
        given[:] = value
        graph.launch()
        device.synchronize()
        assert (made == value).all()


def test_a_failed_capture_leaves_the_stream_usable(device: CudaDevice) -> None:
    def refuse() -> None:
        raise DeviceError("no")

    with pytest.raises(DeviceError, match="no"):
        device.capture(refuse)
    test_bytes_come_back_as_they_went(device)


def test_more_memory_than_there_is_says_how_much_is_free(device: CudaDevice) -> None:
    with pytest.raises(DeviceMemoryError) as caught:
        device.allocate(1 << 50)
    assert 0 < caught.value.free_bytes < 1 << 50
    assert caught.value.asked_bytes == 1 << 50


def test_free_memory_follows_allocations(device: CudaDevice) -> None:
    before = device.free_bytes()
    memory = device.allocate(256 << 20)
    assert before - device.free_bytes() >= 256 << 20
    memory.free()
    assert before - device.free_bytes() < 256 << 20
