"""What is done before a cell is measured, each step in a process: python -m edgesr.bench.preparing MODULE:FUNCTION ARGUMENTS.

A step prints its answer, a JSON object, as the last line of its output; the last line of standard error says why it failed.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgesr.tensors import parse_size, parse_sizes


def expected_output(*, opener: str, arguments: dict[str, Any], size: str, folder: str) -> dict[str, Any]:
    """Write `image.npy`, the shipped photograph at `size`, and `expected.npy`, what the opened session makes of it."""
    from edgesr.export.parity_inputs import picture

    image = picture(parse_size(size))
    module, _, function = opener.partition(":")
    session = getattr(importlib.import_module(module), function)(**arguments)
    np.save(Path(folder) / "image.npy", image)
    np.save(Path(folder) / "expected.npy", session.run(image))
    return {}


def artifact(
    *, model: str, scale: int | None, weights: str | None, target: str, precision: str, folder: str, size: str | None = None
) -> dict[str, Any]:
    """Export; the folder then holds an artifact, and for TensorRT its engine too."""
    from edgesr.export.pipeline import export
    from edgesr.export.request import ExportRequest

    sizes = parse_sizes(size) if size else None
    request: dict[str, Any] = {"model": model, "scale": scale, "weights": weights, "precision": precision, "sizes": sizes}
    made = export(ExportRequest(**request, target_name=target, folder=Path(folder)))
    if target == "tensorrt":
        from edgesr.runtimes._trt.making import build_engines
        from edgesr.runtimes._trt.recipe import BuildOptions

        build_engines(made, made.manifest.profiles, BuildOptions())
    return {}


def prepared(*, model: str, scale: int | None, weights: str | None, runtime: str, size: str, folder: str) -> dict[str, Any]:
    """Let a runtime's own converter write what it opens."""
    from edgesr.reference import load_reference
    from edgesr.runtimes import runtimes

    convert: Any = runtimes()[runtime].prepare
    convert(load_reference(model=model, scale=scale, weights=weights), parse_size(size), Path(folder))
    return {}


def first_cause(error: Exception) -> Exception:
    """What the error comes from in the end. PyTorch's exporter raises errors that are causes of their causes."""
    seen = {id(error)}
    while isinstance(error.__cause__, Exception) and id(error.__cause__) not in seen:
        error = error.__cause__
        seen.add(id(error))
    return error


def main(function: str, arguments: str) -> None:
    """Run the step."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, _, name = function.partition(":")
    try:
        answer = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    except Exception as error:  # noqa: BLE001  # whatever a converter raises is the answer
        cause = first_cause(error)
        lines = [line for line in str(cause).splitlines() if line.strip()]
        print(f"{type(cause).__name__}: {lines[0] if lines else ''}", file=sys.stderr)  # noqa: T201  # to the parent process
        sys.exit(1)
    answers.write(json.dumps(answer) + "\n")
    answers.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
