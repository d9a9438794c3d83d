"""What ONNX Runtime's provider is asked for: the right chip in float16, and nothing on the processor."""

from typing import Any

import pytest

from edgesr.runtimes._qnn import provider
from edgesr.runtimes._qnn.chips import CHIPS

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("chip", CHIPS)
def test_a_chip_is_named_by_its_number_and_architecture_in_float16(chip: str) -> None:
    facts = CHIPS[chip]
    assert provider.for_chip(chip) == {
        "soc_model": str(facts.number),
        "htp_arch": str(facts.architecture),
        "enable_htp_fp16_precision": "1",
    }


def test_nothing_may_fall_back_to_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime_qnn")
    asked: dict[str, Any] = {}

    def session(model: str, options: Any, **more: Any) -> str:
        asked.update(more, fallback=options.get_session_config_entry("session.disable_cpu_ep_fallback"))
        return model

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    provider.open_session("net.onnx", provider.for_chip("sm8650"), {"ep.context_enable": "1"})
    assert asked == {"enable_fallback": 0, "fallback": "1"}
