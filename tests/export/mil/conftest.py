"""ONNX nodes lowered for Core ML, saved, evaluated from the saved package, and computed by ONNX Runtime."""

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from edgesr.errors import ExportError
from edgesr.export.mil.graph import lowered
from edgesr.export.mil.tables import compact_tables
from edgesr.runtimes._mil.evaluation import Evaluator
from edgesr.runtimes._mil.program import Function, Package
from edgesr.tensors import FloatArray

Case = tuple[tuple[int, ...], str, Mapping[str, Any]]
"""The shape of `input`, nodes in ONNX's textual syntax that make `output` of it, line by line, and their constants."""
Outputs = dict[str, tuple[FloatArray, FloatArray]]
"""What ONNX Runtime and the saved package make of a case's input."""


@contextmanager
def quiet() -> Iterator[None]:
    """Without coremltools' warnings of versions of packages that it does not use here."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


with quiet():
    ct = pytest.importorskip("coremltools", reason="Core ML's converter is not installed")


def graph_of(case: Case, *, name: str = "node", rewrite: str = "") -> onnx.ModelProto:
    """The case as an ONNX model; its last node has this name and is stamped with the rewrite."""
    shape, text, constants = case
    nodes = [onnx.parser.parse_node(line.strip()) for line in text.strip().splitlines()]
    for number, node in enumerate(nodes):
        node.name = f"{name}_{number}" if number < len(nodes) - 1 else name
        if rewrite:
            node.metadata_props.add(key="edgesr.rewrite", value=rewrite)
    graph = onnx.helper.make_graph(
        nodes,
        "case",
        [onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


def converted(graphs: Mapping[str, onnx.ModelProto], path: Path, *, compact: bool = False, half: bool = False) -> Function:
    """One program of all graphs, each with an input x_NAME and an output y_NAME, converted, saved and read back."""
    builder = importlib.import_module("coremltools.converters.mil").Builder
    mil = importlib.import_module("coremltools.converters.mil.mil")
    with quiet(), compact_tables() if compact else nullcontext():
        program = mil.Program()
        shapes = {
            f"x_{name}": [side.dim_value for side in graph.graph.input[0].type.tensor_type.shape.dim]
            for name, graph in graphs.items()
        }
        placeholders = {name: builder.placeholder(shape=shape, dtype=mil.types.fp32) for name, shape in shapes.items()}
        with mil.Function(placeholders, opset_version=ct.target.iOS16) as function:
            results = [
                builder.identity(x=lowered(graph.graph, builder, function.inputs[f"x_{name}"], compact=compact), name=f"y_{name}")
                for name, graph in graphs.items()
            ]
            function.set_outputs(results)
        program.add_function("main", function)
        model = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
            skip_model_load=True,
        )
        model.save(str(path))
    return Package(path).functions["main"]


def computed(function: Function, feeds: Mapping[str, FloatArray], *, half: bool = False) -> dict[str, FloatArray]:
    """The outputs by the names of the graphs."""
    found = Evaluator(function, rounding="declared" if half else "none")({f"x_{name}": x for name, x in feeds.items()})
    return {name.removeprefix("y_"): value for name, value in found.items()}


def by_onnx_runtime(graph: onnx.ModelProto, x: FloatArray) -> FloatArray:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input": x})[0])


@pytest.fixture(scope="session")
def function_of() -> Callable[..., Function]:
    """Graphs as a function of a saved package."""
    return converted


@pytest.fixture(scope="session")
def evaluated() -> Callable[..., dict[str, FloatArray]]:
    """A function's outputs."""
    return computed


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Mapping[str, Case]], Outputs]:
    """Compute cases both ways; they are converted as one program, for a conversion takes a second whatever its size."""

    def compute(cases: Mapping[str, Case]) -> Outputs:
        graphs = {f"c{number}": graph_of(case, name=f"c{number}") for number, case in enumerate(cases.values())}
        generator = np.random.default_rng(0)
        feeds = {
            f"c{number}": generator.standard_normal(case[0]).astype(np.float32) for number, case in enumerate(cases.values())
        }
        actual = computed(converted(graphs, tmp_path_factory.mktemp("mil") / "cases.mlpackage"), feeds)
        return {name: (by_onnx_runtime(graphs[key], feeds[key]), actual[key]) for name, key in zip(cases, graphs, strict=True)}

    return compute


@pytest.fixture(scope="module")
def outputs(both: Callable[[Mapping[str, Case]], Outputs], request: pytest.FixtureRequest) -> Outputs:
    """The `CASES` of a test file, computed both ways."""
    return both(request.module.CASES)


@pytest.fixture(scope="session")
def refused() -> Callable[..., str]:
    """The message of the error that lowering a case raises."""

    def lower(case: Case, *, rewrite: str = "") -> str:
        builder = importlib.import_module("coremltools.converters.mil").Builder
        mil = importlib.import_module("coremltools.converters.mil.mil")
        graph = graph_of(case, name="culprit", rewrite=rewrite).graph
        given = {"input": builder.placeholder(shape=case[0], dtype=mil.types.fp32)}
        with quiet(), mil.Function(given, opset_version=ct.target.iOS16) as function, pytest.raises(ExportError) as raised:
            lowered(graph, builder, function.inputs["input"])
        return raised.value.message

    return lower
