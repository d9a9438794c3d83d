"""The vectors for ranges say what edgesr does: checked by hand, so that the runners are not compared with a mistake."""

from typing import Any

import numpy as np
import pytest

from edgesr.kit.range_vectors import range_vectors


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return range_vectors()


def span(made: dict[str, Any], **wanted: int) -> list[tuple[int, ...]]:
    (row,) = (row for row in made["ranges"] if wanted.items() <= row.items())
    return list(zip(*(row[name] for name in ("starts", "stops", "keepStarts", "keepStops")), strict=True))


def test_ranges_by_hand(made: dict[str, Any]) -> None:
    assert span(made, length=6, least=1, most=8, tile=4, overlap=1) == [(0, 6, 0, 6)]
    assert span(made, length=7, least=1, most=8, tile=4, overlap=1) == [(0, 6, 0, 5), (4, 7, 5, 7)]
    # The last tile is moved back where less is left than the engine takes.
    assert span(made, length=7, least=3, most=8, tile=1, overlap=0) == [(0, 3, 0, 3), (3, 6, 3, 5), (4, 7, 5, 7)]
    # The largest size that is taken makes tiles smaller than asked for.
    assert span(made, length=16, least=1, most=8, tile=6, overlap=3) == [
        (0, 8, 0, 5),
        *((s, s + 8, s + 3, s + 5) for s in (2, 4, 6)),
        (8, 16, 11, 16),
    ]


def test_ranges_cover_the_picture_and_keep_to_the_sizes(made: dict[str, Any]) -> None:
    for row in made["ranges"]:
        assert row["keepStarts"] == [0, *row["keepStops"][:-1]]
        assert row["keepStops"][-1] == row["length"]
        for start, stop, keep, end in zip(row["starts"], row["stops"], row["keepStarts"], row["keepStops"], strict=True):
            assert row["least"] <= stop - start <= row["most"]
            assert start <= keep < end <= stop <= row["length"]
            assert keep - start >= row["overlap"] or keep == 0
            assert stop - end >= row["overlap"] or end == row["length"]


def plan(made: dict[str, Any], **wanted: Any) -> tuple[int | None, int | None]:
    (row,) = (row for row in made["plans"] if all(row[key] == value for key, value in wanted.items()))
    return row["tile"], row["overlap"]


def test_plans_by_hand(made: dict[str, Any]) -> None:
    usual = {"askedTile": None, "askedOverlap": None, "radius": None}
    one, many = {"minimum": [180, 320], "maximum": [180, 320]}, {"minimum": [1, 1], "maximum": [1024, 1024]}
    assert plan(made, size=[180, 320], **one, **usual) == (None, None)
    assert plan(made, size=[64, 64], **one, **usual) == (96, 32)
    assert plan(made, size=[1080, 1920], **many, **usual) == (960, 32)
    assert plan(made, size=[1080, 1920], **many, askedTile=256, askedOverlap=None, radius=172) == (256, 172)
    assert plan(made, size=[180, 320], **many, askedTile=256, askedOverlap=None, radius=172) == (256, 172)
    assert plan(made, size=[64, 64], **many, askedTile=256, askedOverlap=None, radius=172) == (None, None)
    assert {row["tile"] is None for row in made["plans"]} == {True, False}


def test_greys_show_whether_products_are_rounded(made: dict[str, Any]) -> None:
    exact = [0.299 * row["red"] + 0.587 * row["green"] + 0.114 * row["blue"] for row in made["greys"]]
    deep = np.floor(np.clip(exact, 0, 1) * 65535 + 0.5)
    differing = [row for row, value in zip(made["greys"], deep, strict=True) if row["deep"] != value]
    assert len(differing) >= 5
    assert all(abs(row["deep"] - value) <= 1 for row, value in zip(made["greys"], deep, strict=True))


def test_deep_samples_are_all_over_the_range(made: dict[str, Any]) -> None:
    for row in made["deepSamples"]:
        assert abs(min(max(row["value"], 0), 1) * 65535 - row["deep"]) <= 0.5 + 0.01
    assert len({row["deep"] for row in made["deepSamples"]}) > 500


def test_they_are_the_same_each_time(made: dict[str, Any]) -> None:
    assert made == range_vectors()
