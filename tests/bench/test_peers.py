"""What scripts/bench-peers does: no figure without parity, ratios with intervals, records without paths, workers that die."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_peers.candidates import Candidate, Prepared
from bench_peers.measuring import opening, product_ns, ratio, summary
from bench_peers.records import read_all, record, write
from bench_peers.rendering import render

from edgesr.bench.child import CellError, CellTimeoutError, Child, step
from edgesr.bench.protocol import quick
from edgesr.tensors import Size


def result(milliseconds: float, *, difference: float = 1e-7) -> dict[str, Any]:
    """What a candidate's process tells, with samples around a median; the machine's product takes 10 ms."""
    ns = [[int(milliseconds * 1e6 * factor) for factor in (0.98, 1.0, 1.02)] for _ in range(4)]
    parity = {"input": "picture", "max_abs": difference, "relative_l2": difference, "psnr_db": 120.0}
    return {
        "ns": ns,
        "unstable": [],
        "parity": parity,
        "load_seconds": 0.1,
        "peak_mb": 80.0,
        "import_mb": 45.0,
        "package": "onnxruntime",
    }


def made(**changes: dict[str, Any]) -> dict[str, Any]:
    """A record of vapsr in which edgesr takes 50 ms, ONNX Runtime 100, OpenVINO 80."""
    size = Size(height=128, width=128)
    about = {"bytes": 1_500_000, "nodes": 200, "seconds": 9.0, "folder": "/a/folder/somewhere"}
    timed = {"edgesr": result(50), "naive": result(100), "openvino": result(80), **changes}
    return record(
        model="vapsr",
        scale=4,
        command="scripts/bench-peers vapsr",
        threads=2,
        prepared=Prepared(
            size=size,
            image=Path("image.npy"),
            expected=Path("expected.npy"),
            multiply_adds=5_000_000_000,
            candidates=(Candidate(name="edgesr", kind="edgesr", path="/a/folder/somewhere", about=about),),
            failed={"ncnn": "cannot open /a/folder/somewhere/net.param"},
        ),
        timed=(timed, {}),
        moved={"edgesr": 1_250_000_000, "naive": 3_000_000_000, "naive-simplified": 2_500_000_000},
        product=9_800_000,
        memory={str(size): ({"edgesr": result(50)}, {})},
        loads={"before": [0.1, 0.1, 0.1], "after": [2.0, 1.0, 0.5]},
    )


def test_the_ratio_is_that_to_the_fastest_peer() -> None:
    against = made()["latency"]["against_peers"]
    assert (against["fastest"], against["ratio"]) == ("openvino", 0.625)
    assert against["low"] <= against["ratio"] <= against["high"]


def test_a_peer_that_computes_something_else_is_struck_out_and_not_compared_with() -> None:
    content = made(openvino=result(10, difference=1e-2))
    assert content["latency"]["against_peers"]["fastest"] == "naive"
    page = render([content], "")
    assert "| ~~10.0~~ |" in page
    assert "| **100** |" in page


@pytest.mark.parametrize("difference", [1e-3, float("nan")])
def test_our_own_figures_do_not_stand_without_parity_either(difference: float) -> None:
    content = made(edgesr=result(50, difference=difference))
    assert content["latency"]["against_peers"] is None
    assert "| ~~50.0~~ |" in render([content], "")


def test_the_page_says_what_was_reached_and_keeps_the_notes(tmp_path: Path) -> None:
    write(tmp_path, made())
    page = render(read_all(tmp_path), "## What did not pay\n\nNothing **at all**.\n")
    assert "1.50 / 1.6" in page
    assert "200 / 240" in page
    assert "0.62 / 0.9" in page
    assert "| 1.25 | 2.50 |" in page
    assert "## What did not pay\n\nNothing **at all**.\n" in page
    assert "vapsr ×4 at 128x128, ncnn: cannot open net.param" in page


def test_a_record_has_every_sample_and_no_path(tmp_path: Path) -> None:
    content = made()
    text = write(tmp_path, content).read_text(encoding="utf-8")
    assert "somewhere/" not in text
    assert "/a/" not in text
    assert read_all(tmp_path) == [content]
    assert content["latency"]["candidates"]["edgesr"]["ns"] == result(50)["ns"]
    assert content["latency"]["limit_ms"] == pytest.approx(10 * 2 * 5e9 / (2 * 1024**3) * 0.98, abs=0.1)


def test_the_interval_of_a_ratio_holds_what_the_rounds_say() -> None:
    rng = np.random.default_rng(0)
    speed = rng.uniform(1, 3, (30, 1))  # the machine's mood, the same for both in a round
    theirs = speed * rng.normal(100, 2, (30, 5)) * 1e6
    found = ratio((0.8 * theirs * rng.normal(1, 0.02, (30, 5))).tolist(), theirs.tolist())
    assert found["low"] < 0.8 < found["high"]
    assert found["high"] - found["low"] < 0.2


def test_summary_is_in_milliseconds() -> None:
    assert summary([[1_000_000, 2_000_000], [3_000_000, 4_000_000]]) == {"min_ms": 1.0, "p50_ms": 2.5, "p90_ms": 3.7}


def test_peers_are_opened_and_run_by_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "scripts"))
    path = tmp_path / "product.onnx"
    assert step("bench_peers.preparing:matmul", seconds=120, path=path)["flop"] == 2 * 1024**3
    product = Candidate(name="matmul", kind="onnx", path=str(path))
    assert product_ns(product, path.with_suffix(".image.npy"), quick(1)) > 1e5
    image = path.with_suffix(".image.npy")
    read_and_written = 3 * 4 * 1024**2
    assert step("bench_peers.traffic:traffic", seconds=60, path=path, image=image, threads=1) == {"traffic": read_and_written}
    with pytest.raises(CellError, match="NoSuchFile"), Child(opening(replace(product, path="missing.onnx"), 1)) as child:
        child.ask("open", seconds=60)


def test_a_step_that_fails_or_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "scripts"))
    arguments = {"model": "nothing", "scale": 4, "size": "8x8", "path": tmp_path / "x.onnx", "torchscript": False}
    with pytest.raises(CellError, match="UnknownNameError"):
        step("bench_peers.preparing:naive", seconds=120, **arguments)
    with pytest.raises(CellTimeoutError, match="not done within"):
        step("bench_peers.preparing:matmul", seconds=0.01, path=tmp_path / "product.onnx")
