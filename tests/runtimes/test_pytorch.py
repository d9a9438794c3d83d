"""PyTorch's runtimes beyond float32 on a processor: half precision, and ESC's attention as its authors compile it."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from edgesr.errors import BackendMissingError
from edgesr.models._esc_blocks import WindowAttention
from edgesr.parity import difference
from edgesr.reference import load_reference
from edgesr.runtime import Options
from edgesr.runtimes import pytorch_compile
from edgesr.runtimes._flex_attention import FlexWindowAttention, with_flex_attention
from edgesr.runtimes.pytorch import float32_on_cuda, open_reference, placed_module


def test_half_precision_is_that_of_weights_and_input() -> None:
    reference = load_reference(model="vapsr-s")
    image = np.random.default_rng(0).random((1, 3, 12, 17), dtype=np.float32)
    whole, half = open_reference(reference), open_reference(reference, Options(precision="fp16"))
    expected, output = whole.run(image), half.run(image)
    assert output.dtype == np.float32
    assert "float16" in half.settings["precision"]
    assert 40 < difference("picture", expected, output).psnr_db < 100, "it was not computed in half precision"
    bound = half.bind(image)
    bound()
    np.testing.assert_array_equal(bound.output(), output)
    assert next(reference.module.parameters()).dtype == torch.float32, "the reference itself was altered"
    np.testing.assert_array_equal(whole.run(image), expected)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_is_the_same_function() -> None:
    torch.manual_seed(0)
    attention = WindowAttention(8, window=4, heads=2).double().eval()
    nn.init.normal_(attention.relative_position_bias)
    x = torch.randn(2, 8, 7, 10, dtype=torch.float64)
    flex = FlexWindowAttention(attention)
    with torch.inference_mode():
        torch.testing.assert_close(flex(x), attention(x), rtol=0, atol=1e-12)
        torch.testing.assert_close(flex.double()(x), attention(x), rtol=0, atol=1e-12)
    altered = copy.deepcopy(attention)
    with torch.no_grad():
        altered.relative_position_bias[0, 3] += 1
    with torch.inference_mode():
        assert not torch.allclose(flex(x), altered(x), atol=1e-3), "the bias does not reach it"


def test_every_window_attention_is_replaced_and_nothing_else() -> None:
    reference = load_reference(model="esc-light")
    names = set(reference.module.state_dict())
    assert with_flex_attention(reference.module) == 3
    assert not [module for module in reference.module.modules() if type(module) is WindowAttention]
    assert set(reference.module.state_dict()) == names
    assert with_flex_attention(load_reference(model="vapsr-s").module) == 0


def test_on_a_gpu_esc_is_compiled_with_flex_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    def placed(reference: object, options: Options) -> nn.Module:
        return copy.deepcopy(esc.module)

    esc = load_reference(model="esc-light")
    seen: list[nn.Module] = []

    def compiled(module: nn.Module) -> nn.Module:
        seen.append(module)
        return module

    monkeypatch.setattr(pytorch_compile, "placed_module", placed)
    monkeypatch.setattr(torch, "compile", compiled)
    on_gpu = pytorch_compile.open_reference(esc, Options(device="cuda"))
    assert on_gpu.settings["attention"] == "FlexAttention in 3 places, as ESC's authors run it"
    here = pytorch_compile.open_reference(esc, Options())
    assert "scaled_dot_product_attention" in here.settings["attention"]
    kinds = [{type(module) for module in each.modules()} & {WindowAttention, FlexWindowAttention} for each in seen]
    assert kinds == [{FlexWindowAttention}, {WindowAttention}]


def test_on_a_gpu_float32_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default PyTorch's convolutions take TF32 there."""
    places = float32_on_cuda()
    before = [each.fp32_precision for each in places]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(nn.Module, "to", lambda module, **_: module)  # there is no GPU to move it to
    try:
        placed_module(load_reference(model="vapsr-s"), Options(device="cuda"))
        assert [each.fp32_precision for each in places] == ["ieee", "ieee"]
    finally:
        for each, precision in zip(places, before, strict=True):
            each.fp32_precision = precision


@pytest.mark.skipif(torch.cuda.is_available(), reason="PyTorch finds a CUDA device")
def test_without_a_gpu_it_leads_to_the_doctor() -> None:
    with pytest.raises(BackendMissingError, match="finds no CUDA device") as caught:
        open_reference(load_reference(model="vapsr-s"), Options(device="cuda"))
    assert "edgesr doctor" in caught.value.hint


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_on_a_real_gpu(precision: str) -> None:
    reference = load_reference(model="vapsr-s")
    image = np.random.default_rng(0).random((1, 3, 12, 17), dtype=np.float32)
    options = Options(device="cuda", precision="fp16" if precision == "fp16" else "fp32")
    found = difference("picture", open_reference(reference).run(image), open_reference(reference, options).run(image))
    assert found.psnr_db > (50 if precision == "fp16" else 100)
