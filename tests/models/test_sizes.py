"""Any height and width down to the minimum, and what depends on the size inside the networks."""

import pytest
import torch
from torch import Tensor

import edgesr
from edgesr.errors import SizeError
from edgesr.models import _rgt_attention as rgt
from edgesr.models import model_spec
from edgesr.models._esc_blocks import WindowAttention
from edgesr.models.esc import mean_of_symmetries
from edgesr.seeding import seed_weights

SIZES = [
    ("esc-light", 17, 17),
    ("esc-light", 33, 100),
    ("esc-fp", 17, 65),
    ("srconvnet", 1, 1),
    ("srconvnet", 5, 2),
    ("vapsr-s", 1, 1),
    ("vapsr-s", 2, 7),
    ("rgt-s", 16, 16),
    ("rgt-s", 17, 65),
]


@pytest.mark.parametrize(("name", "height", "width"), SIZES)
def test_any_size_from_the_minimum_on(name: str, height: int, width: int) -> None:
    module = edgesr.build_model(name, scale=4)
    seed_weights(module)
    with torch.inference_mode():
        y = module(torch.rand(1, 3, height, width))
    assert y.shape == (1, 3, 4 * height, 4 * width)
    assert y.isfinite().all()


@pytest.mark.parametrize(("name", "least"), [("esc", 17), ("esc-light", 17), ("esc-xl", 25), ("esc-fp", 17), ("rgt-s", 16)])
@pytest.mark.parametrize("transposed", [False, True])
def test_below_the_minimum_is_a_clear_error(name: str, least: int, transposed: bool) -> None:
    assert model_spec(name).minimum_size == least
    with torch.device("meta"):
        module = edgesr.build_model(name)
        x = torch.empty(1, 3, least - 1, 40)
    with pytest.raises(SizeError, match=f"at least {least}×{least}"):
        module(x.transpose(2, 3) if transposed else x)


def test_a_picture_that_is_not_rgb_is_a_clear_error() -> None:
    module = edgesr.build_model("vapsr-s")
    for shape in ((1, 1, 16, 16), (3, 16, 16)):
        with pytest.raises(SizeError, match="RGB"):
            module(torch.zeros(shape))


def test_rgt_reduces_long_pictures_once_more() -> None:
    assert [rgt.recursions(n, 16) for n in (16, 1023, 1024, 4095, 4096)] == [2, 2, 3, 3, 4]
    assert rgt.recursions(16, 1024) == 3


def test_rgt_refuses_a_picture_too_narrow_for_its_length() -> None:
    with torch.device("meta"):
        module = edgesr.build_model("rgt-s", scale=2)
        assert module(torch.empty(1, 3, 64, 1024)).shape == (1, 3, 128, 2048)
        with pytest.raises(SizeError, match="at least 64 pixels"):
            module(torch.empty(1, 3, 63, 1024))


@pytest.mark.parametrize("window", [(8, 32), (32, 8)])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96), (32, 32)])
def test_rgt_masks_what_only_the_roll_made_neighbours(window: tuple[int, int], height: int, width: int) -> None:
    """Two pixels of a rolled map belong together if they lie to each other as they did before the roll."""
    h, w = window
    before = torch.cartesian_prod(torch.arange(height), torch.arange(width)).reshape(height, width, 2)
    after = before.roll((-(h // 2), -(w // 2)), dims=(0, 1))

    def offsets(positions: Tensor) -> Tensor:
        pixels = positions.reshape(height // h, h, width // w, w, 2).transpose(1, 2).reshape(-1, h * w, 2)
        return pixels.unsqueeze(1) - pixels.unsqueeze(2)

    torn = (offsets(before) != offsets(after)).any(3)
    mask = rgt.roll_mask(height, width, window)
    assert torch.equal(mask, torch.where(torn, -100.0, 0.0))


def test_rgt_registers_the_mask_of_a_map_of_64_pixels() -> None:
    module = edgesr.build_model("rgt-s")
    state = module.state_dict()
    assert torch.equal(state["layers.0.blocks.2.attn.attn_mask_0"], rgt.roll_mask(64, 64, (8, 32)))
    assert torch.equal(state["layers.1.blocks.4.attn.attn_mask_1"], rgt.roll_mask(64, 64, (32, 8)))


def test_esc_looks_the_position_bias_up_by_offset() -> None:
    w = 4
    attention = WindowAttention(8, window=w, heads=2)
    bias = attention.position_bias()
    assert bias.shape == (1, 2, w * w, w * w)
    for query in range(w * w):
        for key in range(w * w):
            dy, dx = key // w - query // w, key % w - query % w
            entry = attention.relative_position_bias[:, (dy + w - 1) * (2 * w - 1) + dx + w - 1]
            assert torch.equal(bias[0, :, query, key], entry)


def test_esc_continues_the_picture_by_reflection() -> None:
    attention = WindowAttention(8, window=8, heads=2)
    x = torch.rand(1, 8, 5, 13, generator=torch.Generator().manual_seed(0))
    rows = [0, 1, 2, 3, 4, 3, 2, 1]
    columns = [*range(13), 11, 10, 9]
    whole = attention(x[:, :, rows][:, :, :, columns])
    torch.testing.assert_close(attention(x), whole[:, :, :5, :13])


def test_esc_makes_its_kernel_invariant_under_the_squares_symmetries() -> None:
    kernel = torch.rand(3, 2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mean = mean_of_symmetries(kernel)
    turned = [kernel.rot90(k, (2, 3)) for k in range(4)]
    torch.testing.assert_close(mean, torch.stack(turned + [t.flip(3) for t in turned]).mean(0))
    torch.testing.assert_close(mean, mean.rot90(1, (2, 3)))
