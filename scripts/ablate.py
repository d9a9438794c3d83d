"""What a rewrite is worth: the same model exported with and without it, run in turns in edgesr's ONNX Runtime.

Writes export/rewrites/<rewrite>.json. One thread, and the CPU time of the process, which a busy machine disturbs least. Memory is
that of a fresh process for each, which imports, loads and runs once.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnxruntime
from bench_peers.child import CandidateError, Child, step
from bench_peers.goals import latency_size
from bench_peers.measuring import ratio

from edgesr.artifact import read_artifact
from edgesr.environment import environment, processor
from edgesr.export.rewrite import apply_plan, plan, rewrites
from edgesr.export.target import targets
from edgesr.reference import load_reference
from edgesr.runtime import Session
from edgesr.runtimes import open_artifact
from edgesr.tensors import FloatArray, Size, parse_size

REWRITES = Path(__file__).parent.parent / "export" / "rewrites"
MODELS = ("esc", "esc-fp", "srconvnet", "vapsr", "rgt-s")
"""Where the effect of a rewrite is looked for when no model is named."""
TARGET = "ort"
WARM_UP = 3


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One model with and without the rewrite, or the reason why there is nothing to compare.

    file: "any size", or "static" where a file for any size cannot be made without the rewrite (`needed` then says why).
    also_without: the rewrites of its result, which found nothing to do without it. nodes: with those of subgraphs. mb: peak
    memory of a fresh process. ms: median CPU time at `size`. ratio: with over without, and its 95 % interval.
    """

    model: str
    size: str
    file: str = "none"
    needed: str = ""
    also_without: tuple[str, ...] = ()
    rounds: int = 0
    nodes_with: int = 0
    nodes_without: int = 0
    bytes_with: int = 0
    bytes_without: int = 0
    mb_with: float = 0
    mb_without: float = 0
    ms_with: float = 0
    ms_without: float = 0
    ratio: float = 0
    ratio_low: float = 0
    ratio_high: float = 0

    def to_json(self) -> dict[str, Any]:
        """What is known: fields that say nothing are left out."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}


class _OneThread(onnxruntime.InferenceSession):  # type: ignore[misc]  # onnxruntime is not annotated
    """A session with the options that it is given, but one thread."""

    def __init__(self, path: str, sess_options: onnxruntime.SessionOptions | None = None, *, providers: list[str]) -> None:
        options = sess_options or onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        super().__init__(path, options, providers=providers)


def one_thread(folder: Path) -> Session:
    """The artifact in edgesr's runtime, with its settings, on one thread."""
    with mock.patch("onnxruntime.InferenceSession", _OneThread):
        return open_artifact(read_artifact(folder), runtime="ort")


def seconds(session: Session, image: FloatArray) -> float:
    """The CPU time of one run."""
    start = time.process_time_ns()
    session.run(image)
    return (time.process_time_ns() - start) / 1e9


def alternating(sessions: list[Session], image: FloatArray, rounds: int) -> np.ndarray:
    """(rounds, 2) seconds, the two sessions in turns and each first in half of the rounds."""
    for session in sessions * WARM_UP:
        seconds(session, image)
    samples = np.empty((rounds, 2))
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            samples[number, which] = seconds(sessions[which], image)
    return samples


def peak_mb(folder: Path, image: Path, expected: Path) -> float:
    """The peak memory of a fresh process that runs the artifact once."""
    with Child("edgesr", folder, environment().processors) as child:
        child.ask("load")
        return float(child.ask("compare", image=str(image), expected=str(expected))["peak_mb"])


def matching(rewrite: str, models: tuple[str, ...]) -> list[str]:
    """The models in which the target's plan applies the rewrite somewhere."""
    found = []
    for model in models:
        _, applied = apply_plan(plan(targets()[TARGET].needs), load_reference(model=model).unit_module())
        if any(one.name == rewrite and one.matches for one in applied):
            found.append(model)
    return found


def exported(rewrite: str, model: str, size: Size, folder: Path, limit: float) -> tuple[list[dict[str, Any]], str, str]:
    """The two exports in `folder`/with and `folder`/without, for any size or else for `size`; which of it; and why not any.

    Raises CandidateError when the model cannot be exported without the rewrite even for one size, or not at all.
    """
    reasons = []
    for kind, fixed in (("any size", None), ("static", str(size))):
        shared: dict[str, Any] = {"model": model, "scale": None, "size": fixed, "target": TARGET, "seconds": limit}
        made = []
        for which, without in (("with", []), ("without", [rewrite])):
            try:
                made.append(step("artifact", folder=folder / kind / which, without=without, **shared))
            except CandidateError as error:
                reasons.append(f"the export for {fixed or kind} fails {which} it: {error}")
                break
        else:
            return made, kind, "; ".join(reasons)
    raise CandidateError("; ".join(reasons))


def ablate(rewrite: str, model: str, size: Size, rounds: int, limit: float) -> Ablation:
    """Export both ways, run in turns, compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            made, kind, reason = exported(rewrite, model, size, folder, limit)
        except CandidateError as error:
            return Ablation(model=model, size=str(size), needed=str(error))
        pair = [folder / kind / which for which in ("with", "without")]
        image = np.random.default_rng(0).random((1, 3, size.height, size.width), dtype=np.float32)
        sessions = [one_thread(each) for each in pair]
        files = folder / "image.npy", folder / "expected.npy"
        np.save(files[0], image)
        np.save(files[1], sessions[0].run(image))
        samples = alternating(sessions, image, rounds)
        peaks = [peak_mb(each, *files) for each in pair]
    medians = np.median(samples, axis=0)
    compared = ratio(samples[:, :1], samples[:, 1:])
    return Ablation(
        model=model,
        size=str(size),
        file=kind,
        needed=reason,
        also_without=tuple(sorted(made[0]["rewrites"].keys() - made[1]["rewrites"].keys() - {rewrite})),
        rounds=rounds,
        nodes_with=made[0]["nodes"],
        nodes_without=made[1]["nodes"],
        bytes_with=made[0]["bytes"],
        bytes_without=made[1]["bytes"],
        mb_with=peaks[0],
        mb_without=peaks[1],
        ms_with=round(float(medians[0]) * 1e3, 2),
        ms_without=round(float(medians[1]) * 1e3, 2),
        ratio=compared["ratio"],
        ratio_low=compared["low"],
        ratio_high=compared["high"],
    )


def write_evidence(rewrite: str, models: list[str], asked: argparse.Namespace) -> None:
    """Measure the rewrite on the models, print the evidence and write it beside the rewrite."""
    load = round(os.getloadavg()[0], 2)
    found = [ablate(rewrite, model, asked.size or latency_size(model), asked.rounds, asked.limit) for model in models]
    size = f" --size {asked.size}" if asked.size else ""
    evidence = {
        "command": f"scripts/ablate {rewrite} {' '.join(models)}{size} --rounds {asked.rounds}",
        "machine": {"processor": processor(), "cores": environment().processors, "system": environment().system},
        "clock": "CPU time of the process, one thread",
        "memory": "peak resident MB (2^20 bytes) of a fresh process: import, load, one run",
        "onnxruntime": metadata.version("onnxruntime"),
        "load_before": load,
        "models": [one.to_json() for one in found],
    }
    text = json.dumps(evidence, indent=2, ensure_ascii=False) + "\n"
    (REWRITES / f"{rewrite.replace('-', '_')}.json").write_text(text, encoding="utf-8")
    print(text, flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="scripts/ablate", description=__doc__)
    parser.add_argument("rewrite", nargs="?")
    parser.add_argument("models", nargs="*", help=f"default: those of {', '.join(MODELS)} in which it matches")
    parser.add_argument("--all", action="store_true", help="every rewrite that the target gets")
    parser.add_argument("--size", type=parse_size, help="HxW; default 128x128, for rgt-s 64x64")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--limit", type=float, default=600, help="seconds that an export may take")
    asked = parser.parse_args()
    if bool(asked.rewrite) == asked.all:
        parser.error("name a rewrite, or --all")
    names = [each.name for each in plan(targets()[TARGET].needs)] if asked.all else [asked.rewrite]
    for name in names:
        _ = rewrites()[name]  # an unknown name is an error before anything is measured
        models = asked.models or matching(name, MODELS)
        if models:
            write_evidence(name, models, asked)
        else:
            print(f"{name} matches none of {', '.join(MODELS)}")


if __name__ == "__main__":
    main()
