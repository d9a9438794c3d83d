"""From ONNX graphs to a saved `.mlpackage`: inputs and outputs, metadata, functions, the same bytes each time."""

import contextlib
import functools
import importlib
import json
import logging
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from edgesr.artifact import function_name
from edgesr.errors import ExportError
from edgesr.export.mil.compression import compressed
from edgesr.export.mil.graph import lowered
from edgesr.export.mil.tables import check_written_out, compact_tables
from edgesr.export.onnx_graph import INPUT, OUTPUT
from edgesr.export.target import Conversion
from edgesr.levels import LEVELS
from edgesr.runtimes._mil.program import Package
from edgesr.tensors import SizeRule

_NAMESPACE = uuid.UUID("6f1c0a52-7a5b-4c39-9b57-2d0f3c3f5f10")
"""Of the identifiers in a package, which coremltools draws at random."""


def write_package(asked: Conversion) -> Path:
    """Write `<stem>.mlpackage`: one function, or one for each graph, named `size_<H>x<W>`, which share their weights.

    Raises ExportError for a graph that has no form in Core ML of the deployment target, OSError where it cannot be written.
    """
    path = asked.folder / f"{asked.stem}.mlpackage"
    if not _compact(asked):
        for graph in asked.graphs.values():
            check_written_out(graph.graph)
    with _quiet_tools(), compact_tables() if _compact(asked) else contextlib.nullcontext():
        if len(asked.graphs) == 1:
            ((sizes, graph),) = asked.graphs.items()
            _model(graph, sizes, asked).save(str(path))
        else:
            _save_functions(asked, path)
    _describe(path, asked)
    _name_anew(path)
    return path


def _compact(asked: Conversion) -> bool:
    """Whether tables that repeat smaller ones are made when the model runs, and not written out in its file."""
    return asked.options["tables"] == "compact"


def _model(graph: onnx.ModelProto, sizes: SizeRule, asked: Conversion) -> Any:
    """The graph as coremltools' model, in memory."""
    ct = importlib.import_module("coremltools")
    target = getattr(ct.target, asked.options["deployment"].replace("ios", "iOS"))
    program = _program(graph.graph, _shape(sizes), asked, target)
    half = asked.precision != "fp32"
    precision = ct.precision.FLOAT16 if half else ct.precision.FLOAT32
    try:
        model = ct.convert(
            program, convert_to="mlprogram", minimum_deployment_target=target, compute_precision=precision, skip_model_load=True
        )
    except Exception as error:  # coremltools raises whatever its passes met; the cause is chained
        if "FileWriter" in str(error):  # of its C++ part, which says no more
            where = tempfile.gettempdir()
            raise ExportError(
                f"coremltools could not write the weights to its temporary folder, {where}: {error}",
                hint="Free some space there, or name another folder: TMPDIR=DIR edgesr export ...",
            ) from error
        raise ExportError(f"coremltools cannot convert this network: {error}", hint="See docs/coreml.md.") from error
    if asked.precision == "fp32" or asked.precision == "fp16":
        return model
    return compressed(model, asked.precision)


def _program(graph: onnx.GraphProto, shape: Any, asked: Conversion, target: Any) -> Any:
    """The graph as a MIL program with the inputs and outputs that are asked for."""
    ct = importlib.import_module("coremltools")
    mil = importlib.import_module("coremltools.converters.mil.mil")
    mb = importlib.import_module("coremltools.converters.mil").Builder
    picture = asked.options["io"] == "image"
    if picture:
        given = ct.ImageType(name=INPUT, shape=shape, scale=1 / LEVELS, color_layout=ct.colorlayout.RGB, channel_first=True)
    else:
        given = ct.TensorType(name=INPUT, shape=shape)
    program = mil.Program()
    placeholder = mb.placeholder(shape=given.shape.symbolic_shape, dtype=mil.types.fp32)
    with mil.Function({INPUT: placeholder}, opset_version=target) as function:
        result = lowered(graph, mb, function.inputs[INPUT], compact=_compact(asked))
        if picture:
            result = mb.clip(x=mb.mul(x=result, y=LEVELS), alpha=0.0, beta=LEVELS, name=OUTPUT)
        else:
            result = mb.identity(x=result, name=OUTPUT)
        function.set_outputs([result])
        function.input_types = (given,)
        function.output_types = [ct.ImageType(color_layout=ct.colorlayout.RGB) if picture else ct.TensorType()]
    program.add_function("main", function)
    return program


def _shape(sizes: SizeRule) -> Any:
    """The shape (1,3,H,W) that coremltools declares: one, several, or a range; the first size is the default."""
    ct = importlib.import_module("coremltools")
    if sizes.fixed:
        return (1, 3, sizes.fixed.height, sizes.fixed.width)
    if sizes.choices:
        return ct.EnumeratedShapes(shapes=[(1, 3, size.height, size.width) for size in sizes.choices])
    if sizes.maximum is None:
        raise ExportError("Core ML's ranges of sizes have an end", hint="Name one: --size 64x64..512x512.")
    sides = (
        ct.RangeDim(lower_bound=low, upper_bound=high, default=low)
        for low, high in ((sizes.minimum.height, sizes.maximum.height), (sizes.minimum.width, sizes.maximum.width))
    )
    return ct.Shape(shape=(1, 3, *sides))


def _save_functions(asked: Conversion, path: Path) -> None:
    """Each graph as a package of its own, and these as the functions of one."""
    utils = importlib.import_module("coremltools.models.utils")
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        descriptor = utils.MultiFunctionDescriptor()
        for sizes, graph in asked.graphs.items():
            name = function_name(sizes.minimum)
            part = Path(folder) / f"{name}.mlpackage"
            _model(graph, sizes, asked).save(str(part))
            descriptor.add_function(str(part), "main", name)
        descriptor.default_function_name = function_name(next(iter(asked.graphs)).minimum)
        utils.save_multifunction(descriptor, str(path))


def _describe(path: Path, asked: Conversion) -> None:
    """Write into the package what it is, as Xcode shows it, in place of coremltools' own notes: the date is among them."""
    saved, facts = Package(path), asked.facts
    told, picture = saved.spec.description, asked.options["io"] == "image"
    numbers = "picture, 0 to 255 for each colour" if picture else "in [0,1], not clamped, as (1,3,height,width)"
    rules = {function_name(sizes.minimum): sizes for sizes in asked.graphs}
    (*_, last) = asked.graphs
    for described in told.functions or [told]:
        sizes = rules[described.name] if told.functions else last
        (given,), (result,) = described.input, described.output
        given.shortDescription = f"RGB {numbers}; height x width in pixels: {sizes.description}"
        result.shortDescription = f"RGB {numbers}, of {facts['scale']} times the height and width"
    about = told.metadata
    about.author = f"{facts['title']}, {facts['paper']}"
    about.license = facts["licence"]
    about.versionString = facts["version"]
    about.shortDescription = f"Super-resolution x{facts['scale']}: {facts['model']}, {facts['weights']}"
    about.userDefined.clear()
    about.userDefined.update({f"edgesr.{name}": facts[name] for name in ("model", "precision", "manifest")})
    saved.model.write_bytes(saved.spec.SerializeToString(deterministic=True))


def _name_anew(path: Path) -> None:
    """Give the package's items identifiers that follow from their paths, so that two exports are the same to the byte."""
    manifest = path / "Manifest.json"
    described = json.loads(manifest.read_text(encoding="utf-8"))
    items = described["itemInfoEntries"]
    names = {old: str(uuid.uuid5(_NAMESPACE, item["path"])).upper() for old, item in items.items()}
    described["itemInfoEntries"] = {names[old]: items[old] for old in sorted(items, key=lambda old: str(items[old]["path"]))}
    described["rootModelIdentifier"] = names[described["rootModelIdentifier"]]
    manifest.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _quiet_tools() -> Iterator[None]:
    """Keep coremltools' notes on versions of other packages and its progress bars away from the user."""
    bars = importlib.import_module("tqdm").tqdm
    drawn = bars.__init__
    bars.__init__ = functools.partialmethod(drawn, disable=True)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        bars.__init__ = drawn
