"""What is in a kit for a Jetson, what `edgesr kit jetson` prints, and what users get wrong."""

import ast
import errno
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.artifact import MANIFEST, read_artifact
from edgesr.errors import ArtifactError
from edgesr.kit.jetson import write_jetson_kit
from edgesr.manifest import Profile
from edgesr.model import Reach
from edgesr.parity import Budget
from edgesr.tensors import Size, SizeRule

Command = Callable[..., Any]
MakeArtifact = Callable[..., Path]

RANGE = SizeRule(minimum=Size(height=16, width=16), maximum=Size(height=512, width=640))
RANGED = Profile(minimum=(1, 16, 16), optimum=(1, 256, 256), maximum=(1, 512, 640))
OLDEST_PYTHON = (3, 10)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def readme(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_a_kit_has_all_its_parts_and_no_others(board_artifact: Path, tmp_path: Path) -> None:
    kit = write_jetson_kit(board_artifact, output=tmp_path / "kit")
    assert kit.engines == ("model.engine",)
    assert contents(kit.folder).keys() == {
        "README.md",
        "kit.json",
        *(f"artifact/{name}" for name in ("manifest.json", "toy-x2.onnx")),
        *(f"cpp/{name}" for name in ("CMakeLists.txt", "engine.cpp", "main.cpp", "tests/nearest.hpp", "tests/vectors.cpp")),
        *(
            f"cpp/{name}.hpp"
            for name in ("checks", "configuration", "engine", "errors", "json", "netpbm", "pixels", "sha256", "tiles")
        ),
        *(f"python/{name}.py" for name in ("check", "upscale")),
        *(f"python/jetson_kit/{name}.py" for name in ("__init__", "command", "engine", "errors", "golden", "model")),
        *(f"python/jetson_kit/{name}.py" for name in ("pictures", "pixels", "tiles")),
        "systemd/edgesr-upscale.service",
        *(f"tests/golden-{name}" for name in ("input.png", "input.ppm", "output.png")),
        "tests/vectors.json",
    }


def test_nothing_is_left_to_fill_in(board_artifact: Path, tmp_path: Path) -> None:
    kit = write_jetson_kit(board_artifact, output=tmp_path / "kit")
    assert not [name for name, data in contents(kit.folder).items() if b"@@" in data]


def test_the_artifact_in_it_is_the_export_without_what_was_recorded(board_artifact: Path, tmp_path: Path) -> None:
    kit = write_jetson_kit(board_artifact, output=tmp_path / "kit")
    copied, whole = read_artifact(kit.folder / "artifact"), read_artifact(board_artifact)
    copied.check_files()
    assert copied.path.read_bytes() == whole.path.read_bytes()
    assert replace(copied.manifest, files=whole.manifest.files) == whole.manifest


def test_the_numbers_are_the_manifests(board_artifact: Path, tmp_path: Path) -> None:
    kit = write_jetson_kit(board_artifact, output=tmp_path / "kit")
    text = (kit.folder / "cpp" / "configuration.hpp").read_text(encoding="utf-8")
    assert dict(re.findall(r"constexpr \w+ (k\w+)(?:\[\])? = \"?([^\";]+)", text)) == {
        "kModel": "toy-x2",
        "kOnnxSha256": read_artifact(board_artifact).manifest.model_sha256,
        "kInput": "input",
        "kOutput": "output",
        "kScale": "2",
        "kRadius": "5",
    }


def test_a_network_that_sees_everything_has_no_radius(make_board_artifact: MakeArtifact, tmp_path: Path) -> None:
    kit = write_jetson_kit(make_board_artifact(reach=Reach(kind="global")), output=tmp_path / "kit")
    assert "kRadius = -1;" in (kit.folder / "cpp" / "configuration.hpp").read_text()
    assert "every tiling is an approximation" in readme(kit.folder)


def test_one_size_is_built_without_shapes(board_artifact: Path, tmp_path: Path) -> None:
    text = readme(write_jetson_kit(board_artifact, output=tmp_path / "kit").folder)
    lines = [line for line in text.splitlines() if line.startswith("trtexec ")]
    assert len(lines) == 2
    assert all("--onnx=artifact/toy-x2.onnx --saveEngine=model.engine " in line for line in lines)
    assert not any("Shapes" in line for line in lines)
    assert ["--stronglyTyped" in line for line in lines] == [True, False]
    assert "`model.engine` takes pictures of 24x32 (HxW)." in text


def test_a_range_is_built_with_its_profile(make_board_artifact: MakeArtifact, tmp_path: Path) -> None:
    shape: dict[str, Any] = {"name": "input", "shape": ("N", 3, "H", "W")}
    artifact = make_board_artifact(sizes=RANGE, profiles=(RANGED,), input=tensor(**shape))
    text = readme(write_jetson_kit(artifact, output=tmp_path / "kit").folder)
    assert "--minShapes=input:1x3x16x16 --optShapes=input:1x3x256x256 --maxShapes=input:1x3x512x640" in text
    assert "from 16x16 to 512x640 (HxW), and is fastest at 256x256." in text
    # What edgesr takes for what is larger: 480 and 5 on each side.
    assert "490x490 (HxW) at most with margins, which overlap by 5 pixels" in text
    vectors = json.loads((tmp_path / "kit" / "tests" / "vectors.json").read_text())
    assert {(row["window"], row["overlap"]) for row in vectors["spans"]} >= {(490, 5)}


def tensor(name: str, shape: tuple[int | str, ...]) -> Any:
    from edgesr.manifest import TensorInfo

    return TensorInfo(name=name, shape=shape)


def test_several_sizes_are_several_engines(make_board_artifact: MakeArtifact, tmp_path: Path) -> None:
    small, large = (Profile(minimum=shape, optimum=shape, maximum=shape) for shape in ((1, 24, 32), (1, 180, 320)))
    kit = write_jetson_kit(make_board_artifact(profiles=(small, large)), output=tmp_path / "kit")
    assert kit.engines == ("model-180x320.engine", "model-24x32.engine")
    assert "upscale.py model-180x320.engine tests/golden-input.png" in readme(kit.folder)
    assert "upscale.py model-180x320.engine /srv" in (kit.folder / "systemd" / "edgesr-upscale.service").read_text()


def test_the_same_artifact_gives_the_same_bytes(board_artifact: Path, tmp_path: Path) -> None:
    one, two = (write_jetson_kit(board_artifact, output=tmp_path / name) for name in ("one", "two"))
    assert contents(one.folder) == contents(two.folder)


def test_an_earlier_kit_is_replaced_unless_it_was_worked_in(make_board_artifact: MakeArtifact, tmp_path: Path) -> None:
    kit = write_jetson_kit(make_board_artifact(), output=tmp_path / "kit")
    write_jetson_kit(make_board_artifact(scale=4), output=kit.folder)
    assert "kScale = 4;" in (kit.folder / "cpp" / "configuration.hpp").read_text()
    (kit.folder / "model.engine").write_bytes(b"took minutes")
    with pytest.raises(ArtifactError, match="was changed since it was made"):
        write_jetson_kit(make_board_artifact(), output=kit.folder)
    assert (kit.folder / "model.engine").read_bytes() == b"took minutes"


def test_it_runs_in_the_python_of_jetpack_6(repository: Path) -> None:
    """Its grammar; that it takes nothing newer from the standard library was read, not run."""
    files = list((repository / "edgesr" / "kit" / "templates" / "jetson" / "python").rglob("*.py"))
    assert len(files) > 8
    for path in files:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST_PYTHON)


def test_it_imports_neither_edgesr_nor_pytorch_and_tensorrt_in_one_file(repository: Path) -> None:
    imports = {}
    for path in (repository / "edgesr" / "kit" / "templates" / "jetson" / "python").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        imports[path.name] = {name for line in re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE) for name in [line]}
    assert not {"edgesr", "torch", "onnx"} & set().union(*imports.values())
    assert {name for name, found in imports.items() if found & {"tensorrt", "pycuda"}} == {"engine.py"}


def test_the_commands_can_be_typed_in_their_order(board_artifact: Path, tmp_path: Path) -> None:
    kit = write_jetson_kit(board_artifact, output=tmp_path / "kit").folder
    blocks = "\n".join(readme(kit).split("```")[1:6:2]).splitlines()
    at = {
        word: next(place for place, line in enumerate(blocks) if word in line) for word in ("export PATH", "-m venv", "check.py")
    }
    assert at["export PATH"] < at["-m venv"] < at["check.py"]
    used = {word for line in blocks if line.startswith(("env/bin/python ", "cmake")) for word in line.split() if "/" in word}
    made_there = {"env/bin/python", "build/upscale"}
    assert "tests/golden-input.png" in used
    assert all((kit / word).is_file() for word in used - made_there)


def test_a_comparison_sees_what_is_not_float32(make_board_artifact: MakeArtifact, tmp_path: Path) -> None:
    """Rounded pictures of two outputs that differ by noise of the size that the budget allows, and of TF32's."""
    artifact = make_board_artifact(budget=Budget(relative_l2=1e-4, psnr_db=50))
    kit = write_jetson_kit(artifact, output=tmp_path / "kit").folder
    allowed = json.loads((kit / "tests" / "vectors.json").read_text())["golden"]["meanSquare"]
    rng = np.random.default_rng(0)
    exact = rng.uniform(0, 255, 1 << 18)

    def seen(relative: float) -> float:
        other = exact + rng.normal(0, relative * np.sqrt(np.mean(exact**2)), exact.size)
        return float(np.mean((np.rint(other) - np.rint(exact)) ** 2))

    assert seen(1e-4) < allowed < seen(5e-4)
    assert "as close as 64.0 dB" in readme(kit)


def test_the_readme_says_what_never_ran(board_artifact: Path, tmp_path: Path) -> None:
    text = readme(write_jetson_kit(board_artifact, output=tmp_path / "kit").folder)
    assert "Nothing here was run with TensorRT by edgesr" in text
    assert "and never against TensorRT's" in text


def test_command(edgesr: Command, board_artifact: Path, tmp_path: Path) -> None:
    done = edgesr("kit", "jetson", board_artifact, "-o", tmp_path / "my kit")
    assert (done.code, done.err) == (0, "")
    assert "made into model.engine on the board" in done.out
    assert "nothing was run with it" in done.out
    assert f"scp -r '{tmp_path / 'my kit'}' BOARD:" in done.out


def test_json(edgesr: Command, make_board_artifact: MakeArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = edgesr("kit", "jetson", make_board_artifact(weights="untrained"), "--json")
    assert done.json == {"folder": "toy-x2-jetson", "model": "toy", "scale": 2, "engines": ["model.engine"], "run": False}
    assert "its pictures will be noise" in done.err


def refused(edgesr: Command, folder: Path, tmp_path: Path) -> tuple[int, str]:
    """The code and message of a kit that is refused; nothing may have been written."""
    before = sorted(tmp_path.rglob("*"))
    done = edgesr("kit", "jetson", folder, "-o", tmp_path / "kit")
    assert done.out == ""
    assert sorted(tmp_path.rglob("*")) == before
    return done.code, done.err


@pytest.mark.parametrize("target", ["ort", "onnx", "coreml"])
def test_an_artifact_of_another_target_names_the_right_command(
    edgesr: Command, make_board_artifact: MakeArtifact, tmp_path: Path, target: str
) -> None:
    weights = {"kind": "official", "name": "VapSR_X4.pth", "sha256": ""}
    folder = make_board_artifact(target=target, model="vapsr", scale=4, weights=weights)
    code, message = refused(edgesr, folder, tmp_path)
    assert code == 2
    assert f"is an artifact for {target}, and a Jetson needs one for TensorRT" in message
    assert "edgesr export vapsr --scale 4 --target tensorrt --weights VapSR_X4.pth\n" in message


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"profiles": ()}, 1, "names no ONNX file and shapes"),
        ({"artifact": "other.onnx"}, 1, "names no ONNX file and shapes"),
        ({"model": 'toy"; system("'}, 1, "cannot stand in source code"),
        ({"arrays": {}}, 1, "no output for every input"),
    ],
)
def test_artifacts_that_are_refused(
    edgesr: Command, make_board_artifact: MakeArtifact, tmp_path: Path, changes: dict[str, Any], code: int, said: str
) -> None:
    seen, message = refused(edgesr, make_board_artifact(**changes), tmp_path)
    assert (seen, said in message) == (code, True), message


def test_folders_and_files_that_are_no_artifact(edgesr: Command, board_artifact: Path, tmp_path: Path) -> None:
    code, message = refused(edgesr, tmp_path, tmp_path)
    assert (code, "edgesr export MODEL --target tensorrt" in message) == (1, True)
    code, message = refused(edgesr, board_artifact / "toy-x2.onnx", tmp_path)
    assert (code, f"Name the folder around it: {board_artifact}\n" in message) == (1, True)
    (board_artifact / "toy-x2.onnx").write_bytes(b"changed")
    code, message = refused(edgesr, board_artifact, tmp_path)
    assert (code, "was changed after the export" in message) == (1, True)
    (board_artifact / MANIFEST).unlink()
    assert refused(edgesr, board_artifact, tmp_path)[0] == 1


def test_a_full_disk_leaves_nothing(
    edgesr: Command, board_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    code, message = refused(edgesr, board_artifact, tmp_path)
    assert (code, "No space left on device; nothing was left behind" in message) == (1, True)
