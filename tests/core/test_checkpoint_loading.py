"""Checkpoints that can be read but do not fit their network, or must not be used: the error names the tensors."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgesr.checkpoint import load_into, read_checkpoint
from edgesr.errors import CheckpointError, UnknownNameError, UsageError
from edgesr.models import model_spec
from edgesr.models.vapsr import VapSR, VapSRConfig
from edgesr.reference import Reference, UnitRange, WeightsInfo, inspect_checkpoint, load_reference

State = dict[str, Tensor]

SMALL = VapSRConfig(feat=8, attention=16, blocks=2, scale=4)


@pytest.fixture
def state() -> State:
    """The state dict of a small VapSR."""
    torch.manual_seed(0)
    return VapSR(SMALL).state_dict()


@pytest.fixture
def save(tmp_path: Path) -> Callable[[object], Path]:
    def write(content: object) -> Path:
        path = tmp_path / "file.pth"
        torch.save(content, path)
        return path

    return write


def load(path: Path) -> nn.Module:
    module = VapSR(SMALL)
    load_into(module, read_checkpoint(path))
    return module


def refusal(path: Path, **asked: str | int) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_reference(weights=path, **asked)  # type: ignore[arg-type]  # model is a str and scale an int
    assert "file.pth" in caught.value.message
    return caught.value.message


def test_weights_arrive_in_the_module(state: State, save: Callable[[object], Path]) -> None:
    module = load(save({"params": state}))
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype: torch.dtype, state: State, save: Callable[[object], Path]) -> None:
    module = load(save({name: tensor.to(dtype) for name, tensor in state.items()}))
    assert {tensor.dtype for tensor in module.state_dict().values()} == {torch.float32}
    assert torch.equal(module.state_dict()["conv_body.bias"], state["conv_body.bias"].to(dtype).float())


def test_missing_extra_misshaped_and_mistyped_tensors_are_all_named(state: State, save: Callable[[object], Path]) -> None:
    del state["conv_first.bias"]
    for i in range(5):
        state[f"strange{i}.weight"] = torch.ones(1)
    state["body.1.proj_1.weight"] = torch.ones(16, 9, 1, 1)
    state["conv_body.weight"] = state["conv_body.weight"].int()
    path = save(state)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert caught.value.message == (
        "file.pth does not fit the network: 1 missing (conv_first.bias); "
        "5 extra (strange0.weight, strange1.weight, strange2.weight and 2 more); "
        "1 misshaped (body.1.proj_1.weight: (16, 9, 1, 1) seen, (16, 8, 1, 1) expected); "
        "1 of a wrong type (conv_body.weight: int32 seen, float32 expected)"
    )
    assert caught.value.hint == "The file is cut down, extended, or of a relative that is not supported. See: edgesr models"


def test_complex_weights_are_of_a_wrong_type(state: State, save: Callable[[object], Path]) -> None:
    state["conv_body.bias"] = state["conv_body.bias"].to(torch.complex64)
    assert "conv_body.bias: complex64 seen, float32 expected" in refusal(save(state))


def test_nan_and_inf_are_counted_by_tensor_and_the_module_stays_as_it_was(state: State, save: Callable[[object], Path]) -> None:
    state["body.1.proj_1.weight"].view(-1)[:3] = torch.tensor([float("nan"), float("inf"), -float("inf")])
    state["conv_body.bias"][0] = float("nan")
    path = save(state)
    module = VapSR(SMALL)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_into(module, read_checkpoint(path))
    assert caught.value.message == (
        f"file.pth holds values that are not finite in 2 of {len(state)} tensors: "
        "body.1.proj_1.weight (1 NaN and 2 Inf of 128), conv_body.bias (1 NaN of 8)"
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    report = inspect_checkpoint(path)
    assert not report.finite
    assert report.nonfinite == {"body.1.proj_1.weight": 3, "conv_body.bias": 1}


def test_values_beyond_float32_are_not_finite(state: State, save: Callable[[object], Path]) -> None:
    state["conv_body.bias"] = torch.full((8,), 1e300, dtype=torch.float64)
    assert "conv_body.bias (8 Inf of 8)" in refusal(save(state))


def test_a_custom_size_is_told_from_the_tensors(state: State, save: Callable[[object], Path]) -> None:
    path = save({"params": {name: tensor * 0 for name, tensor in state.items()}, "params_ema": state})
    report = inspect_checkpoint(path)
    assert (report.family, report.variant, report.scale, report.branch) == ("vapsr", "custom", 4, "params_ema")
    assert report.configuration == {"feat": 8, "attention": 16, "blocks": 2, "scale": 4, "body_groups": 1}
    assert report.parameters == sum(tensor.numel() for tensor in state.values())
    assert report.to_json()["finite"] is True
    for model in (None, "vapsr-custom"):
        reference = load_reference(model=model, weights=path)
        assert (reference.spec.variant, reference.weights.kind, reference.weights.name) == (None, "file", "file.pth")
        assert reference.weights.sha256 == report.sha256
        assert not reference.module.training
        assert reference.module(torch.zeros(1, 3, 4, 4)).shape == (1, 3, 16, 16)


def test_another_network_than_the_one_asked_for(state: State, save: Callable[[object], Path]) -> None:
    path = save(state)
    with pytest.raises(CheckpointError) as caught:
        load_reference(model="vapsr-s", weights=path)
    assert caught.value.message == (
        "file.pth holds vapsr-custom ×4 (feat 8, attention 16, blocks 2, body_groups 1), you asked for vapsr-s ×4"
    )
    assert caught.value.hint == f"For this file: edgesr export vapsr-custom --scale 4 --weights {path}"
    assert "you asked for vapsr-custom ×2" in refusal(path, scale=2)


def test_names_that_do_not_exist_come_before_what_the_file_holds(state: State, save: Callable[[object], Path]) -> None:
    path = save(state)
    with pytest.raises(UnknownNameError, match="did you mean 'vapsr'"):
        load_reference(model="vaspr", weights=path)
    with pytest.raises(UsageError, match="vapsr-s has no scale ×2"):
        load_reference(model="vapsr-s", scale=2, weights=path)
    with pytest.raises(UsageError, match="neither a model nor a weights file"):
        load_reference()


def test_a_checkpoint_of_another_network(save: Callable[[object], Path]) -> None:
    path = save({"params": {"layers.0.conv1.weight": torch.ones(4, 3, 7, 7), "fc.bias": torch.ones(10)}})
    for asked in ({}, {"model": "vapsr-s"}):
        assert "a network of no known family; the first of its 2 tensors are layers.0.conv1.weight (4, 3, 7, 7)" in refusal(
            path, **asked
        )


def test_a_tensor_that_detection_needs_is_named_when_missing(save: Callable[[object], Path]) -> None:
    state = model_spec("vapsr-s").build().state_dict()
    del state["conv_body.weight"]
    path = save(state)
    assert "conv_body.weight" in refusal(path)
    assert "does not fit the network: 1 missing (conv_body.weight)" in refusal(path, model="vapsr-s")


@pytest.mark.parametrize("index", ["999999999", "9" * 5000])
def test_forged_module_indices_do_not_build_a_huge_network(index: str, state: State, save: Callable[[object], Path]) -> None:
    state[f"body.{index}.proj_1.weight"] = torch.ones(1)
    assert "contradict each other" in refusal(save(state))


def test_forged_shapes_do_not_allocate_a_huge_network(state: State, save: Callable[[object], Path]) -> None:
    state["body.0.proj_1.weight"] = torch.ones(400_000, 8, 1, 1)
    assert "(16, 16, 1, 1) seen, (400000, 400000, 1, 1) expected" in refusal(save(state))


def test_sizes_that_no_module_can_have(state: State, save: Callable[[object], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    impossible = replace(model_spec("vapsr-s"), config=replace(SMALL, body_groups=3))
    monkeypatch.setattr("edgesr.reference.detect_spec", lambda shapes: impossible)
    assert "no network has its sizes (feat 8, attention 16, blocks 2, body_groups 3)" in refusal(save(state))


def test_a_seeded_network_says_that_it_is_untrained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    first, second = (load_reference(model="vapsr-s") for _ in range(2))
    assert first.weights == WeightsInfo(kind="untrained", name="untrained", sha256=None)
    assert first.spec.name == "vapsr-s-x4"
    again = second.module.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.module.state_dict().items())


def test_shipped_demo_weights_are_used_where_there_are_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "assets").mkdir()
    module = model_spec("vapsr-s").build()
    save_file(module.state_dict(), tmp_path / "assets" / "vapsr-s-x4-demo.safetensors")
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    reference = load_reference(model="vapsr-s")
    assert (reference.weights.kind, reference.weights.name) == ("demo", "vapsr-s-x4-demo.safetensors")
    assert torch.equal(reference.module.state_dict()["conv_body.bias"], module.state_dict()["conv_body.bias"])
    assert load_reference(model="vapsr", scale=2).weights.kind == "untrained"


class AddTen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 10


def test_a_network_of_another_range_is_wrapped() -> None:
    wrapped = UnitRange(AddTen(), peak=20.0)
    assert torch.equal(wrapped(torch.tensor([0.0, 1.0])), torch.tensor([0.5, 1.5]))
    spec = model_spec("vapsr-s")
    module = AddTen()
    weights = WeightsInfo(kind="untrained", name="untrained", sha256=None)
    assert Reference(spec=spec, module=module, weights=weights).unit_module() is module


@pytest.mark.parametrize(
    ("file", "variant", "scale", "blocks", "parameters"),
    [
        ("VapSR_X2.pth", "vapsr", 2, 20, 329_236),
        ("VapSR_X3.pth", "vapsr", 3, 20, 336_811),
        ("VapSR_X4.pth", "vapsr", 4, 21, 342_220),
        ("VapSR-S.pth", "vapsr-s", 4, 11, 154_956),
    ],
)
def test_the_authors_checkpoints_are_recognised_under_any_name(
    data: Path, file: str, variant: str, scale: int, blocks: int, parameters: int, tmp_path: Path
) -> None:
    path = tmp_path / "renamed.bin"
    path.write_bytes((data / "weights" / "vapsr" / file).read_bytes())
    report = inspect_checkpoint(path)
    assert (report.family, report.variant, report.scale, report.configuration["blocks"]) == ("vapsr", variant, scale, blocks)
    assert (report.branch, set(report.branches), report.dtypes) == ("params_ema", {"params", "params_ema"}, ("float32",))
    assert report.parameters == parameters
    assert report.finite
    reference = load_reference(weights=path)
    assert (reference.weights.kind, reference.weights.name) == ("official", "renamed.bin")


def test_a_truncated_author_checkpoint_is_refused(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "file.pth"
    path.write_bytes((data / "weights" / "vapsr" / "VapSR-S.pth").read_bytes()[:900_000])
    assert "cut off after 900,000 bytes" in refusal(path)
