"""Memory in a process of its own, with names, and a leak found."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from edgesr.bench.child import Opening
from edgesr.bench.latency import Files
from edgesr.bench.memory import ABOVE, IMPORT, MORE, PEAK, weigh
from edgesr.bench.protocol import Protocol

Plant = Callable[[str], Opening]


def test_the_peak_is_told_apart_from_the_import(plant: Plant, files: Files, short: Protocol) -> None:
    weighed = weigh(plant("nothing"), files, short)
    found = weighed.metrics
    assert found[PEAK] >= found[IMPORT] > 5
    assert found[ABOVE] == round(found[PEAK] - found[IMPORT], 1)
    assert found[MORE] >= found[PEAK]
    assert not weighed.notes
    assert weighed.parity["psnr_db"] == 300


def test_the_peak_of_the_import_does_not_count(plant: Plant, files: Files, short: Protocol) -> None:
    weighed = weigh(replace(plant("nothing"), package="planted_heavy"), files, short)
    if weighed.notes:
        pytest.skip("this system does not let a process reset its high-water mark")
    assert weighed.metrics[PEAK] < weighed.metrics[IMPORT] + 50


def test_a_leak_is_found(plant: Plant, files: Files, short: Protocol) -> None:
    weighed = weigh(plant("leaking"), files, replace(short, memory_runs=6))
    assert weighed.metrics[MORE] > weighed.metrics[PEAK] + 20
    assert weighed.notes == ("grows by about 5 MB with every run",)
