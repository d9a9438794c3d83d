"""A state dict's names and shapes tell its network; what contradicts itself is refused by name."""

from typing import TYPE_CHECKING

import pytest
import torch

from edgesr.errors import CheckpointError
from edgesr.model import Shapes
from edgesr.models import detect_spec, families, model_spec

if TYPE_CHECKING:
    from tests.models.conftest import Layout


def shapes_of(name: str, scale: int = 4) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {key: tuple(tensor.shape) for key, tensor in model_spec(name, scale=scale).build().state_dict().items()}


def test_the_state_dict_is_the_authors(layout: "Layout") -> None:
    assert shapes_of(layout.variant, layout.scale) == layout.shapes


def test_the_authors_layout_is_detected_by_its_family_alone(layout: "Layout") -> None:
    assert detect_spec(layout.shapes) == layout.spec
    claims = [name for name, family in families().items() if family.detect(layout.shapes) is not None]
    assert claims == [layout.spec.family_name]


def test_relatives_are_of_no_family(foreign: "Layout") -> None:
    assert detect_spec(foreign.shapes) is None


@pytest.mark.parametrize("shapes", [{}, {"weight": (3, 3, 3, 3)}, {"conv_first.weight": (64, 3, 3, 3), "conv_last.bias": (3,)}])
def test_other_networks_are_of_no_family(shapes: Shapes) -> None:
    assert detect_spec(shapes) is None


def test_sizes_are_read_not_looked_up() -> None:
    shapes = shapes_of("esc")
    for name in [name for name in shapes if name.startswith("blocks.4.")]:
        del shapes[name]
    spec = detect_spec(shapes)
    assert spec is not None
    assert spec.variant is None
    assert spec.config.blocks == 4
    assert spec.name == "esc-custom-x4"


MISSING = [
    ("esc", "proj.weight"),
    ("esc", "blocks.0.attn.relative_position_bias"),
    ("esc", "blocks.0.convffns.0.proj.weight"),
    ("esc-fp", "to_img.weight"),
    ("esc-fp", "blocks.0.proj.proj.weight"),
    ("srconvnet", "to_feat.weight"),
    ("srconvnet", "blocks.0.ffn.conv1.conv.aggregation.weight"),
    ("vapsr", "body.0.proj_1.weight"),
    ("vapsr", "conv_body.weight"),
    ("rgt-s", "conv_first.weight"),
    ("rgt-s", "layers.0.blocks.0.mlp.fc1.weight"),
]


@pytest.mark.parametrize(("name", "tensor"), MISSING)
def test_a_missing_tensor_is_named(name: str, tensor: str) -> None:
    shapes = shapes_of(name)
    del shapes[tensor]
    with pytest.raises(CheckpointError, match=f"has no tensor '{tensor}'"):
        detect_spec(shapes)


@pytest.mark.parametrize(
    ("name", "module"), [("esc", "blocks"), ("esc-fp", "blocks"), ("srconvnet", "blocks"), ("vapsr", "body"), ("rgt-s", "layers")]
)
def test_a_gap_among_the_blocks_is_refused(name: str, module: str) -> None:
    shapes = {key: shape for key, shape in shapes_of(name).items() if not key.startswith(f"{module}.1.")}
    with pytest.raises(CheckpointError, match=f"'{module}' is not a list of modules"):
        detect_spec(shapes)


def test_a_forged_block_number_builds_nothing() -> None:
    shapes = shapes_of("vapsr") | {"body.999999999.proj_1.weight": (64, 48, 1, 1)}
    with pytest.raises(CheckpointError, match="999999999"):
        detect_spec(shapes)


CONTRADICTIONS = [
    ("esc", "to_img.weight", (50, 64, 3, 3), "50 channels"),
    ("esc", "plk_filter", (16, 16, 12, 12), "no centre"),
    ("esc", "plk_filter", (80, 80, 13, 13), "80 of 64 channels"),
    ("esc", "plk_filter", (16, 13, 13), "shape"),
    ("esc", "blocks.0.attn.relative_position_bias", (4, 4000), "4000 offsets"),
    ("esc", "blocks.0.attn.relative_position_bias", (4, 64**2), "4096 offsets"),
    ("esc-fp", "blocks.0.attn.relative_position_bias", (5, 3969), "5 attention heads"),
    ("srconvnet", "blocks.0.attention.layer_scale", (7,), "7 heads"),
    ("srconvnet", "upsampling.0.weight", (100, 64, 1, 1), "scale"),
    ("vapsr", "upsampler.3.weight", (27, 16, 3, 3), "×6"),
    ("vapsr", "conv_body.weight", (48, 36, 3, 3), "36 channels per group"),
    ("rgt-s", "upsample.0.weight", (100, 64, 3, 3), "scale"),
    ("rgt-s", "layers.0.blocks.0.attn.attns.0.pos.pos3.2.weight", (7, 5), "14 heads"),
    ("rgt-s", "layers.0.blocks.0.attn.attns.0.rpe_biases", (900, 2), "900 offsets"),
    ("rgt-s", "layers.0.blocks.2.attn.attn_mask_0", (15, 256, 256), "attn_mask_0"),
]


@pytest.mark.parametrize(("name", "tensor", "shape", "message"), CONTRADICTIONS)
def test_contradictory_sizes_are_refused(name: str, tensor: str, shape: tuple[int, ...], message: str) -> None:
    shapes = shapes_of(name)
    assert tensor in shapes
    with pytest.raises(CheckpointError, match=message):
        detect_spec(shapes | {tensor: shape})
