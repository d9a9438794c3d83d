"""The training of the demo weights: seeded pictures, paired patches, an equal network, and runs that go on where they stopped."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from train_demo.__main__ import write_asset
from train_demo.network import training_network
from train_demo.patches import batch_at
from train_demo.pictures import PHOTOGRAPHS, Pair, pair_of, shapes, text_page, training_pairs
from train_demo.training import FINAL_RATE, Trainer, TrainingRequest, rate_at

from edgesr import build_model
from edgesr.errors import BackendMissingError, CheckpointError
from edgesr.resize import matlab_bicubic

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [pair_of(text_page(seed=0, side=90)), pair_of(shapes(seed=0, side=90))]


def request(folder: Path, *, seed: int = 0, workers: int = 1) -> TrainingRequest:
    checkpoint = folder / "output" / "checkpoint.pt"
    return TrainingRequest(checkpoint=checkpoint, iterations=4, seed=seed, batch=2, side=9, workers=workers, save_every=3)


def unbroken(request: TrainingRequest, pairs: Sequence[Pair]) -> Weights:
    trainer = Trainer(request, pairs)
    assert trainer.run(report=lambda _step, _loss: None)
    return trainer.average


@pytest.mark.parametrize("draw", [lambda seed: text_page(seed=seed, side=60), lambda seed: shapes(seed=seed, side=60)])
def test_drawings_come_from_the_seed(draw: Callable[[int], NDArray[np.uint8]]) -> None:
    assert draw(3).shape == (60, 60, 3)
    assert draw(3).std() > 5
    np.testing.assert_array_equal(draw(3), draw(3))
    assert (draw(3) != draw(4)).any()


def test_pairs_are_reduced_by_matlab_bicubic_and_hold_every_photograph_but_the_demos() -> None:
    pytest.importorskip("skimage", reason="the training photographs are scikit-image's: pip install 'edgesr[train]'")
    made = training_pairs(seed=0, drawings=1, side=48)
    assert len(made) == sum(len(photograph.reductions) for photograph in PHOTOGRAPHS) + 2
    assert "astronaut.png" not in {photograph.file for photograph in PHOTOGRAPHS}
    assert {photograph.licence for photograph in PHOTOGRAPHS} == {"CC0", "public domain"}
    for pair in made:
        assert pair.hr.shape == (4 * pair.lr.shape[0], 4 * pair.lr.shape[1], 3)
        assert min(pair.lr.shape[:2]) >= (36 if pair.hr.shape[0] > 48 else 12)
    np.testing.assert_array_equal(made[0].lr, matlab_bicubic(made[0].hr, scale=0.25))


def test_without_scikit_image_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(BackendMissingError, match=r"edgesr\[train\]"):
        training_pairs(seed=0)


def test_patches_pair_up_under_every_augmentation(pairs: list[Pair]) -> None:
    low, high = batch_at(pairs, seed=0, step=5, count=16, side=12)
    assert low.shape == (16, 3, 12, 12)
    assert high.shape == (16, 3, 48, 48)
    assert low.is_contiguous(memory_format=torch.channels_last)
    assert float(min(low.min(), high.min())) >= 0
    assert float(max(low.max(), high.max())) <= 1
    for small, large in zip(low, high, strict=True):
        reduced = matlab_bicubic(large.permute(1, 2, 0).numpy().astype(np.float64), scale=0.25)
        # A patch's own edge is mirrored where the picture went on, and the pictures' uint8 was rounded twice and saturated.
        difference = np.abs(reduced - small.permute(1, 2, 0).numpy())[2:-2, 2:-2]
        assert np.median(difference) < 1.5 / 255


def test_a_batch_is_a_function_of_seed_and_step(pairs: list[Pair]) -> None:
    def batch(seed: int, step: int) -> torch.Tensor:
        return batch_at(pairs, seed=seed, step=step, count=4, side=9)[1]

    assert torch.equal(batch(0, 7), batch(0, 7))
    assert not torch.equal(batch(0, 7), batch(0, 8))
    assert not torch.equal(batch(0, 7), batch(1, 7))


def test_the_network_in_training_is_the_reference() -> None:
    network = training_network(seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    reference = build_model("vapsr-s", scale=4)
    reference.load_state_dict(network.state_dict())
    x = torch.rand(2, 3, 12, 15)
    with torch.no_grad():
        torch.testing.assert_close(network(x), reference(x), rtol=1e-4, atol=1e-5)


def test_training_starts_near_a_plain_upsampler() -> None:
    x = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = training_network(seed=0)(x) - x.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert float(difference.abs().mean()) < 0.1


@pytest.mark.parametrize("stop_at", [2, 3])
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path, pairs: list[Pair], stop_at: int) -> None:
    expected = unbroken(request(tmp_path / "unbroken"), pairs)
    first = Trainer(request(tmp_path), pairs)
    assert not first.run(report=lambda _step, _loss: None, stop=lambda: first.step == stop_at)
    second = Trainer(request(tmp_path), pairs)
    assert second.step == stop_at
    assert second.run(report=lambda _step, _loss: None)
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["checkpoint.pt"]
    for name, tensor in second.average.items():
        assert torch.equal(tensor, expected[name]), name


def test_threads_share_a_batch_without_changing_it(tmp_path: Path, pairs: list[Pair]) -> None:
    def losses(workers: int) -> list[float]:
        seen: list[float] = []
        Trainer(request(tmp_path / str(workers), workers=workers), pairs).run(report=lambda _step, loss: seen.append(loss))
        return seen

    alone = losses(1)
    assert len(alone) == 4
    assert losses(2) == pytest.approx(alone, rel=1e-4)


def test_training_lowers_the_loss(tmp_path: Path, pairs: list[Pair]) -> None:
    losses: list[float] = []
    trainer = Trainer(
        TrainingRequest(checkpoint=tmp_path / "checkpoint.pt", iterations=40, batch=4, side=9, rate=5e-3, save_every=100), pairs
    )
    trainer.run(report=lambda _step, loss: losses.append(loss))
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_a_checkpoint_of_another_seed_is_refused(tmp_path: Path, pairs: list[Pair]) -> None:
    trainer = Trainer(request(tmp_path), pairs)
    trainer.run(report=lambda _step, _loss: None, stop=lambda: True)
    with pytest.raises(CheckpointError, match="--seed 0"):
        Trainer(request(tmp_path, seed=1), pairs)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_broken_checkpoint_is_one_clear_error(tmp_path: Path, pairs: list[Pair], content: bytes) -> None:
    broken = request(tmp_path)
    broken.checkpoint.parent.mkdir()
    broken.checkpoint.write_bytes(content)
    with pytest.raises(CheckpointError, match="Delete it"):
        Trainer(broken, pairs)


def test_rate_warms_up_and_falls_to_its_end() -> None:
    rates = [rate_at(step, iterations=1000, peak=1e-3) for step in range(1000)]
    assert rates[0] < 1e-5
    assert max(rates) == pytest.approx(0.9e-3, rel=0.05)
    assert rates[-1] == pytest.approx(FINAL_RATE, abs=1e-7)


def test_the_asset_is_the_averaged_weights_with_their_licence(tmp_path: Path, pairs: list[Pair]) -> None:
    trainer = Trainer(request(tmp_path), pairs)
    asset = tmp_path / "assets" / "demo.safetensors"
    write_asset(trainer, asset)
    assert [path.name for path in asset.parent.iterdir()] == [asset.name]
    with safe_open(asset, framework="pt") as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # safe_open is no mapping
    assert metadata["model"] == "vapsr-s"
    assert metadata["scale"] == "4"
    assert metadata["licence"] == "MIT"
    build_model("vapsr-s", scale=4).load_state_dict(weights, strict=True)
    assert all(torch.equal(tensor, trainer.average[name]) for name, tensor in weights.items())
