"""TensorRT itself, on a machine that has it and a GPU; skipped elsewhere. docs/tensorrt.md lists these tests until they ran."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.artifact import Artifact, files_in, read_artifact, write_manifest
from edgesr.errors import BackendMissingError, DeviceError, EdgesrError
from edgesr.manifest import Profile, TensorInfo
from edgesr.runtimes import open_artifact
from edgesr.runtimes._trt.cuda import CudaDevice
from edgesr.runtimes._trt.loading import here, load
from edgesr.runtimes._trt.making import build_engines
from edgesr.runtimes._trt.recipe import BuildOptions
from edgesr.runtimes._trt.session import TensorrtSession, TimedBound
from tests.runtimes.trt.conftest import manifest

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def repeater(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A network of one operator that repeats every pixel, for 8x8 to 256x256; a new folder."""
    try:
        here()
        CudaDevice()
    except BackendMissingError as error:
        pytest.skip(error.message)
    import onnx.parser

    folder = tmp_path_factory.mktemp("repeater")
    text = (
        '<ir_version: 9, opset_import: ["" : 17]> repeater (float[1,3,height,width] input) => (float[1,3,h,w] output)'
        '<float[4] factors = {1, 1, 2, 2}> { output = Resize <mode = "nearest"> (input, , factors) }'
    )
    (folder / "toy-x2.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    shape = (1, 3, "height", "width")
    made = manifest("8x8..256x256", input=TensorInfo(name="input", shape=shape), output=TensorInfo(name="output", shape=shape))
    write_manifest(folder, replace(made, files=files_in(folder)))
    return read_artifact(folder)


@pytest.fixture(scope="module")
def session(repeater: Artifact) -> TensorrtSession:
    """The engine for the whole range."""
    build_engines(repeater, repeater.manifest.profiles, BuildOptions())
    opened = open_artifact(repeater, runtime="tensorrt")
    assert isinstance(opened, TensorrtSession)
    return opened


def test_it_gives_what_the_network_gives_at_every_size(session: TensorrtSession) -> None:
    for seed, size in enumerate([(8, 8), (256, 256), (33, 71), (8, 8), (33, 71)] * 3):
        image = np.random.default_rng(seed).random((1, 3, *size), dtype=np.float32)
        np.testing.assert_allclose(session.run(image), image.repeat(2, axis=2).repeat(2, axis=3), atol=1e-6)
    assert session.graph_trouble == ""


def test_device_memory_does_not_grow_with_frames(session: TensorrtSession) -> None:
    image = np.zeros((1, 3, 64, 64), np.float32)
    for _ in range(3):
        session.run(image)
    before = CudaDevice().free_bytes()
    for _ in range(50):
        session.run(image)
    assert CudaDevice().free_bytes() == before


def test_a_bound_run_tells_the_devices_time(session: TensorrtSession) -> None:
    bound = session.bind(np.zeros((1, 3, 128, 128), np.float32))
    assert isinstance(bound, TimedBound)
    for _ in range(5):
        bound()
    assert 0 < bound.device_milliseconds < 1000


def test_the_second_build_uses_the_times_of_the_first(repeater: Artifact, session: TensorrtSession) -> None:
    shape = (1, 64, 64)
    profile = Profile(minimum=shape, optimum=shape, maximum=shape)
    (first,) = build_engines(repeater, [profile], BuildOptions(again=True))
    (second,) = build_engines(repeater, [profile], BuildOptions(again=True))
    assert first.notes == second.notes == ()
    assert list((repeater.folder / "engines").glob("timing-*.cache"))


def test_a_damaged_cache_is_made_anew(repeater: Artifact, tmp_path: Path) -> None:
    cache = tmp_path / "times"
    cache.write_bytes(bytes(range(256)) * 40)
    (made,) = build_engines(repeater, repeater.manifest.profiles, BuildOptions(again=True, timing_cache=cache))
    assert "is made anew" in made.notes[0]
    (made,) = build_engines(repeater, repeater.manifest.profiles, BuildOptions(again=True, timing_cache=cache))
    assert made.notes == ()


def test_an_engine_that_is_none_is_one_readable_error(session: TensorrtSession) -> None:
    with pytest.raises(EdgesrError, match=r"nonsense\.engine cannot be loaded: "):
        load(b"nonsense" * 1000, "nonsense.engine")


def test_a_size_beyond_the_profile_is_refused_by_the_context(session: TensorrtSession) -> None:
    with pytest.raises(DeviceError, match="does not take"):
        session._lane(0).run(np.zeros((1, 3, 300, 300), np.float32))


def test_an_interrupt_stops_a_build(edgesr: Command, repeater: Artifact) -> None:
    """A small network is built in a moment: the interrupt comes with the first word, and either way nothing half-built stays."""
    before = sorted((repeater.folder / "engines").glob("*.engine"))

    def interrupt() -> None:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    assert edgesr("build", repeater.folder, "--again", "--size", "200x200").code == 130
    after = sorted((repeater.folder / "engines").glob("*.engine"))
    assert after == before
