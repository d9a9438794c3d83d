"""The vectors say what edgesr does: checked by hand, and against numpy, so that the Swift is not compared with a mistake."""

from typing import Any

import numpy as np
import pytest

from edgesr.kit.vectors import vectors
from edgesr.tensors import Size


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return vectors(tile=Size(height=40, width=48), overlap=4)


def plan(made: dict[str, Any], length: int, window: int, overlap: int) -> tuple[list[int], list[int], list[int]]:
    (row,) = (each for each in made["spans"] if (each["length"], each["window"], each["overlap"]) == (length, window, overlap))
    return row["starts"], row["keepStarts"], row["keepStops"]


def test_plans_by_hand(made: dict[str, Any]) -> None:
    assert plan(made, 5, 8, 1) == ([0], [0], [5])
    assert plan(made, 8, 8, 1) == ([0], [0], [8])
    assert plan(made, 9, 8, 1) == ([0, 1], [0, 4], [4, 9])
    assert plan(made, 14, 8, 1) == ([0, 6], [0, 7], [7, 14])
    assert plan(made, 20, 8, 1) == ([0, 6, 12], [0, 7, 13], [7, 13, 20])
    assert plan(made, 17, 8, 0) == ([0, 8, 9], [0, 8, 12], [8, 12, 17])


def test_the_apps_own_tiles_are_among_the_plans(made: dict[str, Any]) -> None:
    for window in (40, 48):
        lengths = {row["length"] for row in made["spans"] if (row["window"], row["overlap"]) == (window, 4)}
        assert {1, window - 1, window, window + 1, 2 * window, 4032} <= lengths


def test_every_plan_covers_the_picture_with_margins(made: dict[str, Any]) -> None:
    for row in made["spans"]:
        length, window, overlap = row["length"], row["window"], row["overlap"]
        assert row["keepStarts"] == [0, *row["keepStops"][:-1]]
        assert row["keepStops"][-1] == length
        for start, keep, stop in zip(row["starts"], row["keepStarts"], row["keepStops"], strict=True):
            assert stop > keep
            assert keep - start >= overlap or keep == 0
            assert start + window - stop >= overlap or stop == length
            assert start + window <= length or start == 0


def test_reflections(made: dict[str, Any]) -> None:
    for row in made["reflections"]:
        count, places = row["count"], row["places"]
        assert places == np.pad(np.arange(count), (0, len(places) - count), mode="reflect").tolist()
    assert next(row for row in made["reflections"] if row["count"] == 3)["places"][:8] == [0, 1, 2, 1, 0, 1, 2, 1]


def test_samples_round_halves_up_and_are_clamped(made: dict[str, Any]) -> None:
    seen = {row["value"]: row["sample"] for row in made["samples"]}
    assert (seen[-1], seen[0], seen[1], seen[2]) == (0, 0, 255, 255)
    assert set(seen.values()) == set(range(256))
    for value, sample in seen.items():
        assert abs(min(max(value, 0), 1) * 255 - sample) <= 0.5 + 1e-4


def test_lumas(made: dict[str, Any]) -> None:
    for row in made["lumas"]:
        exact = (299 * row["red"] + 587 * row["green"] + 114 * row["blue"]) / 1000
        assert abs(exact - row["luma"]) <= 0.5 + 1e-6
    assert {"red": 255, "green": 0, "blue": 0, "luma": 76} in made["lumas"]


def test_alpha_overshoots_and_is_clamped(made: dict[str, Any]) -> None:
    for row in made["alphas"]:
        assert len(row["alpha"]) == row["width"] * row["height"]
        assert len(row["enlarged"]) == row["scale"] ** 2 * len(row["alpha"])
    assert {0, 255} <= {value for row in made["alphas"] for value in row["enlarged"]}
    (one,) = (row for row in made["alphas"] if len(row["alpha"]) == 1)
    assert one["enlarged"] == 4 * one["alpha"]


def test_mosaics_show_where_each_pixel_came_from(made: dict[str, Any]) -> None:
    """The smallest by hand: one pixel fills its tile, so that the opposite pixel is the same, and 3x + 5y is added."""
    (row,) = (each for each in made["mosaics"] if (each["width"], each["height"]) == (1, 1))
    red, green, blue = row["samples"]
    added = [3 * x + 5 * y for y in range(2) for x in range(2)]
    assert row["result"] == [(2 * colour + more) % 256 for more in added for colour in (red, green, blue)]


def test_they_are_the_same_each_time(made: dict[str, Any]) -> None:
    assert made == vectors(tile=Size(height=40, width=48), overlap=4)
