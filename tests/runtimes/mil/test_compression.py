"""Compressing a model's weights: what is smaller, what stays, and that the package still is the network."""

from typing import Any

import numpy as np
import pytest

from edgesr.errors import UsageError
from edgesr.export.mil.compression import COMPRESSIONS, Compression, compressed, palette
from edgesr.runtimes._mil.program import Package

_RANDOM = np.random.default_rng(6)
_LARGE = (_RANDOM.standard_normal((16, 16, 3, 3)) / 12).astype(np.float32)
_FIRST = (_RANDOM.standard_normal((16, 16, 3, 3)) / 12).astype(np.float32)
_SMALL = (_RANDOM.standard_normal((16, 1, 3, 3)) / 3).astype(np.float32)
_BIAS = _RANDOM.standard_normal(16).astype(np.float32)
_PICTURE = _RANDOM.random((1, 16, 8, 8), dtype=np.float32)


def _network(mb: Any, x: Any) -> Any:
    y = mb.gelu(x=mb.conv(x=x, weight=_FIRST, pad_type="custom", pad=[1, 1, 1, 1]))
    y = mb.conv(x=y, weight=_LARGE, bias=_BIAS, pad_type="custom", pad=[1, 1, 1, 1])
    y = mb.gelu(x=y)
    return mb.conv(x=y, weight=_SMALL, groups=16, pad_type="custom", pad=[1, 1, 1, 1])


def _decibels(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((actual - expected) ** 2)))


@pytest.fixture(scope="module")
def models(workshop: Any) -> dict[str, Any]:
    """The network in half precision, for three deployment targets."""
    return {
        target: workshop.model(workshop.program(_network, [_PICTURE.shape], target=target), target=target, half=True)
        for target in ("iOS15", "iOS16", "iOS18")
    }


def _bytes(package: Package) -> int:
    return sum(path.stat().st_size for path in package.folder.rglob("weight.bin"))


@pytest.mark.parametrize("target", ["iOS16", "iOS18"])
@pytest.mark.parametrize(("compression", "least"), [("w8", 50), ("p8", 45), ("p6", 38), ("p4", 25)])
def test_a_compressed_package_is_the_network_in_less_space(
    workshop: Any, evaluate: Any, models: dict[str, Any], target: str, compression: Compression, least: float
) -> None:
    whole = Package(workshop.save(models[target]))
    small = Package(workshop.save(compressed(models[target], compression)))
    assert _bytes(small) < 0.85 * _bytes(whole)
    (expected,), (actual,) = evaluate(whole, _PICTURE), evaluate(small, _PICTURE)
    assert least < _decibels(actual, expected) < 80


def test_the_ends_small_weights_and_biases_stay(workshop: Any, models: dict[str, Any]) -> None:
    for compression in COMPRESSIONS:
        package = Package(workshop.save(compressed(models["iOS16"], compression)))
        kinds = [each.kind for each in package.functions["main"].operations]
        assert sum(kind.startswith("constexpr_") for kind in kinds) == 1, compression


def test_the_same_model_gives_the_same_weights(workshop: Any, models: dict[str, Any]) -> None:
    first, second = (Package(workshop.save(compressed(models["iOS16"], "p4"))) for _ in range(2))
    (one,), (other,) = (list(each.folder.rglob("weight.bin")) for each in (first, second))
    assert one.read_bytes() == other.read_bytes()


def test_ios_15_has_no_compressed_weights(models: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="iOS 16"):
        compressed(models["iOS15"], "w8")


def test_a_palette_of_enough_numbers_is_exact() -> None:
    weight = _RANDOM.choice([-1.0, 0.25, 0.5, 3.0], (7, 5)).astype(np.float16)
    table, places = palette(weight, 2)
    np.testing.assert_array_equal(table[places].reshape(weight.shape), weight)
    table, places = palette(weight, 4)
    assert len(table) == 16
    np.testing.assert_array_equal(table[places].reshape(weight.shape), weight)


def test_a_palette_has_less_error_than_equal_steps() -> None:
    weight = _RANDOM.standard_normal(5000).astype(np.float32)
    table, places = palette(weight, 4)
    steps = np.linspace(weight.min(), weight.max(), 16)
    nearest = steps[np.abs(weight[:, None] - steps).argmin(axis=1)]
    assert np.square(table[places] - weight).mean() < 0.7 * np.square(nearest - weight).mean()
    assert (np.abs(weight - table[places]) <= np.abs(weight[:, None] - table).min(axis=1) + 1e-6).all()
