"""The kit's C++, compiled here: its arithmetic on the vectors, and the whole runner with pixels repeated in place of the network.

`engine.cpp`, too, is compiled and run, against stand-ins for TensorRT's and CUDA's headers that we wrote: that shows how it uses
them, not that they work. Skipped where there is no C++ compiler; CXXFLAGS="-fsanitize=address,undefined" looks closer.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from edgesr.images import Picture, to_samples
from edgesr.kit.vectors import Planted, repeated, unit
from edgesr.model import Reach
from edgesr.tensors import Size, SizeRule
from edgesr.upscale import UpscaleOptions, upscale_picture
from tests.kit.cpp_runner import COMPILER, DEEP, FIXED, PICTURES, RANGE, Samples, compiled, engine, netpbm, run

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler here")


def test_the_arithmetic_gives_what_edgesr_gives(cpp_kit: Path, vectors_program: Path) -> None:
    code, out, _ = run(vectors_program, cpp_kit / "tests" / "vectors.json")
    said = dict(line.rsplit(" agree: ") for line in out.decode().splitlines())
    vectors = json.loads((cpp_kit / "tests" / "vectors.json").read_text())
    assert code == 0
    assert said == {"sha256": "1", **{kind: str(len(value)) for kind, value in vectors.items() if kind != "golden"}}


@pytest.mark.parametrize(
    "faults",
    [
        [
            ("tiles", "next < length - 2 * tiling.overlap", "next < length", {"spans", "ranges"}),
            (
                "pixels",
                "static_cast<float>(peak) + 0.5f",
                "static_cast<float>(peak) + 0.4f",
                {"samples", "deepSamples", "alphas"},
            ),
            ("sha256", "turned(e, 25)", "turned(e, 26)", {"sha256"}),
            ("tiles", "2 * (count - 1) - place", "2 * count - 1 - place", {"reflections"}),
        ],
        [
            ("tiles", "(starts[index + 1] + stop) / 2", "(starts[index + 1] + stop + 1) / 2", {"spans", "mosaics"}),
            ("tiles", "usual / kAlignment * kAlignment", "usual", {"plans"}),
            ("pixels", "0.587f * green + 0.114f * blue", "std::fma(0.587f, green, 0.114f * blue)", {"greys"}),
            ("pixels", "2 * count - 1 - place", "2 * count - 2 - place", {"alphas", "deepAlphas"}),
        ],
    ],
)
def test_the_vectors_find_what_is_planted(cpp_kit: Path, tmp_path: Path, faults: list[tuple[str, str, str, set[str]]]) -> None:
    """Several faults in one build, for builds are slow: each must show in kinds that no other one touches."""
    shutil.copytree(cpp_kit / "cpp", tmp_path / "cpp")
    for file, right, wrong, _ in faults:
        path = tmp_path / "cpp" / f"{file}.hpp"
        assert right in path.read_text()
        path.write_text(path.read_text().replace(right, wrong))
    program = compiled([tmp_path / "cpp" / "tests" / "vectors.cpp"], tmp_path / "vectors")
    code, out, _ = run(program, cpp_kit / "tests" / "vectors.json")
    assert code != 0
    kinds = [kind for *_, shown in faults for kind in shown]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) <= {line.split(" DIFFER")[0] for line in out.decode().splitlines() if "DIFFER" in line}


def expected(samples: Samples, words: str, **options: Any) -> bytes:
    """What edgesr makes of the picture with a session that repeats pixels."""
    channels, peak = samples.shape[2], int(np.iinfo(samples.dtype).max)
    depth: Literal[8, 16] = 8 if peak == 255 else 16
    numbers = [int(word) for word in words.split()[:4]]
    sizes = SizeRule(minimum=Size(height=numbers[0], width=numbers[1]), maximum=Size(height=numbers[2], width=numbers[3]))
    session = Planted(function=lambda image: repeated(image, 2), scale=2, sizes=sizes)
    colour = samples[..., :3] if channels >= 3 else samples[..., [0, 0, 0]]
    picture = Picture(
        rgb=unit(colour.transpose(2, 0, 1)[None], peak),
        alpha=unit(samples[..., -1], peak) if channels in (2, 4) else None,
        depth=depth,
        grey=channels < 3,
    )
    large, _ = upscale_picture(session, picture, UpscaleOptions(reach=Reach(kind="local", radius=5), **options))
    planes = list(large.rgb[0, : 1 if large.grey else 3])
    result = to_samples(np.stack(planes if large.alpha is None else [*planes, large.alpha], axis=2), depth=depth)
    return netpbm(result)


@pytest.mark.parametrize("program", ["nearest", "upscale"])
@pytest.mark.parametrize("words", [FIXED, RANGE], ids=["fixed", "range"])
@pytest.mark.parametrize("samples", [*PICTURES, *DEEP], ids=lambda samples: f"{samples.shape} {samples.dtype}")
def test_pictures_are_those_of_edgesr(
    request: pytest.FixtureRequest, tmp_path: Path, program: str, words: str, samples: Samples
) -> None:
    (tmp_path / "in").write_bytes(netpbm(samples))
    path = engine(tmp_path, words)
    code, _, err = run(request.getfixturevalue(program), path, tmp_path / "in", tmp_path / "out", "--trust")
    assert code == 0, err
    assert (tmp_path / "out").read_bytes() == expected(samples, words)
    assert {each.name for each in tmp_path.iterdir()} == {"in", "out", "model.engine"}


@pytest.mark.parametrize("options", [{"tile": 30}, {"tile": 20, "overlap": 9}, {"overlap": 0}])
def test_tiles_are_those_that_were_asked_for(nearest: Path, tmp_path: Path, options: dict[str, int]) -> None:
    (tmp_path / "in").write_bytes(netpbm(PICTURES[0]))
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    assert run(nearest, engine(tmp_path, RANGE), tmp_path / "in", tmp_path / "out", "--trust", *words)[0] == 0
    assert (tmp_path / "out").read_bytes() == expected(PICTURES[0], RANGE, **options)


def test_a_stream_of_pictures(nearest: Path, tmp_path: Path) -> None:
    data = b"".join(netpbm(samples) for samples in (*PICTURES, *DEEP))
    code, out, err = run(nearest, engine(tmp_path, FIXED), "-", "-", "--trust", data=data)
    assert code == 0
    assert len(err.splitlines()) == len(PICTURES) + len(DEEP)
    assert out == b"".join(expected(samples, FIXED) for samples in (*PICTURES, *DEEP))


def test_headers_as_others_write_them(nearest: Path, tmp_path: Path) -> None:
    body = PICTURES[2].tobytes()
    (tmp_path / "in").write_bytes(b"P5 # made by hand\n# 32 pixels\n32\t24 \r\n255\n" + body)
    assert run(nearest, engine(tmp_path, FIXED), tmp_path / "in", tmp_path / "out", "--trust")[0] == 0
    assert (tmp_path / "out").read_bytes() == expected(PICTURES[2], FIXED)
    (tmp_path / "in").write_bytes(b"P7\nMAXVAL 255\n#x\nDEPTH 1\nHEIGHT 24\nWIDTH 32\nENDHDR\n" + body)
    assert run(nearest, engine(tmp_path, FIXED), tmp_path / "in", tmp_path / "out", "--trust")[0] == 0


def test_a_pipe_is_written_to_and_not_replaced(upscale: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(netpbm(PICTURES[0]))
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        assert run(upscale, engine(tmp_path, FIXED), tmp_path / "in", tmp_path / "pipe", "--trust")[0] == 0
        assert reader.communicate(timeout=20)[0] == expected(PICTURES[0], FIXED)
    assert (tmp_path / "pipe").is_fifo()


def test_it_builds_with_cmake(cmake_build: Path | None) -> None:
    """Where TensorRT is not: the tests and the stand-in, with a warning that the program itself is left out."""
    if cmake_build is None:
        pytest.skip("there is no CMake here, or it finds TensorRT: build the kit by hand")
    assert (cmake_build / "upscale-nearest").is_file()
    assert subprocess.run(["ctest"], cwd=cmake_build, capture_output=True, check=False).returncode == 0
