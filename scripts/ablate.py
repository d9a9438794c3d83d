"""What a rewrite is worth: the same model exported with and without it, run in turns by edgesr's own harness.

Writes export/rewrites/<rewrite>.json: nodes, bytes, latency (processes of their own that take turns) and the peak memory of a
fresh process for each. A rewrite that only Core ML or TensorRT gets is compared in operations and bytes of the file, for these
run on Apple's and NVIDIA's devices alone; or the reason is kept why there is no file without it.
"""

import argparse
import json
import os
import tempfile
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from bench_peers.goals import latency_size

from edgesr.bench.child import CellError, Opening, step
from edgesr.bench.latency import CLOCK, Files, measure
from edgesr.bench.memory import PEAK, weigh
from edgesr.bench.protocol import Protocol
from edgesr.bench.statistics import ratio_of_medians
from edgesr.environment import environment, processor
from edgesr.export.rewrite import apply_plan, plan, rewrites
from edgesr.export.target import targets
from edgesr.reference import load_reference
from edgesr.tensors import Size, parse_size

REWRITES = Path(__file__).parent.parent / "export" / "rewrites"
MODELS = ("esc", "esc-fp", "srconvnet", "vapsr", "rgt-s")
"""Where the effect of a rewrite is looked for when no model is named."""
TARGET, COUNTED = "ort", {"coreml": "coremltools", "tensorrt": "onnx"}
"""Whose files are timed, and whose are only counted, with the package that makes them."""
_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One model with and without the rewrite, or the reason why there is nothing to compare.

    file: "any size", or "static" where a file for any size cannot be made without the rewrite (`needed` then says why).
    also_without: the rewrites of its result, which found nothing to do without it. nodes: with those of subgraphs. mb: peak
    memory of a fresh process. ms: median time at `size`. ratio: with over without, and its 95 % interval.
    unstable: why the harness doubts the times.
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
    unstable: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What is known: fields that say nothing are left out."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}


def artifact(folder: Path, threads: int) -> Opening:
    """How a worker opens the artifact."""
    arguments = {"folder": str(folder), "runtime": TARGET, "threads": threads, "device": "cpu"}
    return Opening(opener="edgesr.bench.openers:artifact", arguments=arguments, package="onnxruntime", threads=threads)


def target_of(rewrite: str) -> str:
    """ONNX Runtime, or the first of the others for a rewrite that it does not get."""
    return next(name for name in (TARGET, *COUNTED) if any(step.name == rewrite for step in plan(targets()[name].needs)))


def matching(rewrite: str, models: tuple[str, ...]) -> list[str]:
    """The models in which the target's plan applies the rewrite somewhere."""
    found = []
    for model in models:
        steps = plan(targets()[target_of(rewrite)].needs)
        _, applied = apply_plan(steps, load_reference(model=model).unit_module())
        if any(one.name == rewrite and one.matches for one in applied):
            found.append(model)
    return found


def exported(rewrite: str, model: str, size: Size, folder: Path, limit: float) -> tuple[list[dict[str, Any]], str, str]:
    """The two exports in `folder`/with and `folder`/without, for any size or else for `size`; which of it; and why not any.

    Raises CellError when the model cannot be exported without the rewrite even for one size, or not at all.
    """
    reasons = []
    target = target_of(rewrite)
    for kind, fixed in (("any size", None), ("static", str(size)))[target in COUNTED :]:
        shared: dict[str, Any] = {"model": model, "scale": None, "size": fixed, "target": target, "seconds": limit}
        made = []
        for which, without in (("with", []), ("without", [rewrite])):
            try:
                made.append(step("bench_peers.preparing:artifact", folder=folder / kind / which, without=without, **shared))
            except CellError as error:
                reasons.append(f"the export for {fixed or kind} fails {which} it: {error}")
                break
        else:
            return made, kind, "; ".join(reasons)
    raise CellError("; ".join(reasons))


def ablate(rewrite: str, model: str, size: Size, protocol: Protocol, limit: float) -> Ablation:
    """Export both ways, run in turns, compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            made, kind, reason = exported(rewrite, model, size, folder, limit)
            if target_of(rewrite) in COUNTED:
                return Ablation(model=model, size=str(size), file=kind, **_files(rewrite, made))
            opener, arguments = "edgesr.bench.openers:reference", {"model": model, "scale": None, "weights": None}
            arguments |= {"runtime": "pytorch", "threads": None, "device": "cpu"}
            inputs: dict[str, Any] = {"opener": opener, "arguments": arguments, "size": str(size), "folder": name}
            step("edgesr.bench.preparing:expected_output", seconds=limit, **inputs)
            files = Files(image=folder / "image.npy", expected=folder / "expected.npy")
            openings = {which: artifact(folder / kind / which, protocol.threads) for which in ("with", "without")}
            found = measure(openings, files, protocol, lambda _: None)
            for error in found.failures.values():
                raise error
            peaks = {which: weigh(opening, files, protocol).metrics[PEAK] for which, opening in openings.items()}
        except CellError as error:
            return Ablation(model=model, size=str(size), needed=str(error))
    ours, theirs = found.latency["with"], found.latency["without"]
    compared = ratio_of_medians(ours.rounds, theirs.rounds)
    ratios: dict[str, Any] = dict(zip(("ratio", "ratio_low", "ratio_high"), (round(value, 4) for value in compared), strict=True))
    return Ablation(
        model=model,
        size=str(size),
        file=kind,
        needed=reason,
        **_files(rewrite, made),
        rounds=len(ours.rounds),
        mb_with=peaks["with"],
        mb_without=peaks["without"],
        ms_with=round(ours.summary.p50, 2),
        ms_without=round(theirs.summary.p50, 2),
        **ratios,
        unstable=tuple(f"{which}: {why}" for which, timing in found.latency.items() for why in timing.unstable),
    )


def _files(rewrite: str, made: list[dict[str, Any]]) -> dict[str, Any]:
    """What is known of the two files alone."""
    return {
        "also_without": tuple(sorted(made[0]["rewrites"].keys() - made[1]["rewrites"].keys() - {rewrite})),
        **{
            f"{what}_{which}": about[what]
            for which, about in zip(("with", "without"), made, strict=True)
            for what in ("nodes", "bytes")
        },
    }


def write_evidence(rewrite: str, models: list[str], asked: argparse.Namespace) -> None:
    """Measure the rewrite on the models, print the evidence and write it beside the rewrite."""
    load = round(os.getloadavg()[0], 2)
    protocol = Protocol(threads=environment().processors, runs=asked.runs, limit=asked.seconds, memory_runs=1, end_to_end=False)
    found = [ablate(rewrite, model, asked.size or latency_size(model), protocol, asked.limit) for model in models]
    size = f" --size {asked.size}" if asked.size else ""
    seconds = f" --seconds {asked.seconds:g}" if asked.seconds != _SECONDS else ""
    target = target_of(rewrite)
    timed = target == TARGET
    evidence = {
        "target": target,
        "command": f"scripts/ablate {rewrite} {' '.join(models)}{size} --runs {asked.runs}{seconds}",
        "machine": {"processor": processor(), "cores": environment().processors, "system": environment().system},
        **({"clock": CLOCK, "threads": protocol.threads} if timed else {}),
        **({"memory": f"{PEAK}, MB of 2^20 bytes: import, load, one run"} if timed else {}),
        **{package: metadata.version(package) for package in (COUNTED.get(target, "onnxruntime"),)},
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
    parser.add_argument("--all", action="store_true", help="every rewrite")
    parser.add_argument("--size", type=parse_size, help="HxW; default 128x128, for rgt-s 64x64")
    parser.add_argument("--runs", type=int, default=15, help="at least; more until the medians are known to 2 %%")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="that each of the two files may be measured for")
    parser.add_argument("--limit", type=float, default=600, help="seconds that an export may take")
    asked = parser.parse_args()
    if bool(asked.rewrite) == asked.all:
        parser.error("name a rewrite, or --all")
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # for the steps, which call functions of bench_peers
    names = list(rewrites()) if asked.all else [asked.rewrite]
    for name in names:
        _ = rewrites()[name]  # an unknown name is an error before anything is measured
        models = asked.models or matching(name, MODELS)
        if models:
            write_evidence(name, models, asked)
        else:
            print(f"{name} matches none of {', '.join(MODELS)}")


if __name__ == "__main__":
    main()
