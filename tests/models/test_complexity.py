"""Parameters and multiply-adds as the papers give them."""

import pytest
import torch

from edgesr.complexity import multiply_adds, parameters
from edgesr.errors import SizeError
from edgesr.models import model_spec

PARAMETERS = [
    ("esc", 4, 967.5e3),
    ("esc-light", 4, 624.4e3),
    ("esc-fp", 4, 539.3e3),
    ("srconvnet", 4, 1007.5e3),
    ("vapsr", 4, 342e3),
    ("vapsr-s", 4, 155e3),
    ("rgt-s", 4, 10.20e6),
    ("rgt", 4, 13.37e6),
]


@pytest.mark.parametrize(("name", "scale", "published"), PARAMETERS)
def test_parameters_are_the_papers(name: str, scale: int, published: float) -> None:
    with torch.device("meta"):
        assert parameters(model_spec(name, scale=scale).build()) == pytest.approx(published, rel=1e-3)


def test_constants_are_no_parameters() -> None:
    module = model_spec("srconvnet").build()
    mean_colours = 2 * (3 * 3 + 3)
    assert parameters(module) == sum(parameter.numel() for parameter in module.parameters()) - mean_colours == 1_007_491


@pytest.mark.parametrize(("name", "published"), [("esc", 149.2e9), ("esc-light", 91.0e9), ("esc-fp", 60.8e9)])
def test_multiply_adds_are_the_papers(name: str, published: float) -> None:
    assert multiply_adds(model_spec(name)) == pytest.approx(published, rel=1e-3)


@pytest.mark.parametrize(("name", "published"), [("rgt-s", 193.08e9), ("rgt", 251.07e9)])
def test_multiply_adds_of_another_output_size_are_the_papers(name: str, published: float) -> None:
    assert multiply_adds(model_spec(name), height=512, width=512) == pytest.approx(published, rel=1e-4)


def test_a_scale_that_does_not_divide_the_output_rounds_the_input_down() -> None:
    spec = model_spec("vapsr", scale=3)
    assert multiply_adds(spec) == multiply_adds(spec, height=720, width=3 * 426)


def test_convolutions_without_attention_grow_with_the_area() -> None:
    spec = model_spec("vapsr-s")
    assert multiply_adds(spec, height=1440) == 2 * multiply_adds(spec)


def test_an_output_below_the_minimum_is_a_clear_error() -> None:
    with pytest.raises(SizeError, match="17×17"):
        multiply_adds(model_spec("esc"), height=64, width=1280)
