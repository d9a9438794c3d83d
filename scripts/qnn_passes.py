"""What the changes that edgesr makes for Qualcomm's compiler alone are worth: a network with and without each, in the emulator.

Prints a table, and keeps nothing. Networks have seeded weights; the compiler works at O1.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch

from edgesr.export.onnx_graph import onnx_from_module
from edgesr.export.parity_inputs import picture
from edgesr.export.qnn.compiling import compile_for
from edgesr.export.qnn.edges import with_edges_joined
from edgesr.export.qnn.gelus import with_gelus_apart
from edgesr.export.rewrite import apply_plan, plan
from edgesr.export.targets.qnn import TARGET
from edgesr.parity import difference
from edgesr.reference import load_reference
from edgesr.runtimes._qnn.chips import DEFAULT
from edgesr.runtimes._qnn.emulator import Emulator
from edgesr.tensors import FloatArray, Size, one_of, parse_size

PASSES = {"GELUs apart": with_gelus_apart, "edges joined": with_edges_joined}


def decibels(model: str, size: Size) -> list[float]:
    """Of a photograph, against the reference in float32: with all passes, then without each."""
    module = load_reference(model=model).unit_module()
    steps = plan(TARGET.needs)
    rewritten, _ = apply_plan(steps, module)
    functions = {step.name: step.rewrite.functions for step in steps}
    graph = onnx_from_module(rewritten, one_of((size,)), opset=TARGET.opsets[0], functions=functions)
    image = picture(size)
    with torch.inference_mode():
        expected = module(torch.from_numpy(image)).numpy()
    return [difference("picture", expected, _emulated(_changed(graph, left_out), image)).psnr_db for left_out in ("", *PASSES)]


def _changed(graph: onnx.ModelProto, left_out: str) -> onnx.ModelProto:
    for name, change in PASSES.items():
        graph = graph if name == left_out else change(graph)
    return graph


def _emulated(graph: onnx.ModelProto, image: FloatArray) -> FloatArray:
    with TemporaryDirectory() as name:
        path = Path(name) / "net.onnx"
        onnx.save(graph, path)
        wrapper = path.parent / "compiled" / "net.onnx"
        wrapper.parent.mkdir()
        compile_for(DEFAULT, path, wrapper, level=1)
        return Emulator(wrapper, DEFAULT).run(image)


def main() -> None:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(prog="scripts/qnn-passes", description=__doc__)
    parser.add_argument("models", nargs="*", default=["esc-light", "esc-fp"], help="default: esc-light esc-fp")
    parser.add_argument("--size", type=parse_size, default=Size(height=32, width=32), help="default: 32x32")
    asked = parser.parse_args()
    print(f"| dB at {asked.size} on the emulator of {DEFAULT} | with both | {' | '.join(f'without {name}' for name in PASSES)} |")
    print(f"|{'---|' * (len(PASSES) + 2)}")
    for model in asked.models:
        print(f"{model} …", file=sys.stderr)
        print(f"| {model} | {' | '.join(f'{found:.1f}' for found in decibels(model, asked.size))} |", flush=True)


if __name__ == "__main__":
    main()
