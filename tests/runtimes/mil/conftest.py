"""Small Core ML packages, made with coremltools' builder and not by our lowering."""

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesr.runtimes._mil.evaluation import Evaluator, Rounding
from edgesr.runtimes._mil.program import Package

Array = NDArray[Any]
Build = Callable[..., Any]
"""The builder and the inputs' variables -> one variable or several."""


class Workshop:
    """Makes packages of a function that is given by what it builds."""

    def __init__(self, folder: Path, ct: Any) -> None:
        self.ct = ct
        self._folder = folder
        self._made = 0

    def program(self, build: Build, shapes: Sequence[tuple[int, ...]], *, target: str = "iOS16", name: str = "main") -> Any:
        """A MIL program with inputs x0, x1, … of these shapes, in single precision."""
        mil = self.ct.converters.mil
        specs = {f"x{at}": mil.Builder.placeholder(shape=shape, dtype=mil.mil.types.fp32) for at, shape in enumerate(shapes)}
        program = mil.mil.Program()
        with mil.mil.Function(specs, opset_version=self.ct.target[target]) as function:
            made = build(mil.Builder, *function.inputs.values())
            function.set_outputs(list(made) if isinstance(made, list | tuple) else [made])
        program.add_function(name, function)
        return program

    def model(self, program: Any, *, target: str = "iOS16", half: bool = False, passes: bool = False) -> Any:
        """The program converted; without passes as it was built."""
        pipeline = self.ct.PassPipeline.DEFAULT if passes or half else self.ct.PassPipeline.EMPTY
        precision = self.ct.precision.FLOAT16 if half else self.ct.precision.FLOAT32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # coremltools leaves its folder of weights to the collector
            return self.ct.convert(
                program,
                convert_to="mlprogram",
                minimum_deployment_target=self.ct.target[target],
                compute_precision=precision,
                pass_pipeline=pipeline,
                skip_model_load=True,
            )

    def save(self, model: Any) -> Path:
        """A saved model's folder."""
        self._made += 1
        folder = self._folder / f"{self._made}.mlpackage"
        model.save(str(folder))
        return folder

    def package(self, build: Build, *shapes: tuple[int, ...], target: str = "iOS16", half: bool = False) -> Package:
        """Built, converted, saved and read."""
        return Package(self.save(self.model(self.program(build, shapes, target=target), target=target, half=half)))

    def evaluated(self, build: Build, *inputs: Array, target: str = "iOS16", rounding: Rounding = "none") -> list[Array]:
        """The outputs of the saved package."""
        return run(self.package(build, *(each.shape for each in inputs), target=target), *inputs, rounding=rounding)

    def inferred(self, build: Build, *inputs: Array, target: str = "iOS16") -> list[Array]:
        """The outputs as coremltools infers them where all inputs are constants."""
        mil = self.ct.converters.mil
        with mil.mil.Function({}, opset_version=self.ct.target[target]):
            made = build(mil.Builder, *inputs)
            return [np.asarray(each.val) for each in (made if isinstance(made, list | tuple) else [made])]


def run(package: Package, *inputs: Array, rounding: Rounding = "none", function: str = "main") -> list[Array]:
    """The outputs of a package's function, in order."""
    network = package.functions[function]
    feeds = {given.name: each for given, each in zip(network.inputs, inputs, strict=True)}
    return list(Evaluator(network, rounding=rounding)(feeds).values())


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Makes packages; the test is skipped where coremltools is not installed."""
    for name in ("coremltools", "coremltools.converters.mil"):
        logging.getLogger(name).setLevel(logging.ERROR)  # what it has not been tested with is said at its import
    ct = pytest.importorskip("coremltools")
    return Workshop(tmp_path_factory.mktemp("packages"), ct)


@pytest.fixture
def evaluate() -> Callable[..., list[Array]]:
    """Runs a package's function."""
    return run
