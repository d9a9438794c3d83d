"""What every runtime must keep to."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgesr.artifact import Artifact
from edgesr.errors import BackendMissingError, SizeError, UsageError
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.export.target import targets
from edgesr.runtime import Runtime, RuntimeSession
from edgesr.runtimes import open_artifact, runs_here, runtimes
from edgesr.tensors import Size, SizeRule


def build_engines(artifact: Artifact) -> None:
    """What TensorRT runs is built first, on the machine that runs it."""
    from edgesr.runtimes._trt.making import build_engines
    from edgesr.runtimes._trt.recipe import BuildOptions

    build_engines(artifact, artifact.manifest.profiles, BuildOptions())


BUILDS: dict[str, Callable[[Artifact], None]] = {"tensorrt": build_engines}
"""Runtimes that open an artifact of their own target only, and not before something was built."""
SLOW = {"pytorch-compile"}
"""Compiles for every shape anew."""
each_runtime = pytest.mark.parametrize(
    ("name", "runtime"),
    [pytest.param(name, runtime, marks=[pytest.mark.slow] * (name in SLOW), id=name) for name, runtime in runtimes().items()],
)


Opened = Callable[[str, Runtime, Artifact], RuntimeSession]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Opens an artifact, or the same network for the same sizes in the runtime's own format; skips where it cannot run."""

    @cache
    def made(target: str, sizes: SizeRule) -> Artifact:
        """vapsr-s in float32, without whatever turns pictures into 8 bits."""
        options = {"io": "tensor"} if "tensor" in targets()[target].options.get("io", ()) else {}
        folder = tmp_path_factory.mktemp("made") / "out"
        return export(
            ExportRequest(model="vapsr-s", target_name=target, precision="fp32", sizes=sizes, options=options, folder=folder)
        )

    def fitting(name: str, runtime: Runtime, artifact: Artifact) -> Artifact:
        manifest = artifact.manifest
        if not runtime.formats or (manifest.format in runtime.formats and name not in BUILDS):
            return artifact
        sizes = manifest.sizes
        if not targets()[runtime.target].several_sizes:
            pytest.skip(f"artifacts of {runtime.target} take one size: see its own tests")
        found = made(runtime.target, sizes if sizes.fixed else replace(sizes, maximum=Size(height=64, width=64)))
        if name in BUILDS:
            BUILDS[name](found)
        return found

    def opened(name: str, runtime: Runtime, artifact: Artifact) -> RuntimeSession:
        pytest.importorskip(runtime.package)
        if runtime.prepare:
            pytest.skip("it opens no artifact, only what its own converter wrote")
        if not runs_here(runtime):
            pytest.skip(f"it runs on {', '.join(runtime.platforms)} only")
        try:
            return open_artifact(fitting(name, runtime, artifact), runtime=name)
        except BackendMissingError as error:
            if "cpu" in runtime.devices:
                raise
            pytest.skip(error.message)

    return opened


@each_runtime
def test_a_target_writes_what_it_opens(name: str, runtime: Runtime) -> None:
    assert runtime.formats <= {target.format for target in targets().values()}


@each_runtime
def test_it_runs_batches_and_sizes_as_the_artifact_says(name: str, runtime: Runtime, vapsr_s: Artifact, opened: Opened) -> None:
    session = opened(name, runtime, vapsr_s)
    images = np.random.default_rng(1).random((2, 3, 9, 14), dtype=np.float32)
    outputs = session.run(images)
    assert outputs.shape == (2, 3, 36, 56)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(session.run(images[1:])[0], outputs[1], atol=1e-5)
    assert np.abs(outputs[0] - outputs[1]).max() > 0.01


@each_runtime
def test_another_size_than_the_fixed_one_is_refused(name: str, runtime: Runtime, vapsr_s_fixed: Artifact, opened: Opened) -> None:
    session = opened(name, runtime, vapsr_s_fixed)
    if session.sizes.fixed is None:
        pytest.skip("the reference takes every size")
    with pytest.raises(SizeError, match="16x24"):
        session.run(np.zeros((1, 3, 17, 24), np.float32))


@each_runtime
def test_a_size_below_the_minimum_is_refused(name: str, runtime: Runtime, vapsr_s: Artifact, opened: Opened) -> None:
    eight = SizeRule(minimum=Size(height=8, width=8))
    session = opened(name, runtime, replace(vapsr_s, manifest=replace(vapsr_s.manifest, sizes=eight)))
    if session.sizes.minimum != eight.minimum:
        pytest.skip("the reference has the network's own minimum")
    with pytest.raises(SizeError, match="8x8 and larger"):
        session.run(np.zeros((1, 3, 7, 8), np.float32))


@each_runtime
@pytest.mark.parametrize("shape", [(3, 9, 14), (1, 1, 9, 14), (1, 3, 0, 14)])
def test_what_is_no_picture_is_refused(
    name: str, runtime: Runtime, vapsr_s: Artifact, opened: Opened, shape: tuple[int, ...]
) -> None:
    with pytest.raises(UsageError, match="expected a float32 RGB batch"):
        opened(name, runtime, vapsr_s).run(np.zeros(shape, np.float32))


@each_runtime
def test_two_runs_agree_to_the_bit(name: str, runtime: Runtime, vapsr_s: Artifact, opened: Opened, tmp_path: Path) -> None:
    session = opened(name, runtime, vapsr_s)
    image = np.random.default_rng(2).random((1, 3, 20, 20), dtype=np.float32)
    np.testing.assert_array_equal(session.run(image), session.run(image))


@each_runtime
def test_what_is_bound_runs_again_and_again(name: str, runtime: Runtime, vapsr_s: Artifact, opened: Opened) -> None:
    session = opened(name, runtime, vapsr_s)
    image = np.random.default_rng(3).random((1, 3, 9, 14), dtype=np.float32)
    if not runtime.measures:
        with pytest.raises(UsageError, match="no latency"):
            session.bind(image)
        return
    expected = session.run(image)
    bound = session.bind(image)
    bound()
    np.testing.assert_allclose(bound.output(), expected, rtol=0, atol=1e-6)
    bound()
    before = bound.output()
    session.run(1 - image)
    np.testing.assert_array_equal(bound.output(), before, "another run wrote over it")
    np.testing.assert_array_equal(session.run(image), expected)
    with pytest.raises(UsageError):
        session.bind(np.zeros((3, 9, 14), np.float32))


@each_runtime
def test_it_says_how_it_runs(name: str, runtime: Runtime, vapsr_s: Artifact, opened: Opened) -> None:
    settings = opened(name, runtime, vapsr_s).settings
    assert settings
    assert all(isinstance(value, str) and value for value in settings.values())
