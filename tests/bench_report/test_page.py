"""The page's structure, and that it says what the records say."""

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgesr.bench.record import Cell, Record
from edgesr.bench.report.page import page
from edgesr.bench.report.pictures import scale_in_words
from edgesr.bench.report.sources import Source

Shown = Callable[..., tuple[str, Any]]
HOSTILE = "<script>alert(1)</script>\"' onload=x <img src=//evil.example> &amp;\u202e\x00\ud800"


def rows(structure: Any, column: str) -> list[str]:
    """The texts of all rows that have a row header with this text in it."""
    return [row.text for row in structure.all("tr") if column in row.text]


def test_it_is_one_document_with_language_title_and_viewport(every_status: Record, shown: Shown) -> None:
    text, structure = shown(every_status)
    assert text.startswith("<!doctype html>")
    assert structure.all("html")[0].attributes["lang"] == "en"
    assert structure.all("title")[0].text == "2 models in 4 runtimes on AMD EPYC 7B13 · edgesr"
    metas = {each.attributes.get("name"): each.attributes.get("content", "") for each in structure.all("meta")}
    assert "width=device-width" in metas["viewport"]


def test_it_needs_nothing_from_elsewhere_and_runs_nothing(every_status: Record, shown: Shown) -> None:
    text, structure = shown(every_status)
    for element in structure.elements:
        assert element.name not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"]
        assert element.attributes.get("src", "data:").startswith("data:")
        assert element.attributes.get("href", "#").startswith("#")
    assert not re.search(r"https?:|url\(|@import", text)
    policy = next(e for e in structure.all("meta") if e.attributes.get("http-equiv")).attributes["content"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@pytest.mark.parametrize("records", [1, 2])
def test_headings_are_in_order_and_links_lead_somewhere(every_status: Record, shown: Shown, records: int) -> None:
    _, structure = shown(*[every_status] * records)
    levels = [int(each.name[1]) for each in structure.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [each.attributes["id"] for each in structure.elements if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    assert {each.attributes["href"].removeprefix("#") for each in structure.all("a")} == set(ids)


def test_pictures_charts_and_tables_speak(every_status: Record, shown: Shown) -> None:
    _, structure = shown(every_status)
    alts = [each.attributes["alt"] for each in structure.all("img")]
    assert len(alts) == 7
    assert all("vapsr-s" in alt for alt in alts)
    assert sum("white is a difference of" in alt for alt in alts) == 2
    assert all(each.attributes["scope"] in {"col", "row"} for each in structure.all("th"))
    assert len(structure.all("caption")) == len(structure.all("table")) == 4
    scrolling = [each for each in structure.elements if each.attributes.get("class") == "scroll"]
    assert len(scrolling) == 4
    assert all(each.attributes["tabindex"] == "0" and each.attributes["aria-label"] for each in scrolling)
    charts = structure.all("svg")
    assert len(charts) == 1 + 3 + 5 + 1 + 3 + 2
    assert all(each.attributes["role"] == "img" and each.attributes["aria-label"] for each in charts)
    assert all(each.text for each in structure.all("desc"))
    assert len(structure.all("desc")) == len(charts)


def test_what_failed_parity_is_struck_out_ranked_last_and_never_on_the_front(every_status: Record, shown: Shown) -> None:
    _, structure = shown(every_status)
    table = next(each for each in structure.all("table") if "vapsr-s ×4, 128×128 input, cpu. Ranked" in each.text)
    struck = [each.text for each in structure.all("s")]
    assert struck[0] == "openvino"
    assert "4.158" in struck
    assert "41.0" not in struck, "parity itself is the reason"
    assert "openvino, struck out" in table.text
    assert "parity failed, not ranked" in table.text
    order = [table.text.index(word) for word in ("11.05", "12.46", "27.77", "29.99", "4.158", "SIGSEGV", "macOS", "within 60 s")]
    assert order == sorted(order)
    described = [each.text for each in structure.all("desc")]
    fronts = [text for text in described if "Pareto front" in text and "fp16" in text]
    assert len(fronts) == 2
    for text in fronts:
        assert "fp16" not in text.split("Struck out")[0]
    assert "On the Pareto front: openvino fp32 (11.05 ms, 171.9 MB) and ort fp32 (12.46 ms, 61.50 MB)." in fronts[0]
    assert "Behind it: pytorch fp32 (27.77 ms, 140.2 MB) and pytorch-compile fp32" in fronts[0]


def test_rows_say_ratios_reasons_and_doubts(every_status: Record, shown: Shown) -> None:
    text, structure = shown(every_status)
    assert "0.45 0.44\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}0.47 faster" in rows(structure, "12.46")[-1]
    assert "no difference shown" in rows(structure, "29.99")[-1]
    assert "failed: its process ended with signal SIGSEGV" in rows(structure, "SIGSEGV")[0]
    assert "failed: coremltools runs on macOS only" in text
    assert "unstable: drift: the last third of the rounds took +9% against the first" in text
    assert "peak RSS above the bare import" in [each.text.rsplit(" ", 1)[0] for each in structure.all("th")]
    assert "reference" in rows(structure, "27.77")[0]


def test_a_leak_is_said_beside_the_figures(every_status: Record, shown: Shown) -> None:
    leaking = replace(every_status.cells[0], memory_notes=("grows by about 9 MB with every run",))
    _, structure = shown(replace(every_status, cells=(leaking,)))
    assert "memory: grows by about 9 MB with every run" in rows(structure, "grows")


def test_an_unfinished_sweep_is_said_to_be_unfinished(every_status: Record, shown: Shown) -> None:
    assert "Not complete" not in shown(every_status)[0]
    text, _ = shown(replace(every_status, complete=False))
    assert "Not complete. </strong>The sweep of record-0.json" in text


def test_the_environment_settings_and_state_are_shown_whole(every_status: Record, shown: Shown) -> None:
    text, structure = shown(every_status)
    for words in ("AMD EPYC 7B13", "flag89", "1.23.2", "cores available", "edgesr bench vapsr-s --device cpu", "0.4.0"):
        assert words in text
    assert [row.text for row in structure.all("tr") if "clock MHz: cpu0" in row.text] == ["clock MHz: cpu024502449.5"]
    assert [row.text for row in structure.all("tr") if row.text.startswith("throttled")] == ["throttled–no"]


def test_records_of_the_same_cells_stay_apart_with_their_labels(every_status: Record, shown: Shown) -> None:
    _, structure = shown(every_status, replace(every_status, cells=every_status.cells[:2]))
    headings = [each.text for each in structure.all("h3")]
    assert headings.count("Record record-0.json") == 3
    assert headings.count("Record record-1.json") == 2
    assert len([each for each in structure.all("table") if "Ranked by" in each.text]) == 3
    assert "not measured in turns" in "".join(each.text for each in structure.all("p"))


def test_names_from_files_are_escaped_everywhere(every_status: Record, parsed: Callable[[str], Any]) -> None:
    def spoilt(cell: Cell) -> Cell:
        subject = replace(cell.subject, model=HOSTILE, runtime=HOSTILE, precision=HOSTILE, artifact=HOSTILE, weights=HOSTILE)
        timing = cell.latency and replace(cell.latency, clock=HOSTILE, stopped_by=HOSTILE, unstable=(HOSTILE,))
        return replace(
            cell, subject=subject, reason=HOSTILE, settings={HOSTILE: HOSTILE}, memory={HOSTILE: 3.0}, memory_notes=(HOSTILE,),
            energy={HOSTILE: 2.0}, rewrites=(HOSTILE,), latency=timing, output_png=HOSTILE, difference_png=HOSTILE,
        )  # fmt: skip

    nested = {HOSTILE: {HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]}, "cpu": {"model": HOSTILE}}
    texts = dict.fromkeys(("command", "created", "edgesr"), HOSTILE)
    places = dict.fromkeys(("environment", "settings", "before", "after"), nested)
    around: dict[str, Any] = {**texts, **places, "cells": tuple(map(spoilt, every_status.cells))}
    text = page([Source(label=HOSTILE, record=replace(every_status, **around))])  # a file could not hold such text
    structure = parsed(text)
    assert not structure.all("script", "img")
    assert not [each for each in structure.elements if {"onload", "onerror"} & each.attributes.keys()]
    assert "<script" not in text
    assert not set("\u202e\x00\ud800") & set(text)
    assert text.encode()


def test_what_is_no_picture_is_not_shown_as_one(every_status: Record, shown: Shown) -> None:
    first = every_status.cells[0]
    header = b"\x00\x00\x00\rIHDR" + (96).to_bytes(4, "big") * 2
    files = [b"<svg onload=alert(1)>", b"GIF89a__" + header, b"\x89PNG\r\n\x1a\n" + bytes(60)]
    for wrong in ("no base64", *(base64.b64encode(data).decode() for data in files)):
        text, structure = shown(replace(every_status, cells=(replace(first, output_png=wrong, difference_png=""),)))
        assert not structure.all("img")
        assert "no readable picture" in text


def test_the_scale_of_a_difference_is_said_in_words() -> None:
    assert scale_in_words(0.1) == "white is a difference of 0.100 of the full range, 25.5 of 255 levels; black is none"
    assert scale_in_words(0) == "no difference, every pixel here is the same"


def test_a_record_without_cells(every_status: Record, shown: Shown) -> None:
    text, structure = shown(replace(every_status, cells=()))
    assert "No record holds a cell" in text
    assert not structure.all("svg")
    assert "AMD EPYC 7B13" in text


@pytest.mark.parametrize("index", range(8))
def test_a_single_cell_of_any_kind(every_status: Record, shown: Shown, index: int) -> None:
    cell = every_status.cells[index]
    _, structure = shown(replace(every_status, cells=(cell,)))
    assert len([each for each in structure.all("table") if "Ranked by" in each.text]) == 1
    assert cell.subject.runtime in structure.all("h1")[0].text or "1 runtime" in structure.all("h1")[0].text


def test_a_figure_that_only_one_kind_of_cell_has(every_status: Record, shown: Shown) -> None:
    cells = tuple(replace(cell, energy={"package energy (RAPL)": 1.5} if cell.ranked else {}) for cell in every_status.cells)
    _, structure = shown(replace(every_status, cells=cells))
    assert "package energy (RAPL) J" in [each.text for each in structure.all("th")]


def test_contrast_reaches_wcag_aa(repository: Path) -> None:
    style = (repository / "bench" / "report" / "style.css").read_text()
    schemes = [dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in style.split(":root {")[1:3]]
    assert len(schemes) == 2
    for colours in schemes:
        for ink, ground in [("warn-ink", "warn-ground"), ("warn-ink", "sheet"), ("wrong-ink", "sheet")]:
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        for ink in ("ink", "soft", "accent"):
            assert min(contrast(colours[ink], colours[ground]) for ground in ("ground", "sheet", "band")) >= 4.5, ink
        for series in range(8):
            assert contrast(colours[f"s{series}"], colours["sheet"]) >= 3, series


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
