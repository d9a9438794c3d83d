"""Golden cases and layouts (see tests/golden/README.md), and the models that have them."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgesr.model import ModelSpec
from edgesr.models import families, model_spec

GOLDEN = Path(__file__).parent.parent / "golden"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A state dict of the authors: names, shapes, and mean and deviation of what fills them (None: the model's own constant)."""

    variant: str
    scale: int
    shapes: dict[str, tuple[int, ...]]
    rules: dict[str, tuple[float, float] | None]

    @property
    def spec(self) -> ModelSpec:
        return model_spec(self.variant, scale=self.scale)

    def filled(self) -> nn.Module:
        """The model with the golden weights."""
        module = self.spec.build()
        state = module.state_dict()
        for name, rule in self.rules.items():
            if rule is not None:
                mean, std = rule
                z = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(self.shapes[name])
                state[name] = torch.from_numpy((mean + std * z).astype(np.float32))
        module.load_state_dict(state, strict=True)
        return module


@dataclass(frozen=True, kw_only=True)
class GoldenCase:
    """An input (float32) and what the authors' implementation makes of it in float64."""

    file: Path

    @property
    def layout(self) -> Layout:
        variant, _, scale = self.file.name.split("__")[0].rpartition("-x")
        return next(layout for layout in layouts(variant) if layout.scale == int(scale))

    @property
    def input(self) -> Tensor:
        return torch.from_numpy(np.load(self.file)["x"])

    @property
    def output(self) -> Tensor:
        return torch.from_numpy(np.load(self.file)["y"])


def layouts(variant: str) -> list[Layout]:
    """The layouts of all scales of a variant; a relative of arbitrary scale counts as ×0."""
    content = json.loads((GOLDEN / "layouts" / f"{variant}.json").read_text(encoding="utf-8"))
    common = content.pop("common", {})
    found = []
    for scale, own in content.items():
        entries = {**common, **own}
        shapes = {name: tuple(entry[0]) for name, entry in entries.items()}
        rules = {name: (entry[1], entry[2]) if len(entry) == 3 else None for name, entry in entries.items()}
        found.append(Layout(variant=variant, scale=int(scale) if scale.isdigit() else 0, shapes=shapes, rules=rules))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests with a parameter of one of these names over all of its kind."""
    known = {variant for family in families().values() for variant in family.variants}
    stored = sorted(path.stem for path in (GOLDEN / "layouts").glob("*.json"))
    if "golden" in metafunc.fixturenames:
        files = sorted((GOLDEN / "io").glob("*.npz"))
        metafunc.parametrize("golden", [GoldenCase(file=file) for file in files], ids=[file.stem for file in files])
    for argument, names in (("layout", known.intersection(stored)), ("foreign", set(stored) - known)):
        if argument in metafunc.fixturenames:
            found = [layout for name in sorted(names) for layout in layouts(name)]
            metafunc.parametrize(argument, found, ids=[f"{layout.variant}-x{layout.scale}" for layout in found])
