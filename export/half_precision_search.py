"""Which operators half precision needs in float32, found by measuring on a picture."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from edgesr.errors import ParityError
from edgesr.export.half_precision import computing, in_half_precision, rounded_to_half
from edgesr.export.onnx_graph import INPUT
from edgesr.parity import PICTURE, Difference, Edge, difference
from edgesr.progress import Progress, silent
from edgesr.tensors import FloatArray

_HEADROOM_DB = 3.0
"""Above the budget, for pictures that are harder than the one measured."""


@dataclass(frozen=True, kw_only=True)
class HalfGraph:
    """A graph in half precision, the operator types that stay in float32, and what the rounding costs on the picture."""

    graph: onnx.ModelProto
    islands: tuple[str, ...]
    edge: Edge


def half_precision(
    graph: onnx.ModelProto,
    inputs: Mapping[str, FloatArray],
    outputs: Mapping[str, FloatArray],
    *,
    psnr_db: float,
    half_io: bool,
    progress: Progress = silent,
) -> HalfGraph:
    """The float32 graph in half precision, with the islands that keep `psnr_db` on the picture among the inputs.

    outputs: the reference's, by the inputs' names. Raises ParityError when no islands do.
    """
    name = next(name for name in inputs if name.startswith(PICTURE))
    islands, rounding = find_islands(graph, inputs[name], outputs[name], psnr_db=psnr_db, progress=progress)
    converted = in_half_precision(graph, islands, half_io=half_io)
    onnx.checker.check_model(converted, full_check=True)
    return HalfGraph(graph=converted, islands=islands, edge=Edge(name="rounded to float16", differences=(rounding,)))


def find_islands(
    graph: onnx.ModelProto, picture: FloatArray, expected: FloatArray, *, psnr_db: float, progress: Progress = silent
) -> tuple[tuple[str, ...], Difference]:
    """The operator types that must stay in float32 for `psnr_db` on the picture, and what is reached with them.

    graph: float32. picture (1,3,H,W) and the reference's output for it. None at first; then, as long as the budget is missed, the
    type is added that raises the PSNR most; all are, where no single type helps, as with numbers too large for half that go from
    one to another. Those that the budget does not need are left out again. Every tensor outside of islands is rounded to float16
    between operators, whose own sums run in float32, as they do on tensor cores; hardware that sums in half loses more. Raises
    ParityError when the budget needs float32 everywhere, or more.
    """
    candidates = computing(graph)
    wanted = psnr_db + _HEADROOM_DB

    def measured(islands: frozenset[str]) -> Difference:
        return _measured(graph, islands, picture, expected)

    def tell(best: Difference, tried: int) -> None:
        progress(f"half precision reaches {best.psnr_db:.1f} dB; looking for what needs float32", tried, len(candidates))

    islands: frozenset[str] = frozenset()
    best = measured(islands)
    while best.psnr_db < wanted and candidates - islands:
        tell(best, len(islands))
        tried = {name: measured(islands | {name}) for name in sorted(candidates - islands)}
        chosen = max(tried, key=lambda name: tried[name].psnr_db)
        if not tried[chosen].psnr_db > best.psnr_db:
            break
        islands, best = islands | {chosen}, tried[chosen]
    if best.psnr_db < psnr_db:
        islands, best = candidates, measured(candidates)
    for number, name in enumerate(sorted(islands)):
        tell(best, number)
        without = measured(islands - {name})
        if without.psnr_db >= wanted:
            islands, best = islands - {name}, without
    if best.psnr_db < psnr_db or islands == candidates:
        raise ParityError(
            f"half precision cannot reach {psnr_db:.0f} dB on the picture: all in float32 it is {best.psnr_db:.1f} dB",
            hint="Export with --precision fp32, or accept less: --budget DB.",
        )
    return tuple(sorted(islands)), best


def _measured(graph: onnx.ModelProto, islands: Collection[str], picture: FloatArray, expected: FloatArray) -> Difference:
    import onnxruntime

    rounded = rounded_to_half(graph, islands)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(rounded.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {INPUT: picture})
    return difference("picture, every tensor rounded", expected, np.asarray(output))
