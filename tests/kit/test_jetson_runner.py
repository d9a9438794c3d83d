"""The kit's runner in Python, whole and as a user starts it, with stand-ins for TensorRT and PyCUDA that repeat pixels.

What it writes is compared with `edgesr.upscale` through a session that repeats pixels too.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesr.artifact import Artifact
from edgesr.kit.jetson import write_jetson_kit
from edgesr.kit.vectors import Planted, repeated, unit
from edgesr.model import Reach
from edgesr.runtime import Session
from edgesr.runtimes import open_artifact
from edgesr.tensors import Size, SizeRule
from edgesr.upscale import UpscaleOptions, upscale_file
from jetson_kit import command as kit_command
from jetson_kit import tiles
from jetson_kit.model import read_model
from tests.kit.engine_files import manifest_of
from tests.kit.python_runner import FIXED, PICTURES, RANGE, damaged, engine, run

MakeArtifact = Callable[..., Path]


def expected(source: Path, destination: Path, said: dict[str, Any], **options: Any) -> None:
    """What edgesr writes with a session that repeats pixels."""
    low, high = (Size(height=said[end][0], width=said[end][1]) for end in ("low", "high"))
    session = Planted(function=lambda image: repeated(image, 2), scale=2, sizes=SizeRule(minimum=low, maximum=high))
    upscale_file(session, source, destination, UpscaleOptions(reach=Reach(kind="local", radius=5), **options))


@pytest.mark.parametrize("said", [FIXED, RANGE], ids=["fixed", "range"])
def test_pictures_are_those_of_edgesr(jetson_kit: Path, tmp_path: Path, said: dict[str, Any]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, save in PICTURES.items():
        save(folder / name)
    code, out, err = run(jetson_kit, engine(jetson_kit, said), folder, tmp_path / "out", "--trust")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == len(PICTURES)
    for name in PICTURES:
        expected(folder / name, tmp_path / f"expected-{name}", said)
        with Image.open(tmp_path / "out" / name) as made, Image.open(tmp_path / f"expected-{name}") as wanted:
            assert (made.mode, made.size, made.info.get("icc_profile")) == (
                wanted.mode,
                wanted.size,
                wanted.info.get("icc_profile"),
            )
            np.testing.assert_array_equal(np.asarray(made), np.asarray(wanted), err_msg=name)


class Adapted:
    """A session of edgesr's as the kit's runner takes networks."""

    def __init__(self, session: Session) -> None:
        size = session.sizes.minimum
        self.scale, self.run = session.scale, session.run
        self.minimum = self.maximum = tiles.Size(size.height, size.width)


def test_a_real_network_gives_the_bytes_of_edgesr(
    vapsr_s_fixed: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VapSR-S in ONNX Runtime, in tiles of one size, in the place of an engine; of its manifest the kit reads what it needs."""
    session = open_artifact(vapsr_s_fixed)
    model = read_model(vapsr_s_fixed.folder / "manifest.json")
    monkeypatch.setattr(kit_command, "read_model", lambda: model)
    PICTURES["alpha.png"](tmp_path / "a.png")
    words = ["none.engine", str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert kit_command.main(words, lambda path, model, trusted: contextlib.nullcontext(Adapted(session))) == 0
    upscale_file(session, tmp_path / "a.png", tmp_path / "c.png", UpscaleOptions(reach=vapsr_s_fixed.manifest.reach))
    assert np.asarray(Image.open(tmp_path / "b.png")).shape == (4 * 41, 4 * 33, 4)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), np.asarray(Image.open(tmp_path / "c.png")))


@pytest.mark.parametrize("words", [{"tile": 30}, {"tile": 20, "overlap": 9}, {"overlap": 0}])
def test_tiles_are_those_that_were_asked_for(jetson_kit: Path, tmp_path: Path, words: dict[str, int]) -> None:
    PICTURES["colour.png"](tmp_path / "a.png")
    options = [word for name, value in words.items() for word in (f"--{name}", value)]
    code, out, _ = run(jetson_kit, engine(jetson_kit, RANGE), tmp_path / "a.png", tmp_path / "b.png", "--trust", *options)
    assert (code, "tiles of" in out) == (0, True)
    expected(tmp_path / "a.png", tmp_path / "c.png", RANGE, **words)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), np.asarray(Image.open(tmp_path / "c.png")))


def test_the_reference_is_compared_with(jetson_kit: Path, make_board_artifact: MakeArtifact, tmp_path: Path) -> None:
    code, out, _ = run(jetson_kit, engine(jetson_kit, FIXED), "--trust", program="check")
    assert (code, "FAILED" in out) == (3, True), "the recorded reference is not the picture repeated"
    image = unit(np.random.default_rng(1).integers(0, 256, (1, 3, 24, 32)))
    arrays = {"input/picture": image, "output/picture": repeated(image, 2)}
    jetson_kit = write_jetson_kit(make_board_artifact(arrays=arrays), output=tmp_path / "exact").folder
    code, out, _ = run(jetson_kit, engine(jetson_kit, FIXED), "--trust", program="check")
    assert (code, out) == (0, "no difference against the reference, and at least 46.5 dB was promised: good\n")


def test_a_comparison_without_its_files_is_one_line(jetson_kit: Path) -> None:
    (jetson_kit / "tests" / "vectors.json").write_text("{}")
    code, _, err = run(jetson_kit, engine(jetson_kit, FIXED), "--trust", program="check")
    assert (code, "vectors.json cannot be read" in err, len(err.splitlines())) == (1, True, 1), err


def test_engines_that_edgesr_built_need_no_trust(jetson_kit: Path, tmp_path: Path) -> None:
    PICTURES["small.png"](tmp_path / "a.png")
    path = engine(jetson_kit, FIXED)
    path.with_suffix(".json").write_text(json.dumps(manifest_of(path, jetson_kit)))
    assert run(jetson_kit, path, tmp_path / "a.png", tmp_path / "b.png")[0] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tensorrt": "10.7.0.23"}, "of TensorRT, model.json says 10.7.0, and here is 10.3.0"),
        ({"gpu": "NVIDIA H200"}, "of the GPU, model.json says NVIDIA H200, and here is Orin"),
        ({"compute_capability": "9.0"}, "of the compute capability"),
        ({"sha256": "0" * 64}, "of its bytes"),
        ({"onnx_sha256": "0" * 64}, "of its ONNX file"),
    ],
)
def test_engines_that_do_not_fit_are_refused_trusted_or_not(
    jetson_kit: Path, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    PICTURES["small.png"](tmp_path / "a.png")
    path = engine(jetson_kit, FIXED)
    path.with_suffix(".json").write_text(json.dumps(manifest_of(path, jetson_kit, **changes)))
    code, _, err = run(jetson_kit, path, tmp_path / "a.png", tmp_path / "b.png", "--trust")
    assert (code, said in err, "Build the engine again" in err) == (1, True, True), err
    assert not (tmp_path / "b.png").exists()


def deep(path: Path) -> None:
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(path)


@pytest.mark.parametrize(
    ("save", "said", "options", "code", "message"),
    [
        (PICTURES["colour.png"], {**FIXED, "refuses": "the engine plan file is not compatible"}, [], 1, "is not compatible"),
        (PICTURES["colour.png"], {**FIXED, "fails": "CUDA failure 2: out of memory"}, [], 1, "Run smaller tiles (--tile)"),
        (PICTURES["colour.png"], {**FIXED, "fails": "an illegal access"}, [], 1, "an illegal access"),
        (PICTURES["colour.png"], {**FIXED, "names": ["x", "y"]}, [], 1, "has the tensors x, y"),
        (PICTURES["colour.png"], {**FIXED, "dtype": "float16"}, [], 1, "does not take and give float32"),
        (PICTURES["colour.png"], {**FIXED, "scale": 3}, [], 1, "was not built from this kit's ONNX"),
        (PICTURES["colour.png"], FIXED, ["--overlap", "16"], 2, "leaves nothing of a tile of 24"),
        (PICTURES["colour.png"], FIXED, ["--tile", "0"], 2, "is none"),
        (PICTURES["colour.png"], {**RANGE, "low": [51, 16]}, [], 1, "50x90 (HxW) is too small: this engine takes 51x16"),
        (deep, FIXED, [], 1, "of more than 8 bits"),
        (damaged, FIXED, [], 1, "Take an intact copy"),
        (lambda path: path.write_text("no picture"), FIXED, [], 1, "is no PNG, JPEG, WebP or TIFF picture"),
    ],
)
def test_mistakes_are_one_line(
    jetson_kit: Path,
    tmp_path: Path,
    save: Callable[[Path], object],
    said: dict[str, Any],
    options: list[str],
    code: int,
    message: str,
) -> None:
    save(tmp_path / "a.png")
    seen, out, err = run(jetson_kit, engine(jetson_kit, said), tmp_path / "a.png", tmp_path / "b.png", "--trust", *options)
    assert (seen, out, message in err) == (code, "", True), err
    assert len(err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.glob("*.p*")) == ["a.png"]


def test_mistakes_before_the_engine_is_loaded(jetson_kit: Path, tmp_path: Path) -> None:
    PICTURES["colour.png"](tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    path = engine(jetson_kit, FIXED)
    for words, code, said in (
        ((jetson_kit / "none.engine", tmp_path / "a.png", tmp_path / "b.png"), 1, "there is no engine"),
        ((path, tmp_path / "a.png", tmp_path / "b.png"), 1, "add --trust"),
        ((path, tmp_path / "none.png", tmp_path / "b.png", "--trust"), 1, "there is no"),
        ((path, tmp_path / "a.png", tmp_path / "a.png", "--trust"), 2, "would be lost"),
        ((path, tmp_path / "a.png", tmp_path / "b.bmp", "--trust"), 2, "does not say which kind of picture"),
        ((path, tmp_path / "a.png", tmp_path / "no" / "b.png", "--trust"), 1, "is no folder"),
        ((path, tmp_path / "a.png", tmp_path / "b.png", "--trust", "--watch"), 2, "only a folder can be watched"),
        ((path, tmp_path / "empty", tmp_path / "out", "--trust"), 1, "there is no picture in"),
        ((path, tmp_path / "a.png"), 2, "required"),
    ):
        seen, _, err = run(jetson_kit, *words)
        assert (seen, said in err) == (code, True), err


def test_what_is_missing_here_is_exit_code_4(jetson_kit: Path, tmp_path: Path) -> None:
    PICTURES["colour.png"](tmp_path / "a.png")
    words = (engine(jetson_kit, FIXED), tmp_path / "a.png", tmp_path / "b.png", "--trust")
    code, _, err = run(jetson_kit, *words, standins=False)
    assert (code, "missing or does not work" in err) == (4, True)
    code, _, err = run(jetson_kit, *words, STANDIN_CUDA="none")
    assert (code, "there is no GPU that CUDA can use" in err) == (4, True)
    code, _, err = run(jetson_kit, *words, STANDIN_DRIVER="old")
    assert (code, len(err.splitlines())) == (4, 1), err
    assert "TensorRT cannot start: CUDA initialization failure with error: 35. The driver may be too old" in err


@pytest.mark.parametrize("what", ["push", "Stream", "Event", "time_since", "free"])
def test_whatever_cuda_refuses_is_one_line(jetson_kit: Path, tmp_path: Path, what: str) -> None:
    PICTURES["small.png"](tmp_path / "a.png")
    words = (engine(jetson_kit, FIXED), tmp_path / "a.png", tmp_path / "b.png", "--trust")
    if what == "free":  # as after a run that failed
        words = (engine(jetson_kit, {**FIXED, "fails": "free failed: out of memory"}), *words[1:])
    code, _, err = run(jetson_kit, *words, STANDIN_CUDA=what)
    assert (code, f"{what} failed: out of memory" in err, len(err.splitlines())) == (1, True, 1), err
    assert not (tmp_path / "b.png").exists()


def test_too_little_memory_of_the_gpu(jetson_kit: Path, tmp_path: Path) -> None:
    PICTURES["colour.png"](tmp_path / "a.png")
    words = (engine(jetson_kit, RANGE), tmp_path / "a.png", tmp_path / "b.png", "--trust")
    code, _, err = run(jetson_kit, *words, STANDIN_MEMORY="150000")
    assert (code, "the GPU has not enough memory for 50x64" in err, "smaller tiles (--tile)" in err) == (1, True, True), err
    assert run(jetson_kit, *words, "--tile", "20", STANDIN_MEMORY="150000")[0] == 0


def test_one_bad_picture_of_a_folder_does_not_stop_the_others(jetson_kit: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    damaged(tmp_path / "in" / "a.png")
    PICTURES["colour.png"](tmp_path / "in" / "b.png")
    code, out, err = run(jetson_kit, engine(jetson_kit, FIXED), tmp_path / "in", tmp_path / "out", "--trust")
    assert (code, len(out.splitlines()), len(err.splitlines())) == (1, 1, 1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
