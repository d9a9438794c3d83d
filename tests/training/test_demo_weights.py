"""The shipped demo weights: they fit, they are small and sound, and they see more than bicubic does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from edgesr import build_model
from edgesr.resize import matlab_bicubic

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "edgesr" / "assets"
WEIGHTS = ASSETS / "vapsr-s-x4-demo.safetensors"


def read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Decibels on BT.601 luma, four pixels of border left out."""
    difference = ((a.astype(np.float64) - b) @ [65.481, 128.553, 24.966] / 255)[4:-4, 4:-4]
    return float(20 * np.log10(255 / np.sqrt(np.mean(difference**2))))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    built = build_model("vapsr-s", scale=4)
    built.load_state_dict(load_file(WEIGHTS), strict=True)
    return built


def upscaled(network: nn.Module, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    x = torch.from_numpy(picture / 255).float().permute(2, 0, 1)[None]
    with torch.inference_mode():
        y: torch.Tensor = network(x)[0].permute(1, 2, 0).clamp(0, 1).mul(255).round()
    return np.asarray(y, dtype=np.uint8)


def test_weights_are_small_finite_and_say_what_they_are() -> None:
    assert WEIGHTS.stat().st_size < 700_000
    assert all(tensor.isfinite().all() and tensor.dtype == torch.float32 for tensor in load_file(WEIGHTS).values())
    with safe_open(WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
    assert (metadata["model"], metadata["scale"], metadata["licence"]) == ("vapsr-s", "4", "MIT")
    assert "scripts/train-demo" in metadata["training"]


def test_the_demo_photograph_is_the_reduction_of_the_original() -> None:
    original = read(ROOT / "tests" / "data" / "astronaut-512.png")
    np.testing.assert_array_equal(read(ASSETS / "astronaut-128.png"), matlab_bicubic(original, scale=0.25))


def test_the_demo_photograph_comes_out_better_than_bicubic(network: nn.Module) -> None:
    original = read(ROOT / "tests" / "data" / "astronaut-512.png")
    small = read(ASSETS / "astronaut-128.png")
    assert psnr(upscaled(network, small), original) > psnr(matlab_bicubic(small, scale=4), original) + 1.0


def test_set5_is_at_least_a_decibel_above_bicubic(network: nn.Module, data: Path) -> None:
    set5 = data / "images" / "Set5"
    ours, bicubic = [], []
    for path in sorted((set5 / "HR").glob("*.png")):
        small = read(next((set5 / "LRbicx4").glob(f"{path.stem}*")))
        original = read(path)[: 4 * small.shape[0], : 4 * small.shape[1]]
        ours.append(psnr(upscaled(network, small), original))
        bicubic.append(psnr(matlab_bicubic(small, scale=4), original))
    assert len(ours) == 5
    assert np.mean(bicubic) == pytest.approx(28.42, abs=0.02)
    assert np.mean(ours) > np.mean(bicubic) + 1.0
