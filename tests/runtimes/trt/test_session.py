"""The session's logic on a device of plain memory: what is kept, what is allocated, what is captured, what is said."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.bench.worker import Worker
from edgesr.errors import DeviceError, NoEngineError, SizeError, UsageError
from edgesr.runtimes._trt.device import DeviceMemoryError
from edgesr.runtimes._trt.session import Runnable, TensorrtSession, TimedBound
from edgesr.tensors import FloatArray
from tests.runtimes.trt.conftest import manifest, profile
from tests.runtimes.trt.memory_device import MemoryDevice, RepeatingEngine


def session(
    *shapes: str, device: MemoryDevice | None = None, sizes: str = "1x1..4096x4096", **engine: Any
) -> tuple[TensorrtSession, MemoryDevice]:
    device = device or MemoryDevice()
    profiles = [profile(shape) for shape in shapes]
    runnables = [
        Runnable(load=partial(RepeatingEngine, device, each, **engine), profile=each, facts={"engine": shape})
        for shape, each in zip(shapes, profiles, strict=True)
    ]
    return TensorrtSession(runnables, device, manifest(sizes), {"TensorRT": "none"}, folder="DIR"), device


def picture(height: int, width: int, *, number: int = 1, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).random((number, 3, height, width), dtype=np.float32)


def larger(image: FloatArray) -> FloatArray:
    return image.repeat(2, axis=2).repeat(2, axis=3)


def test_every_shape_gives_its_own_output_again_and_again() -> None:
    taken, _ = session("8x8..64x64")
    images = [picture(*size, seed=seed) for seed, size in enumerate([(8, 8), (64, 64), (16, 40), (8, 8), (64, 64), (16, 40)] * 2)]
    for image in images:
        np.testing.assert_array_equal(taken.run(image), larger(image))


def test_outputs_are_the_callers_own() -> None:
    taken, _ = session("8x8..64x64")
    first = taken.run(picture(8, 8, seed=1))
    before = first.copy()
    taken.run(picture(8, 8, seed=2))
    np.testing.assert_array_equal(first, before)


def test_nothing_is_allocated_after_the_first_run_of_a_shape() -> None:
    taken, device = session("8x8..64x64")
    sizes = [(64, 64), (64, 32), (32, 64), (32, 32)]  # of a picture's tiles
    for size in sizes:
        taken.run(picture(*size))
    assert (device.allocations, device.pins) == (3, 2)
    for size in sizes * 5:
        taken.run(picture(*size))
    assert (device.allocations, device.pins) == (3, 2)


def test_graphs_run_from_the_second_run_of_a_shape_on() -> None:
    taken, device = session("8x8..64x64")
    launches = []
    for image in (picture(16, 16, seed=seed) for seed in range(4)):
        np.testing.assert_array_equal(taken.run(image), larger(image))
        launches.append(device.launches)
    assert launches == [0, 1, 2, 3]
    assert taken.graph_trouble == ""


def test_a_larger_shape_makes_room_and_what_was_captured_before_goes() -> None:
    taken, device = session("8x8..64x64")
    for size in ((8, 8), (8, 8), (64, 64), (64, 64), (8, 8), (8, 8)):
        image = picture(*size)
        np.testing.assert_array_equal(taken.run(image), larger(image))
    assert device.allocations == 6
    assert len(device.live) == 3, "the small buffers were given back"


def test_only_so_many_shapes_are_kept() -> None:
    taken, device = session("8x8..64x64")
    taken.run(picture(64, 64))
    for side in range(8, 40):
        taken.run(picture(side, side))
    lane = taken._lanes[0]
    assert len(lane._prepared) == 8
    assert device.allocations == 3


def test_without_graphs_it_runs_and_says_why() -> None:
    taken, _ = session("8x8..64x64", device=MemoryDevice(capturable=False))
    for seed in range(3):
        image = picture(16, 16, seed=seed)
        np.testing.assert_array_equal(taken.run(image), larger(image))
    assert taken.graph_trouble == "this cannot be captured"


def test_what_is_bound_keeps_its_output_and_tells_the_devices_time() -> None:
    taken, device = session("8x8..64x64")
    image = picture(16, 24)
    bound = taken.bind(image)
    assert isinstance(bound, TimedBound)
    for _ in range(3):
        bound()
        assert bound.device_milliseconds == 2.5
    taken.run(1 - image)
    np.testing.assert_array_equal(bound.output(), larger(image))
    assert device.launches == 2
    before = device.allocations
    bound()
    assert device.allocations == before


@pytest.mark.parametrize(("capturable", "said"), [(True, "used"), (False, "not used: this cannot be captured")])
def test_the_bench_gets_events_memory_and_the_graphs_fate(capturable: bool, said: str, tmp_path: Path) -> None:
    worker = Worker("", {}, "")
    worker.session, _ = session("8x8..64x64", device=MemoryDevice(capturable=capturable))
    assert worker.settings({})["settings"]["CUDA graphs"] == "from the second run of a shape on"
    np.save(tmp_path / "image.npy", picture(16, 24))
    assert worker.first({"image": tmp_path / "image.npy"})["device_mb"]["TensorRT session, input"] > 0
    timed = worker.time({"untimed": 1, "runs": 3})
    assert timed["device_ns"] == [2_500_000] * 3
    assert len(timed["ns"]) == 3
    assert worker.again({"runs": 1})["device_mb"] == worker.session.device_mb()
    assert worker.settings({})["settings"] == {"TensorRT": "none", "engine": "8x8..64x64", "CUDA graphs": said}


def test_it_tells_what_it_holds_of_the_device() -> None:
    taken, device = session("8x8..64x64")
    taken.run(picture(64, 64))
    held = taken.device_mb()
    assert held == {
        "TensorRT session, input": 3 * 64 * 64 * 4 / 2**20,
        "TensorRT session, output": 3 * 128 * 128 * 4 / 2**20,
        "TensorRT session, scratch": 64 * 64 * 100 / 2**20,
    }
    assert sum(held.values()) * 2**20 == sum(map(len, device.live.values()))


def test_the_engine_for_the_very_size_is_taken_before_the_one_for_a_range() -> None:
    taken, _ = session("8x8..64x64", "16x16", "24x24..32x32")
    assert (taken._choose(picture(16, 16)), taken._choose(picture(25, 25)), taken._choose(picture(17, 16))) == (1, 2, 0)
    assert taken.sizes.description == "8x8 to 64x64"


def test_an_engine_is_loaded_when_a_picture_needs_it_and_the_settings_name_it() -> None:
    taken, device = session("8x8..64x64", "16x16", "16x16")
    assert not taken._engines, "loaded before anything runs"
    taken.run(picture(16, 16))
    taken.bind(picture(16, 16))
    assert list(taken._engines) == [1], "the first of two for the same size, and no other"
    assert taken.settings["engine"] == "16x16"
    taken.run(picture(17, 16))
    assert taken.settings["engine"] == "16x16, 8x8..64x64"
    assert device.live


def test_several_single_sizes_are_choices() -> None:
    taken, _ = session("16x16", "24x32")
    assert taken.sizes.description == "16x16, 24x32"
    image = picture(24, 32)
    np.testing.assert_array_equal(taken.run(image), larger(image))
    with pytest.raises(NoEngineError, match="16x16, 24x32 \\(HxW\\) only, not 20x20") as caught:
        taken.run(picture(20, 20))
    assert caught.value.exit_code == 1
    assert "edgesr build DIR --size 20x20" in caught.value.hint


def test_a_size_that_the_artifact_does_not_take_either_is_to_be_exported() -> None:
    taken, _ = session("16x16", sizes="16x16")
    with pytest.raises(SizeError, match="16x16 \\(HxW\\) only, not 20x20") as caught:
        taken.run(picture(20, 20))
    assert caught.value.exit_code == 1
    assert "Export with --size 20x20" in caught.value.hint


def test_batches_go_one_by_one_through_an_engine_for_one_picture() -> None:
    taken, _ = session("8x8..64x64")
    images = picture(9, 14, number=3)
    np.testing.assert_array_equal(taken.run(images), larger(images))
    bound = taken.bind(images)
    bound()
    np.testing.assert_array_equal(bound.output(), larger(images))


def test_what_is_no_picture_is_refused() -> None:
    taken, _ = session("8x8..64x64")
    for call in (taken.run, taken.bind):
        with pytest.raises(UsageError, match="expected a float32 RGB batch"):
            call(np.zeros((3, 9, 14), np.float32))


def test_what_tensorrt_says_becomes_one_error() -> None:
    taken, device = session("8x8..64x64")
    engine = RepeatingEngine(device, profile("8x8..64x64"))
    engine.fails = True
    failing = TensorrtSession([Runnable(load=lambda: engine, profile=engine.profile)], device, manifest(), {}, folder="DIR")
    with pytest.raises(DeviceError) as caught:
        failing.run(picture(16, 16))
    assert caught.value.message == ("the engine failed: Error Code 1: Cuda Runtime (an illegal memory access was encountered)")
    assert taken.run(picture(16, 16)).shape == (1, 3, 32, 32)


def test_too_little_memory_names_the_size_and_the_tile_that_fit() -> None:
    device = MemoryDevice(total=1 << 20)
    taken, _ = session("8x8..512x512", device=device)
    with pytest.raises(DeviceMemoryError, match="not enough device memory for 512x512 \\(HxW\\)") as caught:
        taken.run(picture(512, 512))
    # A pixel needs 12 bytes of input, 48 of output, 100 of scratch: of 0.9 of a megabyte, 76² pixels, in steps of 8.
    assert "72x72 fits: edgesr upscale --tile 64" in caught.value.hint
    image = picture(72, 72)
    np.testing.assert_array_equal(taken.run(image), larger(image))


def test_an_engine_that_asks_for_its_largest_size_always_is_to_be_built_anew() -> None:
    device = MemoryDevice(total=1 << 20)
    engine = RepeatingEngine(device, profile("8x8..512x512"))
    engine.resizes = False
    taken = TensorrtSession([Runnable(load=lambda: engine, profile=engine.profile)], device, manifest(), {}, folder="DIR")
    with pytest.raises(DeviceMemoryError) as caught:
        taken.run(picture(64, 64))
    assert "probably fits: edgesr build DIR --size" in caught.value.hint


def test_too_little_memory_for_an_engine_of_one_size() -> None:
    taken, _ = session("512x512", device=MemoryDevice(total=1 << 20))
    with pytest.raises(DeviceMemoryError) as caught:
        taken.run(picture(512, 512))
    assert "72x72 probably fits: edgesr build DIR --size 72x72, then edgesr upscale --tile 64" in caught.value.hint


def test_a_picture_that_did_not_fit_leaves_the_session_usable() -> None:
    taken, device = session("8x8..512x512", device=MemoryDevice(total=1 << 20))
    small = picture(16, 16)
    taken.run(small)
    with pytest.raises(DeviceMemoryError):
        taken.run(picture(512, 512))
    np.testing.assert_array_equal(taken.run(small), larger(small))
    assert device.free_bytes() > 0
