"""What a rewrite is worth: the same model exported with and without it, run in turns in ONNX Runtime.

Usage: ablate.py REWRITE MODEL... [--size HxW] [--rounds N]
Writes export/rewrites/<rewrite>.json. One thread, and the CPU time of the process, which a busy machine disturbs least.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from edgesr.artifact import Artifact
from edgesr.environment import environment, processor
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.tensors import FloatArray, Size, parse_size

REWRITES = Path(__file__).parent.parent / "export" / "rewrites"
WARM_UP = 5


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One model with and without the rewrite: nodes, file bytes, median CPU ms at `size`, and the ratio's 95 % interval."""

    model: str
    size: str
    rounds: int
    nodes_with: int
    nodes_without: int
    bytes_with: int
    bytes_without: int
    ms_with: float
    ms_without: float
    ratio: float
    ratio_low: float
    ratio_high: float


def one_thread(artifact: Artifact) -> onnxruntime.InferenceSession:
    """The artifact in ONNX Runtime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(artifact.path), options, providers=["CPUExecutionProvider"])


def seconds(session: onnxruntime.InferenceSession, image: FloatArray) -> float:
    """The CPU time of one run."""
    start = time.process_time_ns()
    session.run(None, {"input": image})
    return (time.process_time_ns() - start) / 1e9


def alternating(sessions: list[onnxruntime.InferenceSession], image: FloatArray, rounds: int) -> np.ndarray:
    """(rounds, 2) seconds, the two sessions in turns and each first in half of the rounds."""
    for session in sessions * WARM_UP:
        seconds(session, image)
    samples = np.empty((rounds, 2))
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            samples[number, which] = seconds(sessions[which], image)
    return samples


def ratio_interval(samples: np.ndarray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the ratio of medians, with over without."""
    rng = np.random.default_rng(0)
    picks = samples[rng.integers(0, len(samples), (2000, len(samples)))]
    medians = np.median(picks, axis=1)
    low, high = np.percentile(medians[:, 0] / medians[:, 1], [2.5, 97.5])
    return float(low), float(high)


def ablate(rewrite: str, model: str, size: Size, rounds: int) -> Ablation:
    """Export both ways, run in turns, compare."""
    with tempfile.TemporaryDirectory() as folder:
        pair: tuple[Artifact, Artifact] = (
            export(ExportRequest(model=model, size=size, folder=Path(folder, "with"))),
            export(ExportRequest(model=model, size=size, folder=Path(folder, "without"), without=(rewrite,))),
        )
        graphs = [onnx.load(artifact.path) for artifact in pair]
        sizes = [artifact.path.stat().st_size for artifact in pair]
        image = np.random.default_rng(0).random((1, 3, size.height, size.width), dtype=np.float32)
        samples = alternating([one_thread(artifact) for artifact in pair], image, rounds)
    medians = np.median(samples, axis=0)
    low, high = ratio_interval(samples)
    return Ablation(
        model=model,
        size=str(size),
        rounds=rounds,
        nodes_with=len(graphs[0].graph.node),
        nodes_without=len(graphs[1].graph.node),
        bytes_with=sizes[0],
        bytes_without=sizes[1],
        ms_with=round(float(medians[0]) * 1e3, 2),
        ms_without=round(float(medians[1]) * 1e3, 2),
        ratio=round(float(medians[0] / medians[1]), 4),
        ratio_low=round(low, 4),
        ratio_high=round(high, 4),
    )


def main() -> None:
    """Measure, print and write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rewrite")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--size", type=parse_size, default=Size(height=128, width=128))
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    found = [ablate(asked.rewrite, model, asked.size, asked.rounds) for model in asked.models]
    evidence = {
        "command": f"scripts/ablate {asked.rewrite} {' '.join(asked.models)} --size {asked.size} --rounds {asked.rounds}",
        "machine": {"processor": processor(), "cores": environment().processors, "system": environment().system},
        "clock": "CPU time of the process, one thread",
        "onnxruntime": metadata.version("onnxruntime"),
        "load_before": load,
        "models": [asdict(one) for one in found],
    }
    text = json.dumps(evidence, indent=2) + "\n"
    (REWRITES / f"{asked.rewrite.replace('-', '_')}.json").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
