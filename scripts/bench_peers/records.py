"""A model's record: one JSON file with everything that was measured and where. It holds no host's name and no path."""

import json
import os
import re
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from bench_peers.candidates import PEERS, Prepared
from bench_peers.measuring import ratio, sound, summary
from edgesr.environment import environment, processor

_PATH = re.compile(r"(?:/[\w.+@-]+){2,}/?")
_PACKAGES = ("edgesr", "torch", "numpy", "onnx", "onnxruntime", "onnxscript", "onnxsim", "openvino", "ncnn", "pnnx")


def machine() -> dict[str, Any]:
    """Processor, processors that this process may use, system, and the packages' versions."""
    here = environment()
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": processor(),
        "processors": here.processors,
        "system": here.system,
        "python": here.python,
        "packages": versions,
    }


def load() -> list[float]:
    """The load averages of the last 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def record(
    *,
    model: str,
    scale: int,
    command: str,
    threads: int,
    prepared: Prepared,
    timed: tuple[dict[str, Any], dict[str, str]],
    moved: dict[str, int],
    product: int,
    memory: dict[str, tuple[dict[str, Any], dict[str, str]]],
    loads: dict[str, list[float]],
) -> dict[str, Any]:
    """The record of one model.

    product: nanoseconds of the product of matrices. moved: candidate -> bytes. memory: size -> results and failures.
    """
    results, failed = timed
    flops = 2 * 1024**3 / (product / 1e9)
    return _without_paths(
        {
            "model": model,
            "scale": scale,
            "date": date.today().isoformat(),
            "command": command,
            "threads": threads,
            "machine": machine(),
            "load": loads,
            "files": {one.name: one.about for one in prepared.candidates if one.about},
            "not_made": prepared.failed,
            "latency": {
                "size": str(prepared.size),
                "clock": "time.perf_counter_ns around one run, in the candidate's process",
                "multiply_adds": prepared.multiply_adds,
                "matmul_gflops": round(flops / 1e9, 1),
                "matmul_ns": product,
                "limit_ms": round(2 * prepared.multiply_adds / flops * 1e3, 1),
                "candidates": {name: {**summary(one["ns"]), **one} for name, one in results.items()},
                "against_peers": _against_peers(results),
                "failed": failed,
                "bytes_moved": moved,
            },
            "memory": {size: {"candidates": found, "failed": lost} for size, (found, lost) in memory.items()},
        }
    )


def _against_peers(results: dict[str, Any]) -> dict[str, Any] | None:
    """The fastest peer of those that compute the reference's function, and how edgesr compares with it."""
    peers = {name: summary(results[name]["ns"])["p50_ms"] for name in PEERS if name in results and sound(results[name])}
    if not peers or "edgesr" not in results or not sound(results["edgesr"]):
        return None
    fastest = min(peers, key=lambda name: peers[name])
    return {"fastest": fastest, **ratio(results["edgesr"]["ns"], results[fastest]["ns"])}


def _without_paths(value: Any) -> Any:
    """Errors of runtimes name files of this machine; the file's name alone is enough."""
    if isinstance(value, dict):
        return {key: _without_paths(item) for key, item in value.items() if key != "folder"}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    if isinstance(value, str):
        return _PATH.sub(lambda match: Path(match[0]).name, value)
    return value


def write(folder: Path, content: dict[str, Any]) -> Path:
    """Write the record, lists of numbers each on one line."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{content['model']}-x{content['scale']}.json"
    text = json.dumps(content, indent=1, ensure_ascii=False)
    text = re.sub(r"\[[\s\d.,]+\]", lambda match: re.sub(r"\s+", " ", match[0]).replace("[ ", "[").replace(" ]", "]"), text)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read_all(folder: Path) -> list[dict[str, Any]]:
    """All records of the folder, in the order of the file names."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
