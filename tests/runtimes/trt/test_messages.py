"""What TensorRT says, as one readable error. The messages are those that TensorRT's users report."""

import pytest

from edgesr.errors import BackendMissingError, DeviceError, EdgesrError, ExportError
from edgesr.runtimes._trt.messages import OUT_OF_MEMORY, Messages, failure


@pytest.mark.parametrize(
    ("said", "kind", "expected"),
    [
        (
            "CUDA initialization failure with error: 35. Please check your CUDA installation: http://docs.nvidia.com/cuda",
            BackendMissingError,
            "the NVIDIA driver is too old",
        ),
        ("CUDA initialization failure with error: 100", BackendMissingError, "there is no NVIDIA GPU that CUDA can use"),
        (
            "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (The engine plan file is not compatible with this "
            "version of TensorRT, expecting library version 10.3.0.30 got 10.13.3.9, please rebuild.)",
            DeviceError,
            "the engine was built by another TensorRT",
        ),
        (
            "[engine.cpp::deserializeEngine::951] Error Code 6: The engine plan file is generated on an incompatible device, "
            "expecting compute 8.7 got compute 9.0, please rebuild.",
            DeviceError,
            "or for another GPU",
        ),
        (
            "[optimizer.cpp::computeCosts::3728] Error Code 10: Could not find any implementation for node /a due to "
            "insufficient workspace. See verbose log for requested sizes.",
            DeviceError,
            "a layer needs more scratch memory than it was allowed",
        ),
    ],
)
def test_known_failures_have_a_remedy_of_their_own(said: str, kind: type[EdgesrError], expected: str) -> None:
    error = failure("it cannot start", ["something before", said], hint="the usual")
    assert type(error) is kind
    assert error.message.startswith("it cannot start: ")
    assert expected in error.message
    assert error.hint not in ("", "the usual")


def test_other_failures_are_told_in_tensorrts_words_without_its_sources_places() -> None:
    said = [
        "[network.cpp::validate::3126] Error Code 4: Internal Error (no optimization profile has been defined)",
        "IBuilder::buildSerializedNetwork: Error Code 10: no implementation for node {ForeignNode[/a.../b]}",
        "three",
        "four",
    ]
    error = failure("not built", said, hint="do that", kind=ExportError)
    assert type(error) is ExportError
    assert error.message == (
        "not built: Error Code 4: Internal Error (no optimization profile has been defined); "
        "Error Code 10: no implementation for node {ForeignNode[/a.../b]}; three (and 1 more)"
    )
    assert error.hint == "do that"


def test_silence_is_said() -> None:
    assert failure("not built", [], hint="").message == "not built: TensorRT gave no reason"


@pytest.mark.parametrize(
    "said",
    [
        "Requested amount of GPU memory (8589934592 bytes) could not be allocated.",
        "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)",
        "Error Code 2: OutOfMemory (Requested size was 4194304 bytes.)",
    ],
)
def test_too_little_memory_is_recognised(said: str) -> None:
    assert OUT_OF_MEMORY.search(said)


def test_messages_keep_errors_once_and_pass_everything_on() -> None:
    heard: list[str] = []
    messages = Messages()
    messages.add("error", "bad")
    messages.tell = heard.append
    for severity, text in (("info", "hello"), ("error", "bad"), ("error", "worse"), ("warning", "hm")):
        messages.add(severity, text)
    assert messages.errors == ("bad", "worse")
    assert heard == ["TensorRT info: hello", "TensorRT error: bad", "TensorRT error: worse", "TensorRT warning: hm"]
    messages.forget()
    assert not messages.errors
