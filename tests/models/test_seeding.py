"""Seeded weights: the same everywhere, sound, and none without an effect."""

import hashlib

import pytest
import torch
from torch import nn

from edgesr.model import ModelSpec
from edgesr.models import families, model_spec
from edgesr.seeding import seed_weights

EFFECT = 1e-7
"""How much of the output's norm a parameter must move, to first order, when it changes by its own size.

What has no effect at all comes out below 1e-15; most parameters, above 1e-4.
"""

INERT = ("pos.pos3.2.bias", "attn.k.bias")
"""RGT adds these to all logits of a softmax alike, which changes nothing whatever their value."""


def digest(module: nn.Module) -> str:
    state = module.state_dict()
    return hashlib.sha256(b"".join(state[name].numpy().tobytes() for name in sorted(state))).hexdigest()


def test_the_bytes_are_the_same_on_every_machine() -> None:
    module = model_spec("vapsr-s").build()
    seed_weights(module)
    assert digest(module) == "cb0fbdcd49f5894266ce615cc15c8be3b120dd278e7661c0cbf733ffc00aae4d"


def test_another_seed_gives_other_weights_and_the_same_seed_the_same() -> None:
    first, second, other = (model_spec("esc-light").build() for _ in range(3))
    seed_weights(first, seed=1)
    seed_weights(second, seed=1)
    seed_weights(other, seed=2)
    assert digest(first) == digest(second) != digest(other)


def test_constants_stay_as_they_are() -> None:
    module, fresh = model_spec("srconvnet").build(), model_spec("srconvnet").build()
    seed_weights(module)
    assert torch.equal(module.get_parameter("sub_mean.bias"), fresh.get_parameter("sub_mean.bias"))


SMALLEST = [model_spec(v, scale=min(c)) for family in families().values() for v, c in family.variants.items()]
each_variant = pytest.mark.parametrize("spec", SMALLEST, ids=[spec.name for spec in SMALLEST])


@each_variant
def test_the_output_is_sound(spec: ModelSpec) -> None:
    module = spec.build()
    seed_weights(module)
    peak = spec.family.input_peak
    x = torch.rand(1, 3, 25, 32, generator=torch.Generator().manual_seed(0)) * peak
    with torch.inference_mode():
        y = module(x) / peak
        assert y.abs().max() < 10
        assert y.std() > 0.05
        if spec.variant in ("esc-xl", "rgt"):
            return  # their smaller siblings are enough for the slow float64
        exact = module.double()(x.double()) / peak
    assert (y - exact).norm() <= 1e-5 * exact.norm()


@pytest.mark.parametrize("name", ["esc", "esc-fp", "srconvnet", "vapsr", "rgt-s"])
def test_every_parameter_has_an_effect(name: str) -> None:
    spec = model_spec(name, scale=2)
    module = spec.build().double()
    seed_weights(module)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 17, 32, dtype=torch.float64, generator=generator) * spec.family.input_peak
    y = module(x)
    (y * torch.randn(y.shape, dtype=torch.float64, generator=generator)).sum().backward()
    size = float(y.detach().norm())
    effects = {
        key: float((parameter.grad * parameter.detach()).norm()) / size if parameter.grad is not None else 0.0
        for key, parameter in module.named_parameters()
        if parameter.requires_grad and not key.endswith(INERT)
    }
    assert not {key: effect for key, effect in effects.items() if effect < EFFECT}
