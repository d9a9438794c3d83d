"""What every rewrite must keep to: an exact identity, proven in float64 on witnesses in general position."""

import copy
import importlib
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from edgesr.export.rewrite import TRAITS, Refusal, Rewrite, rewrites
from edgesr.export.target import targets
from edgesr.parity import difference

EXACT = 1e-12

each_rewrite = pytest.mark.parametrize(("name", "rewrite"), rewrites().items(), ids=list(rewrites()))


def replaced(rewrite: Rewrite, module: nn.Module) -> nn.Module:
    replacement = rewrite.replace(module)
    assert isinstance(replacement, nn.Module), f"{type(module).__name__} was not matched: {replacement}"
    return replacement


def test_there_is_a_rewrite() -> None:
    assert rewrites()


@each_rewrite
def test_witnesses_are_in_general_position(name: str, rewrite: Rewrite) -> None:
    for witness in rewrite.witnesses():
        assert all(x.dtype == torch.float64 and x.std() > 0 for x in witness.inputs)
        inputs = [x.clone().requires_grad_() for x in witness.inputs]
        output = witness.module(*inputs)
        (output * torch.randn_like(output)).sum().backward()
        assert all(x.grad is not None and x.grad.abs().max() > 0 for x in inputs)
        for parameter, value in witness.module.named_parameters():
            assert value.dtype == torch.float64
            assert value.grad is not None, f"{parameter} receives no gradient"
            assert value.grad.abs().max() > 0, f"the gradient of {parameter} is zero"


@each_rewrite
def test_replacement_is_the_same_function(name: str, rewrite: Rewrite) -> None:
    assert rewrite.witnesses()
    for witness in rewrite.witnesses():
        with torch.no_grad():
            expected = witness.module(*witness.inputs)
            actual = replaced(rewrite, witness.module)(*witness.inputs)
        assert difference(name, expected.numpy(), actual.numpy()).relative_l2 <= EXACT


@each_rewrite
def test_a_disturbed_parameter_shows(name: str, rewrite: Rewrite) -> None:
    """The proof can fail: when any one parameter differs by a thousandth, the functions differ by more than EXACT."""
    for witness in rewrite.witnesses():
        with torch.no_grad():
            expected = witness.module(*witness.inputs)
            for parameter, _ in witness.module.named_parameters():
                disturbed = copy.deepcopy(witness.module)
                disturbed.get_parameter(parameter).mul_(1.001)
                actual = replaced(rewrite, disturbed)(*witness.inputs)
                assert difference(name, expected.numpy(), actual.numpy()).relative_l2 > 1e3 * EXACT, parameter


@each_rewrite
def test_the_module_is_left_as_it_was(name: str, rewrite: Rewrite) -> None:
    for witness in rewrite.witnesses():
        before = copy.deepcopy(witness.module.state_dict())
        replaced(rewrite, witness.module)
        after = witness.module.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)


@each_rewrite
def test_near_misses_are_refused_with_a_reason(name: str, rewrite: Rewrite) -> None:
    assert rewrite.near_misses()
    for module in rewrite.near_misses():
        verdict = rewrite.replace(module)
        assert isinstance(verdict, Refusal)
        assert verdict.reason


@each_rewrite
def test_a_relative_that_computes_something_else_is_left_alone(name: str, rewrite: Rewrite) -> None:
    """A class that inherits from the one that is replaced may have a forward of its own."""
    for witness in rewrite.witnesses():
        kind = type(witness.module)
        relative = copy.deepcopy(witness.module)
        relative.__class__ = type(f"Other{kind.__name__}", (kind,), {"forward": lambda self, *inputs: inputs[0]})
        assert not isinstance(rewrite.replace(relative), nn.Module)


@each_rewrite
def test_it_is_not_applied_twice(name: str, rewrite: Rewrite) -> None:
    for witness in rewrite.witnesses():
        assert not isinstance(rewrite.replace(replaced(rewrite, witness.module)), nn.Module)


@each_rewrite
def test_it_serves_a_trait_that_a_target_needs(name: str, rewrite: Rewrite) -> None:
    assert rewrite.serves <= TRAITS.keys()
    assert any(rewrite.serves & target.needs for target in targets().values())


@each_rewrite
def test_evidence_of_its_worth_lies_beside_it(name: str, rewrite: Rewrite, repository: Path) -> None:
    evidence = json.loads((repository / "export" / "rewrites" / f"{name.replace('-', '_')}.json").read_text(encoding="utf-8"))
    assert f"scripts/ablate {name} " in evidence["command"]
    assert evidence["models"]
    measured = {"nodes_with", "nodes_without", "bytes_with", "bytes_without"}
    if evidence.get("target", "ort") == "ort":
        measured |= {"mb_with", "mb_without", "ratio", "ratio_low"}
    for model in evidence["models"]:
        assert measured <= model.keys() or model["needed"]


@each_rewrite
def test_its_file_states_the_identity(name: str, rewrite: Rewrite) -> None:
    module = importlib.import_module(f"edgesr.export.rewrites.{name.replace('-', '_')}")
    assert "=" in (module.__doc__ or "")
    assert "=" in rewrite.equation
