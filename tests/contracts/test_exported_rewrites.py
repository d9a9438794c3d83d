"""What a rewrite exports is the function that was proven: many of its modules hand PyTorch's exporter ONNX written by hand."""

import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgesr.export.onnx_functions import inline
from edgesr.export.rewrite import Rewrite, rewrites
from edgesr.parity import difference
from edgesr.tensors import FloatArray

CLOSE = 2e-6
"""Relative L2, of float32. An identity that is wrong anywhere differs by far more on witnesses in general position."""


@pytest.mark.parametrize(("name", "rewrite"), rewrites().items(), ids=list(rewrites()))
def test_what_is_exported_is_what_was_proven(name: str, rewrite: Rewrite) -> None:
    for witness in rewrite.witnesses():
        replacement = rewrite.replace(witness.module)
        assert isinstance(replacement, nn.Module)
        first = one_sample(witness.inputs)
        with torch.no_grad():
            expected = witness.module(*first).numpy()
        inputs = tuple(x.float() for x in first)
        actual = run(exported(replacement.float().eval(), inputs, name), inputs)
        assert difference(name, expected.astype(np.float32), actual).relative_l2 <= CLOSE


def one_sample(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The first of the batch, which files for one size take. Inputs with another first axis are kernels."""
    batch = len(inputs[0])
    return tuple(x[:1] if len(x) == batch else x for x in inputs)


def exported(module: nn.Module, inputs: tuple[torch.Tensor, ...], name: str) -> onnx.ModelProto:
    """The module for the sizes of these inputs, with the ONNX functions of all rewrites written out."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.export.export(module, inputs, strict=False)
        program = torch.onnx.export(traced, opset_version=20, optimize=False, verbose=False)
    assert program is not None
    functions = {each: rewrite.functions for each, rewrite in rewrites().items()}
    inline(program.model, functions, opset=20, stamp="rewrite")
    return program.model_proto


def run(graph: onnx.ModelProto, inputs: tuple[torch.Tensor, ...]) -> FloatArray:
    """What ONNX Runtime, without its own rewriting, makes of the inputs."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {given.name: x.numpy() for given, x in zip(session.get_inputs(), inputs, strict=True)}
    (output,) = session.run(None, feeds)
    return np.asarray(output)
