"""Latency and memory of the candidates through edgesr's own harness."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench_peers.candidates import Candidate, Prepared
from edgesr.bench.child import CellError, Child, Opening, step
from edgesr.bench.latency import Files, measure
from edgesr.bench.memory import IMPORT, PEAK, weigh
from edgesr.bench.protocol import Protocol
from edgesr.bench.statistics import ratio_of_medians, summarise

Say = Callable[[str], None]

RELATIVE_L2 = 1e-4
"""A candidate that is farther from the reference than this computes another function: its figures do not count."""
PACKAGES = {"edgesr": "onnxruntime", "onnx": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn", "pytorch": "torch"}
"""Kind -> the package whose bare import is the baseline of its memory."""


def opening(candidate: Candidate, threads: int) -> Opening:
    """How a worker opens the candidate."""
    kind, path = candidate.kind, candidate.path
    if kind == "edgesr":
        function = "edgesr.bench.openers:artifact"
        arguments: dict[str, Any] = {"folder": path, "runtime": "ort", "threads": threads, "device": "cpu"}
    elif kind == "pytorch":
        function = "edgesr.bench.openers:reference"
        model, _, scale = path.rpartition("/")
        where = {"runtime": "pytorch", "threads": threads, "device": "cpu"}
        arguments = {"model": model, "scale": int(scale), "weights": None, **where}
    elif kind == "ncnn":
        function = "edgesr.bench.openers:prepared"
        arguments = {"folder": str(Path(path).parent), "runtime": "ncnn", "threads": threads, "device": "cpu"}
    else:
        function, arguments = f"bench_peers.openers:{kind}", {"path": path, "threads": threads}
    return Opening(opener=function, arguments=arguments, package=PACKAGES[kind], threads=threads)


def latency(prepared: Prepared, protocol: Protocol, say: Say) -> tuple[dict[str, Any], dict[str, str]]:
    """Candidate -> everything measured, raw nanoseconds by round included; and those that failed, with the reason."""
    openings = {one.name: opening(one, protocol.threads) for one in prepared.candidates}
    found = measure(openings, Files(image=prepared.image, expected=prepared.expected), protocol, say)
    results = {}
    for name, timing in found.latency.items():
        facts = found.facts[name]
        results[name] = {
            "ns": timing.rounds,
            "warm_up_ns": timing.warm_up,
            "unstable": timing.unstable,
            "stopped_by": timing.stopped_by,
            "load_seconds": facts["load_s"],
            "settings": facts["settings"],
            "parity": facts["parity"],
        }
    return results, {name: str(error) for name, error in found.failures.items()}


def product_ns(product: Candidate, image: Path, protocol: Protocol) -> int:
    """The fastest of some runs of the product of matrices, in nanoseconds."""
    limit = protocol.cell_limit
    with Child(opening(product, protocol.threads)) as child:
        child.ask("open", seconds=limit)
        child.ask("first", seconds=limit, image=str(image))
        return min(child.ask("time", seconds=limit, runs=50, untimed=10)["ns"])


def memory(prepared: Prepared, protocol: Protocol, say: Say) -> tuple[dict[str, Any], dict[str, str]]:
    """Candidate -> peak memory of a process that imports, loads and runs; and those that failed."""
    results, failed = {}, {}
    files = Files(image=prepared.image, expected=prepared.expected)
    for candidate in prepared.candidates:
        say(f"memory of {candidate.name} at {prepared.size}")
        try:
            weighed = weigh(opening(candidate, protocol.threads), files, protocol)
        except CellError as error:
            failed[candidate.name] = str(error)
            continue
        metrics = {"import_mb": weighed.metrics[IMPORT], "peak_mb": weighed.metrics[PEAK], "metrics": weighed.metrics}
        results[candidate.name] = {"package": PACKAGES[candidate.kind], "parity": weighed.parity, **metrics}
    return results, failed


def traffic(prepared: Prepared, protocol: Protocol, say: Say) -> dict[str, int]:
    """Candidate -> bytes that its operators read and write in one run in ONNX Runtime, for those that run there."""
    found = {}
    for candidate in prepared.candidates:
        if candidate.kind not in ("edgesr", "onnx"):
            continue
        path = next(Path(candidate.path).glob("*.onnx")) if candidate.kind == "edgesr" else candidate.path
        say(f"bytes moved by {candidate.name}")
        arguments: dict[str, Any] = {"path": path, "image": prepared.image, "threads": protocol.threads}
        try:
            found[candidate.name] = step("bench_peers.traffic:traffic", seconds=protocol.cell_limit, **arguments)["traffic"]
        except CellError as error:
            say(f"bytes moved by {candidate.name}: {error}")
    return found


def sound(result: dict[str, Any]) -> bool:
    """Whether the output was the reference's; not-a-number is not."""
    return bool(result["parity"]["relative_l2"] <= RELATIVE_L2)


def summary(ns: Any) -> dict[str, float]:
    """Minimum, median and 90th percentile in milliseconds, over the runs of all rounds."""
    found = asdict(summarise(ns))
    return {f"{name}_ms": found[name] for name in ("min", "p50", "p90")}


def ratio(ns: Any, of: Any) -> dict[str, float]:
    """The ratio of two medians of times by round with its 95 % bootstrap interval."""
    return dict(zip(("ratio", "low", "high"), (round(value, 4) for value in ratio_of_medians(ns, of)), strict=True))
