"""What every runtime must keep to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesr.artifact import Artifact
from edgesr.errors import SizeError, UsageError
from edgesr.export.target import targets
from edgesr.runtime import Runtime, RuntimeSession
from edgesr.runtimes import open_artifact, runtimes
from edgesr.tensors import Size, SizeRule

SLOW = {"pytorch-compile"}
"""Compiles for every shape anew."""
each_runtime = pytest.mark.parametrize(
    ("name", "runtime"),
    [pytest.param(name, runtime, marks=[pytest.mark.slow] * (name in SLOW), id=name) for name, runtime in runtimes().items()],
)


@each_runtime
def test_a_target_writes_what_it_opens(name: str, runtime: Runtime) -> None:
    assert runtime.formats <= {target.format for target in targets().values()}


@each_runtime
def test_it_runs_batches_and_sizes_as_the_artifact_says(name: str, runtime: Runtime, vapsr_s: Artifact) -> None:
    session = _opened(name, runtime, vapsr_s)
    images = np.random.default_rng(1).random((2, 3, 9, 14), dtype=np.float32)
    outputs = session.run(images)
    assert outputs.shape == (2, 3, 36, 56)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(session.run(images[1:])[0], outputs[1], atol=1e-5)
    assert np.abs(outputs[0] - outputs[1]).max() > 0.01


@each_runtime
def test_another_size_than_the_fixed_one_is_refused(name: str, runtime: Runtime, vapsr_s_fixed: Artifact) -> None:
    session = _opened(name, runtime, vapsr_s_fixed)
    if session.sizes.fixed is None:
        pytest.skip("the reference takes every size")
    with pytest.raises(SizeError, match="16x24"):
        session.run(np.zeros((1, 3, 17, 24), np.float32))


@each_runtime
def test_a_size_below_the_minimum_is_refused(name: str, runtime: Runtime, vapsr_s: Artifact) -> None:
    eight = SizeRule(minimum=Size(height=8, width=8))
    session = _opened(name, runtime, replace(vapsr_s, manifest=replace(vapsr_s.manifest, sizes=eight)))
    if session.sizes != eight:
        pytest.skip("the reference has the network's own minimum")
    with pytest.raises(SizeError, match="8x8 and larger"):
        session.run(np.zeros((1, 3, 7, 8), np.float32))


@each_runtime
@pytest.mark.parametrize("shape", [(3, 9, 14), (1, 1, 9, 14), (1, 3, 0, 14)])
def test_what_is_no_picture_is_refused(name: str, runtime: Runtime, vapsr_s: Artifact, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="expected a float32 RGB batch"):
        _opened(name, runtime, vapsr_s).run(np.zeros(shape, np.float32))


@each_runtime
def test_two_runs_agree_to_the_bit(name: str, runtime: Runtime, vapsr_s: Artifact, tmp_path: Path) -> None:
    session = _opened(name, runtime, vapsr_s)
    image = np.random.default_rng(2).random((1, 3, 20, 20), dtype=np.float32)
    np.testing.assert_array_equal(session.run(image), session.run(image))


@each_runtime
def test_what_is_bound_runs_again_and_again(name: str, runtime: Runtime, vapsr_s: Artifact) -> None:
    session = _opened(name, runtime, vapsr_s)
    image = np.random.default_rng(3).random((1, 3, 9, 14), dtype=np.float32)
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
def test_it_says_how_it_runs(name: str, runtime: Runtime, vapsr_s: Artifact) -> None:
    settings = _opened(name, runtime, vapsr_s).settings
    assert settings
    assert all(isinstance(value, str) and value for value in settings.values())


def _opened(name: str, runtime: Runtime, artifact: Artifact) -> RuntimeSession:
    pytest.importorskip(runtime.package)
    if runtime.prepare:
        pytest.skip("it opens no artifact, only what its own converter wrote")
    return open_artifact(artifact, runtime=name)
