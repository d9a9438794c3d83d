"""Steps that need PyTorch or take long: reference outputs, exports, conversions. `edgesr.bench.child.step` runs them."""

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesr.tensors import parse_size, parse_sizes

if TYPE_CHECKING:
    from torch import nn

    from edgesr.artifact import Artifact

SIDE = 1024
"""The matrix product that stands for what the machine can do multiplies matrices of this side."""


def _module(model: str, scale: int) -> "nn.Module":
    from edgesr.reference import load_reference

    return load_reference(model=model, scale=scale).unit_module()


def reference(*, model: str, scale: int, size: str, folder: str) -> dict[str, Any]:
    """The shipped picture at `size` and the reference's output for it, as .npy; the multiply-adds of that."""
    import torch

    from edgesr.complexity import multiply_adds
    from edgesr.export.parity_inputs import picture
    from edgesr.models import model_spec

    shape = parse_size(size)
    image = picture(shape)
    with torch.inference_mode():
        output = _module(model, scale)(torch.from_numpy(image)).numpy()
    np.save(Path(folder) / "image.npy", image)
    np.save(Path(folder) / "expected.npy", output)
    count = multiply_adds(model_spec(model, scale=scale), height=scale * shape.height, width=scale * shape.width)
    return {"multiply_adds": count}


def artifact(
    *, model: str, scale: int | None, size: str | None, target: str, folder: str, without: Sequence[str] = ()
) -> dict[str, Any]:
    """Export through edgesr; seconds, bytes, nodes, and how often each rewrite matched."""
    from edgesr.export.pipeline import export
    from edgesr.export.request import ExportRequest

    request = ExportRequest(
        model=model,
        scale=scale,
        target_name=target,
        sizes=parse_sizes(size) if size else None,
        without=tuple(without),
        folder=Path(folder),
    )
    start = time.perf_counter()
    made = export(request)
    seconds = round(time.perf_counter() - start, 1)
    rewrites = {rewrite.name: rewrite.matches for rewrite in made.manifest.rewrites}
    file = _package(made) if made.manifest.format == "mlpackage" else described(made.path)
    return {"seconds": seconds, "rewrites": rewrites, "weights": made.manifest.weights, **file}


def _package(made: "Artifact") -> dict[str, Any]:
    """The same of a Core ML package: its operations are what ONNX's nodes became."""
    from edgesr.runtimes import runtimes

    inspect = runtimes()["mil-reference"].inspect
    assert inspect is not None
    operators = inspect(made).operators
    return {"bytes": made.manifest.model_bytes, "nodes": sum(operators.values()), "operators": operators}


def naive(*, model: str, scale: int, size: str, path: str, torchscript: bool) -> dict[str, Any]:
    """The untouched reference through PyTorch's exporter with its defaults, at a static size."""
    import torch

    shape = parse_size(size)
    x = torch.zeros(1, 3, shape.height, shape.width)
    start = time.perf_counter()
    with _quiet():
        if torchscript:
            torch.onnx.export(_module(model, scale), (x,), path, dynamo=False, opset_version=17)
        else:
            program = torch.onnx.export(_module(model, scale), (x,), dynamo=True, optimize=True, verbose=False)
            assert program is not None
            program.save(path)
    return {"seconds": round(time.perf_counter() - start, 1), **described(Path(path))}


def simplified(*, source: str, path: str) -> dict[str, Any]:
    """The same through onnxsim."""
    import onnx
    import onnxsim

    start = time.perf_counter()
    model, sound = onnxsim.simplify(source)
    if not sound:
        raise ValueError("onnxsim says that its result differs")
    onnx.save(model, path)
    return {"seconds": round(time.perf_counter() - start, 1), **described(Path(path))}


def ncnn(*, model: str, scale: int, size: str, folder: str) -> dict[str, Any]:
    """The untouched reference through pnnx, with its defaults but for float16 weights."""
    from edgesr.reference import load_reference
    from edgesr.runtimes.ncnn import prepare

    start = time.perf_counter()
    with _quiet():
        prepare(load_reference(model=model, scale=scale), parse_size(size), Path(folder))
    files = sorted(Path(folder).glob("net.ncnn.*"))
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "bytes": sum(file.stat().st_size for file in files),
        "nodes": len((Path(folder) / "net.ncnn.param").read_text(encoding="utf-8").splitlines()) - 2,
    }


def matmul(*, path: str) -> dict[str, Any]:
    """A product with a constant matrix as an ONNX file."""
    import onnx

    weight = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [onnx.helper.make_tensor_value_info("x", kind, [SIDE, SIDE])],
        [onnx.helper.make_tensor_value_info("y", kind, [SIDE, SIDE])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    x = np.random.default_rng(1).random((SIDE, SIDE), dtype=np.float32)
    np.save(Path(path).with_suffix(".image.npy"), x)
    return {"flop": 2 * SIDE**3}


def described(path: Path) -> dict[str, Any]:
    """An ONNX file's bytes (with those of its external data), nodes with those of subgraphs, and operators."""
    import onnx

    from edgesr.export.onnx_graph import all_nodes

    graph = onnx.load(path, load_external_data=False).graph
    operators: dict[str, int] = {}
    for node in all_nodes(graph):
        operators[node.op_type] = operators.get(node.op_type, 0) + 1
    files = [path, *path.parent.glob(f"{path.name}.data")]
    ordered = dict(sorted(operators.items(), key=lambda item: (-item[1], item[0])))
    return {"bytes": sum(file.stat().st_size for file in files), "nodes": sum(operators.values()), "operators": ordered}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters' notes would hide an error's line, which is the answer when a step fails."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)
