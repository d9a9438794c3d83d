"""The table of chips, and what people call them."""

from pathlib import Path

import onnx
import pytest

from edgesr import backends
from edgesr.errors import UnknownNameError, UsageError
from edgesr.export.qnn.compiling import compile_for
from edgesr.runtimes._qnn.chips import CHIPS, DEFAULT, chip_named, chips_named
from edgesr.runtimes._qnn.provider import binary_beside


def test_numbers_and_names_are_of_one_chip_each() -> None:
    assert DEFAULT in CHIPS
    assert len({chip.number for chip in CHIPS.values()}) == len(CHIPS)
    for name, chip in CHIPS.items():
        assert chip.architecture >= 69  # those before compute in whole numbers only
        for called in (name, name.upper(), str(chip.number), *chip.names, *(f"Snapdragon {each}" for each in chip.names)):
            assert chip_named(called) == name


@pytest.mark.skipif(not backends.available("onnxruntime_qnn"), reason="onnxruntime-qnn is not installed")
@pytest.mark.parametrize("chip", CHIPS)
def test_the_compiler_takes_each_and_writes_its_name_and_architecture(chip: str, tmp_path: Path) -> None:
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 8, 8, 8]) for name in ("input", "output")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["input"], ["output"], name="relu")], "net", ends[:1], ends[1:])
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), tmp_path / "net.onnx"
    )
    wrapper = tmp_path / "made.onnx"
    assert compile_for(chip, tmp_path / "net.onnx", wrapper, level=1).cpu == 0
    written = binary_beside(wrapper).read_bytes()
    assert f"soc_type={chip.upper()};arch={CHIPS[chip].architecture};".encode() in written
    assert b"OpO=1;" in written


def test_several_are_taken_in_order_and_once() -> None:
    assert chips_named("8 Gen 3, sm8550,57") == "sm8650,sm8550"


@pytest.mark.parametrize(("text", "near"), [("sm8651", "sm8650"), ("sm8650,sm855", "sm8550"), ("8gen33", "8gen3")])
def test_an_unknown_chip_names_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{near}'") as raised:
        chips_named(text)
    assert raised.value.exit_code == 2
    assert "sm8650 (8 Gen 3)" in raised.value.hint


@pytest.mark.parametrize(
    ("name", "why"), [("888", "float16"), ("SM8350", "float16"), ("8s Gen 3", "refuses"), ("sm7675", "refuses"), ("42", "v68")]
)
def test_a_chip_that_cannot_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"no network can be compiled for {name}: .*{why}") as raised:
        chips_named(f"sm8650,{name}")
    assert "sm8650 (8 Gen 3)" in raised.value.hint


def test_a_number_has_no_nearest_chip() -> None:
    with pytest.raises(UnknownNameError, match=r"no chip named '30'\nKnown"):
        chips_named("30")


def test_no_chip_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="no chip was named"):
        chips_named(" , ")


def test_the_documentation_lists_them(repository: Path) -> None:
    page = (repository / "docs" / "qnn.md").read_text(encoding="utf-8")
    for name, chip in CHIPS.items():
        assert f"| `{name}` | {', '.join(chip.names) or '–'} | {chip.number} | v{chip.architecture} |" in page
