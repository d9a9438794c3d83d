"""What users of the kit's C++ runner get wrong, and engines that may not be loaded: one line each, and nothing half-written.

See test_jetson_cpp.py for the stand-ins that the runner is compiled against.
"""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kit.cpp_runner import COMPILER, FIXED, PICTURES, RANGE, engine, netpbm, run
from tests.kit.engine_files import manifest_of

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler here")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"0" * 99, "neither P5, P6 nor P7"),
        (b"P6\n2 2\n255\n123", "it ends too early"),
        (b"P6\n2 2\n", "ends within its header"),
        (b"P6\n2 x\n255\n", "says x where a number has to be"),
        (b"P6\n2 2\n31\n" + b"0" * 12, "its largest value is 31"),
        (b"P6\n99999999 99999999\n255\n", "99999999x99999999 pixels"),
        (b"P6\n0 2\n255\n", "2x0 pixels"),
        (b"P6\n-2 2\n255\n", "says -2"),
        (b"P7\nWIDTH 2\nCOLOUR 3\nENDHDR\n", "its header says COLOUR"),
        (b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 7\nMAXVAL 255\nENDHDR\n", "pixels of 7"),
        (b"P6 " + b"1" * 99, "its header is malformed"),
        (b"", "is empty"),
    ],
)
def test_pictures_that_are_none(nearest: Path, tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "in").write_bytes(data)
    code, _, err = run(nearest, engine(tmp_path, FIXED), tmp_path / "in", tmp_path / "out", "--trust")
    assert (code, said in err, len(err.splitlines())) == (1, True, 1), err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.part").exists()


@pytest.mark.parametrize(
    ("words", "options", "code", "said"),
    [
        (f"{FIXED} refuses the plan is not compatible", [], 1, "is no engine for TensorRT 10.3.0 and this GPU: the plan"),
        (f"{FIXED} fails out of memory", [], 1, "Run smaller tiles (--tile)"),
        (f"{FIXED} fails an illegal access", [], 1, "running 24x32 (HxW) failed: an illegal access."),
        (f"{FIXED} half", [], 1, "does not take and give float32"),
        (f"{FIXED} names", [], 1, "has a tensor other"),
        ("24 32 24 32 3", [], 1, "does not give 48x64 (HxW)"),
        ("51 16 64 80 2", [], 1, "50x90 (HxW) is too small: this engine takes 51x16"),
        (FIXED, ["--overlap", "12"], 2, "leaves nothing of a tile of 24"),
        (FIXED, ["--tile", "0"], 2, "is none"),
        (FIXED, ["--tile", "much"], 2, "'much' is no number"),
        (FIXED, ["--tile"], 2, "'' is no number"),
        (FIXED, ["--size"], 2, "there is no option --size"),
        (FIXED, ["more"], 2, "an engine, a picture and a place"),
    ],
)
def test_mistakes_are_one_line(upscale: Path, tmp_path: Path, words: str, options: list[str], code: int, said: str) -> None:
    (tmp_path / "in").write_bytes(netpbm(PICTURES[0]))
    seen, _, err = run(upscale, engine(tmp_path, words), tmp_path / "in", tmp_path / "out", "--trust", *options)
    assert (seen, said in err, len(err.splitlines())) == (code, True, 1), err
    assert {each.name for each in tmp_path.iterdir()} == {"in", "model.engine"}


def test_mistakes_of_places(upscale: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(netpbm(PICTURES[0]))
    path = engine(tmp_path, FIXED)
    for words, code, said in (
        ((tmp_path / "none.engine", tmp_path / "in", tmp_path / "out"), 1, "there is no engine"),
        ((path, tmp_path / "in", tmp_path / "out"), 1, "add --trust"),
        ((path, tmp_path / "none", tmp_path / "out", "--trust"), 1, "there is no picture"),
        ((path, tmp_path, tmp_path / "out", "--trust"), 1, "there is no picture"),
        ((path, tmp_path / "in", tmp_path / "in", "--trust"), 2, "would be lost"),
        ((path, tmp_path / "in", tmp_path / "no" / "out", "--trust"), 1, "cannot be written"),
    ):
        seen, _, err = run(upscale, *words)
        assert (seen, said in err, len(err.splitlines())) == (code, True, 1), err
    assert {each.name for each in tmp_path.iterdir()} == {"in", "model.engine"}
    code, out, _ = run(upscale, "--help")
    assert (code, b"ENGINE IN OUT" in out) == (0, True)


def test_a_full_disk_at_the_end_of_a_stream(upscale: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [upscale, engine(tmp_path, FIXED), "-", "-", "--trust"],
            input=netpbm(PICTURES[0]),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, b"cannot be written" in done.stderr) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(nearest: Path, tmp_path: Path, number: signal.Signals) -> None:
    """While it waits for the next picture of a stream."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)  # for what runs in the background may be deaf to it
    try:
        words: list[str | Path] = [nearest, engine(tmp_path, FIXED), "-", tmp_path / "out", "--trust"]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(netpbm(PICTURES[0]))
            assert process.stderr.readline().startswith(b"50x90 to 100x180 (HxW)")
            assert (tmp_path / "out.part").exists()
            process.send_signal(number)
            assert process.wait(timeout=20) == 130
            assert process.stderr.read() == b"Interrupted; no half picture was left.\n"
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert {each.name for each in tmp_path.iterdir()} == {"model.engine"}


def test_what_is_missing_or_too_small_here(upscale: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(netpbm(PICTURES[0]))
    words = (upscale, engine(tmp_path, RANGE), tmp_path / "in", tmp_path / "out", "--trust")
    code, _, err = run(*words, STANDIN_CUDA="none")
    assert (code, "no CUDA-capable device" in err) == (4, True)
    code, _, err = run(*words, STANDIN_MEMORY="150000")
    assert (code, "there is not enough memory. Run smaller tiles" in err) == (1, True), err
    assert run(*words, "--tile", "20", STANDIN_MEMORY="150000")[0] == 0


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({}, 0, ""),
        ({"extra": {"deep": [1, -2.5e3, True, None, 'é\n"\\']}}, 0, ""),
        ({"tensorrt": "10.7.0.23"}, 1, "of TensorRT, {json} says 10.7.0, and here is 10.3.0"),
        ({"gpu": "NVIDIA H200"}, 1, "of the GPU, {json} says NVIDIA H200, and here is Orin"),
        ({"compute_capability": "9.0"}, 1, "of the compute capability"),
        ({"sha256": "0" * 64}, 1, "of its bytes"),
        ({"onnx_sha256": "0" * 64}, 1, "of its ONNX file"),
        ({"gpu": None}, 1, "cannot be read"),
        (None, 1, "cannot be read"),
    ],
)
def test_engines_are_checked_against_their_manifest(
    upscale: Path, cpp_kit: Path, tmp_path: Path, changes: dict[str, Any] | None, code: int, said: str
) -> None:
    (tmp_path / "in").write_bytes(netpbm(PICTURES[0]))
    path = engine(tmp_path, f"{FIXED} {'x' * 100}")
    text = "{" if changes is None else json.dumps(manifest_of(path, cpp_kit, **changes), indent=2)
    path.with_suffix(".json").write_text(text)
    seen, _, err = run(upscale, path, tmp_path / "in", tmp_path / "out")
    assert (seen, said.format(json=path.with_suffix(".json")) in err) == (code, True), err
