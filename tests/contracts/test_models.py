"""What every family and variant must keep to."""

import pytest
import torch

from edgesr.errors import SizeError
from edgesr.model import Family, ModelSpec
from edgesr.models import detect_spec, families, model_spec

each_family = pytest.mark.parametrize(("name", "family"), families().items(), ids=list(families()))
SPECS = [model_spec(v, scale=s) for family in families().values() for v, configs in family.variants.items() for s in configs]
each_spec = pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])


@each_family
def test_it_says_where_it_comes_from(name: str, family: Family) -> None:
    assert family.title
    assert "arXiv" in family.paper or "20" in family.paper
    assert family.licence


@each_family
def test_its_official_weights_are_of_its_variants(name: str, family: Family) -> None:
    for weights in family.weights:
        assert weights.scale in family.variants[weights.variant]
        assert weights.url.startswith("https://")
        assert weights.sha256 is None or len(weights.sha256) == 64


@each_spec
def test_its_configuration_says_its_scale_and_is_frozen(spec: ModelSpec) -> None:
    assert spec.family.variants[spec.variant or ""][spec.scale] == spec.config
    assert hash(spec.config) is not None


@each_spec
def test_it_is_detected_from_its_own_tensors(spec: ModelSpec) -> None:
    with torch.device("meta"):
        shapes = {key: tuple(tensor.shape) for key, tensor in spec.build().state_dict().items()}
    assert detect_spec(shapes) == spec


@each_spec
def test_a_checkpoint_may_lack_the_constants_that_the_network_makes(spec: ModelSpec) -> None:
    with torch.device("meta"):
        module = spec.build()
    trained = {name: tuple(p.shape) for name, p in module.named_parameters() if p.requires_grad}
    assert detect_spec(trained) == spec


@each_spec
def test_it_enlarges_by_its_scale_and_refuses_smaller_pictures(spec: ModelSpec) -> None:
    with torch.device("meta"):
        module = spec.build()
        least = spec.minimum_size
        assert module(torch.empty(2, 3, least, least + 1)).shape == (2, 3, spec.scale * least, spec.scale * (least + 1))
        if least > 1:
            with pytest.raises(SizeError, match=str(least)):
                module(torch.empty(1, 3, least, least - 1))
    assert not module.training
