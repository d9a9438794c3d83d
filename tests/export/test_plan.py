"""Which rewrites a target gets, in which order, and what applying them leaves alone."""

import pytest
import torch
from torch import nn

from edgesr.errors import RegistryError, UnknownNameError
from edgesr.export import rewrite as module
from edgesr.export.rewrite import Refusal, Rewrite, apply_plan, plan
from edgesr.registry import Registry


def tanh_for_relu(child: nn.Module) -> nn.Module | Refusal | None:
    if isinstance(child, nn.GELU):
        return Refusal(reason="has tails")
    return nn.Tanh() if isinstance(child, nn.ReLU) else None


def a_rewrite(*, serves: str, after: tuple[str, ...] = ()) -> Rewrite:
    return Rewrite(
        equation="a = b",
        serves=frozenset({serves}),
        replace=tanh_for_relu,
        witnesses=list,
        near_misses=list,
        after=after,
    )


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = {
        "alpha": a_rewrite(serves="x", after=("zeta",)),
        "mid": a_rewrite(serves="y"),
        "zeta": a_rewrite(serves="x"),
    }
    monkeypatch.setattr(module, "rewrites", lambda: Registry("rewrite", plugins))


def test_a_target_gets_what_serves_its_needs_in_the_declared_order(three: None) -> None:
    assert [step.name for step in plan({"x"})] == ["zeta", "alpha"]
    assert [step.name for step in plan({"y"})] == ["mid"]
    assert {step.name for step in plan({"x", "y"})} == {"zeta", "alpha", "mid"}
    assert plan({"x"})[0].because == ("x",)
    assert plan(set()) == ()


def test_a_rewrite_can_be_left_out(three: None) -> None:
    assert [step.name for step in plan({"x"}, without=["zeta"])] == ["alpha"]
    with pytest.raises(UnknownNameError, match="did you mean 'alpha'"):
        plan({"x"}, without=["alpa"])


def test_a_circle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = {"a": a_rewrite(serves="x", after=("b",)), "b": a_rewrite(serves="x", after=("a",))}
    monkeypatch.setattr(module, "rewrites", lambda: Registry("rewrite", plugins))
    with pytest.raises(RegistryError, match="wait for each other"):
        plan({"x"})


def test_every_match_is_replaced_in_a_copy_and_refusals_are_told(three: None) -> None:
    network = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.GELU())).eval()
    rewritten, (applied,) = apply_plan(plan({"y"}), network)
    assert applied.matches == ("0", "1.1")
    assert applied.refusals == (("1.2", "has tails"),)
    assert [type(child) for child in rewritten.modules() if not list(child.children())] == [nn.Tanh, nn.Linear, nn.Tanh, nn.GELU]
    assert isinstance(network[0], nn.ReLU)
    assert not any(child.training for child in rewritten.modules())
    assert rewritten.get_parameter("1.0.weight") is not network.get_parameter("1.0.weight")


def test_the_root_can_be_replaced(three: None) -> None:
    rewritten, (applied,) = apply_plan(plan({"y"}), nn.ReLU())
    assert isinstance(rewritten, nn.Tanh)
    assert applied.matches == ("",)
    assert torch.equal(rewritten(torch.zeros(1)), torch.zeros(1))
