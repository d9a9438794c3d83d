"""Records made in code, with cells of every status, and a page's structure."""

import base64
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from statistics import fmean, median, pstdev, quantiles
from typing import Any

import pytest
from PIL import Image, ImageChops

from edgesr.bench.record import Cell, Parity, Ratio, Record, Subject, Summary, Timing, write_record
from edgesr.bench.report.page import page
from edgesr.bench.report.sources import read_sources

RSS = "peak RSS above the bare import"
ALLOCATED = "peak of PyTorch's allocator"
VOID = {"br", "col", "img", "link", "meta"}


def timing(p50: float, *, count: int = 120, rounds: int = 6, spread: float = 0.02, drift: float = 0.0, **rest: Any) -> Timing:
    """Samples around p50 ms in rounds; drift: what the last takes longer than the first."""
    luck = random.Random(f"{p50} {count}")
    factors = [1 + drift * index / count + abs(luck.gauss(0, spread)) for index in range(count)]
    samples = [round(1e6 * p50 * factor) for factor in factors]
    found = [sample / 1e6 for sample in samples]
    marks = quantiles(found, n=100, method="inclusive") if count > 1 else [found[0]] * 99
    summary = Summary(
        samples=count,
        min=min(found),
        p50=median(found),
        p90=marks[89],
        p99=marks[98],
        mean=fmean(found),
        cv=pstdev(found) / fmean(found),
    )
    each = max(count // rounds, 1)
    return Timing(
        clock="perf_counter_ns",
        warm_up=tuple(samples[:5]),
        rounds=tuple(tuple(samples[start : start + each]) for start in range(0, count, each)),
        summary=summary,
        stopped_by="60 runs, 5 s and a stable median",
        **rest,
    )


def crops(repository: Path, level: int) -> dict[str, Any]:
    """The shipped photograph's middle, disturbed by so many levels, and the difference."""
    photograph = Image.open(repository / "edgesr" / "assets" / "astronaut-128.png").convert("RGB").crop((16, 16, 112, 112))
    noise = Image.effect_noise((96, 96), 3.0 * level).convert("RGB")
    disturbed = ImageChops.add(photograph, noise, offset=-128) if level else photograph
    difference = ImageChops.difference(photograph, disturbed)
    largest = max(high for _, high in difference.getextrema()) or 1  # type: ignore[misc]  # three bands, three pairs
    brightened = difference.point(lambda value: value * 255 / largest)
    return {"output_png": _png(disturbed), "difference_png": _png(brightened), "difference_white": level and largest / 255}


def _png(image: Image.Image) -> str:
    file = BytesIO()
    image.save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def parity(psnr_db: float, *, passed: bool = True) -> Parity:
    return Parity(psnr_db=psnr_db, relative_l2=10 ** (-psnr_db / 20), max_abs=3e-6, passed=passed, budget="fp32: at least 80 dB")


def cell(runtime: str, p50: float | None = None, *, model: str = "vapsr-s", precision: str = "fp32", **rest: Any) -> Cell:
    """A cell of a model at ×4 on the processor; with a p50 it was timed."""
    artifact = rest.pop("artifact", "")
    subject = Subject(model=model, scale=4, runtime=runtime, precision=precision, size="128x128", device="cpu", artifact=artifact)
    timed = {} if p50 is None else {"latency": timing(p50), "load_s": 0.12, "first_ms": 2.1 * p50}
    return replace(Cell(subject=subject, status="ok"), **{**timed, **rest})


def record(*cells: Cell, **rest: Any) -> Record:
    """A sweep of these cells."""
    made: dict[str, Any] = {
        "command": "edgesr bench vapsr-s --device cpu",
        "created": "2026-11-20T18:00:00+00:00",
        "edgesr": "0.4.0",
        "settings": {"rounds": 6, "seconds": 5.0, "spread": 0.05},
        "environment": {
            "cpu": {"model": "AMD EPYC 7B13", "flags": [f"flag{i}" for i in range(90)], "cores available": [0, 1]},
            "packages": {"onnxruntime": "1.23.2", "torch": "2.13.0", "openvino": None},
        },
        "before": {"load": [0.1, 0.2, 0.3], "clock MHz": {"cpu0": 2450.0}},
        "after": {"load": [1.9, 1.2, 0.5], "clock MHz": {"cpu0": 2449.5}, "throttled": False},
        "cells": cells,
    }
    return Record(**{**made, **rest})


@pytest.fixture
def every_status(repository: Path) -> Record:
    """Two models; the first has a cell of each status, of which the struck-out one would be the fastest."""
    key = cell("pytorch").subject.key

    def against(value: float) -> Ratio:
        return Ratio(to=key, value=value, low=0.97 * value, high=1.04 * value)

    same, noisy, wrong = (crops(repository, level) for level in (0, 1, 9))
    drifting = timing(26.9, drift=0.2, unstable=("drift: the last third of the rounds took +9% against the first",))
    below: dict[str, Any] = {"status": "parity failed", "reason": "41.0 dB, below 60 dB", "parity": parity(41.0, passed=False)}
    first = (
        cell("ort", 12.3, parity=parity(131.2), ratio=against(0.45), memory={RSS: 61.5}, **same),
        cell("pytorch", 27.4, memory={RSS: 140.2, ALLOCATED: 77.0}, end_to_end=timing(31.0), output_png=same["output_png"]),
        cell("openvino", 10.9, parity=parity(128.4), ratio=against(0.4), memory={RSS: 171.9}, **noisy),
        cell("openvino", 4.1, precision="fp16", ratio=against(0.15), memory={RSS: 20.0}, **below, **wrong),
        cell("pytorch-compile", 26.9, parity=parity(133.0), ratio=against(0.99), memory={RSS: 300.1}, latency=drifting),
        cell("ncnn", status="failed", reason="its process ended with signal SIGSEGV"),
        cell("coreml", status="failed", reason="coremltools runs on macOS only"),
        cell("tensorrt", status="timed out", reason="no answer to 'run' within 60 s"),
    )
    slow = cell("pytorch", 1210.0, model="esc", memory={RSS: 1900.0})
    ratio = Ratio(to=slow.subject.key, value=0.0727, low=0.07, high=0.08)
    second = (slow, cell("ort", 88.0, model="esc", parity=parity(119.0), memory={RSS: 400.0}, ratio=ratio))
    return record(*first, *second)


@dataclass(kw_only=True)
class Element:
    """An element of a page: its attributes, the elements it is in, and all text in it."""

    name: str
    attributes: dict[str, str]
    within: tuple[str, ...]
    text: str = ""


@dataclass(kw_only=True)
class Structure(HTMLParser):
    """A page's elements, in order. Complains of tags that do not nest."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(name=tag, attributes={k: v or "" for k, v in attrs}, within=tuple(each.name for each in self.open))
        self.elements.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for each in self.open:
            each.text += data

    def all(self, *names: str) -> list[Element]:
        return [each for each in self.elements if each.name in names]


def parse(text: str) -> Structure:
    """A page's structure."""
    structure = Structure()
    structure.feed(text)
    structure.close()
    assert not structure.open
    return structure


Shown = Callable[..., tuple[str, Structure]]


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    """`shown(record, …)`: the page of these records, written to files and read again, as text and as structure."""

    def show(*records: Record) -> tuple[str, Structure]:
        paths: Sequence[Path] = [tmp_path / f"record-{index}.json" for index in range(len(records))]
        for path, each in zip(paths, records, strict=True):
            write_record(path, each)
        text = page(read_sources(paths))
        return text, parse(text)

    return show


@pytest.fixture
def parsed() -> Callable[[str], Structure]:
    return parse
