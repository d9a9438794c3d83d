"""Qualcomm's compiler in a process of its own, with a time limit: its aborts are errors here, and what it refused is named."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from edgesr.errors import ExportError, UsageError
from edgesr.export.onnx_graph import REWRITE_KEY
from edgesr.export.rewrite import what_helps
from edgesr.export.targets._npus import FOR_NPUS

SECONDS = 3600
"""How long the compiler may take for one chip; EDGESR_QNN_SECONDS says otherwise."""

_COMPILER = (sys.executable, "-m", "edgesr.export.qnn.child")
_TRACE = "qnn_op_trace.json"
_REFUSED = re.compile(r"Unsupported nodes in QNN EP: (.*)")
_NODE = re.compile(r"{ name: (.*?), type: (\w+) }")
_INVALID = re.compile(r"failed for node `(.*?)` of type `(\w+)`")
_SUFFIX = re.compile(r"_token_\d+$")
"""What ONNX Runtime appends to names where it turns the layout of maps."""

_MOST_AXES = 5
_REPORT = "Try a smaller --size, or another chip; please report the model and its size."


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How many nodes of the graph, as ONNX Runtime hands it to the provider, run on the NPU and on the processor.

    operators: how often each of QNN's operators is in what the compiler was given of them.
    """

    npu: int
    cpu: int
    operators: Mapping[str, int] = field(default_factory=dict)


def compile_for(chip: str, model: Path, context: Path, *, level: int, command: Sequence[str] = _COMPILER) -> Placement:
    """Compile the ONNX file for the chip into `context`, the wrapper, in a folder that exists, and a binary beside it.

    level: how hard the compiler works for a fast graph, from 1 to 3.

    Raises ExportError for a node that the NPU does not take, and for a compiler that fails, aborts or is not done in time.
    """
    seconds = _limit()
    with TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        paths = {"model": model.name, "context": str(context.relative_to(model.parent)), "trace": name}
        with log.open("wb") as said:
            code = _ended([*command, json.dumps({"chip": chip, "level": level, **paths})], model.parent, said.fileno(), seconds)
        text = log.read_text(encoding="utf-8", errors="replace")
        trace, operators = _trace(folder / _TRACE), _operators(folder)
    if refused := _refused(trace, text):
        raise _refusal(refused, trace, chip, onnx.load(model))
    if code is None:
        quicker = ", add --optimization O1" if level > 1 else ""
        raise ExportError(
            f"Qualcomm's compiler was not done within {seconds} s for {chip}, and was ended",
            hint=f"Give it longer (EDGESR_QNN_SECONDS={2 * seconds}){quicker}, or take a smaller --size.",
        )
    if code or not context.is_file():
        raise ExportError(f"Qualcomm's compiler failed for {chip}: {_last_words(code, text)}", hint=_hint(code, text, level))
    if not trace["summary"]["supported_nodes"] or not operators:
        raise ExportError(
            f"Qualcomm's compiler did not say what of the network runs on the NPU of {chip}",
            hint="Is there space for temporary files? Set TMPDIR to a folder that has some, and please report it if not.",
        )
    return Placement(npu=trace["summary"]["supported_nodes"], cpu=trace["summary"]["unsupported_nodes"], operators=operators)


def _limit() -> int:
    asked = os.environ.get("EDGESR_QNN_SECONDS") or str(SECONDS)
    if not asked.isdecimal() or not int(asked):
        raise UsageError(
            f"EDGESR_QNN_SECONDS={asked} is no time limit",
            hint=f"Set whole seconds, as in EDGESR_QNN_SECONDS={SECONDS}, or unset it.",
        )
    return int(asked)


def _ended(command: Sequence[str], folder: Path, said: int, seconds: int) -> int | None:
    """The process's exit code; None when it was not done in time. Whatever happens, it does not outlive this."""
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
    ) as process:
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None and sys.platform == "win32":
                process.kill()
            elif process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _trace(path: Path) -> dict[str, Any]:
    """What the provider wrote of every node: ONNX Runtime's "framework op trace". An aborted compiler leaves none, or a part."""
    nothing = {"summary": {"supported_nodes": 0, "unsupported_nodes": 0}, "unsupported_nodes": []}
    found = _read(path)
    return found if found.keys() >= nothing.keys() else nothing


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none or only a part of one."""
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _refused(trace: dict[str, Any], log: str) -> list[tuple[str, str]]:
    """Name and operator of each node that the NPU does not take; of the log where an abort left no trace."""
    traced = [(node["node_name"], node["op_type"]) for node in trace["unsupported_nodes"]]
    return traced or _NODE.findall("".join(_REFUSED.findall(log)[:1])) or _INVALID.findall(log)


def _operators(folder: Path) -> dict[str, int]:
    """The most frequent first, of the graphs that the provider wrote down; beside them lie other files, of tensors."""
    graphs = [_read(path).get("graph", {}) for path in folder.glob("*.json")]
    found = Counter(node["type"] for graph in graphs for node in graph.get("nodes", {}).values())
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _refusal(refused: Sequence[tuple[str, str]], trace: dict[str, Any], chip: str, model: onnx.ModelProto) -> ExportError:
    """The error for the first of the nodes (name, operator): the rewrite that made it, why it is refused, what would help."""
    name, operator = refused[0]
    reasons = {node["node_name"]: str(node["reason"]) for node in trace["unsupported_nodes"]}
    found = [node for node in model.graph.node if node.name in (name, _SUFFIX.sub("", name))]
    stamps = [entry.value for node in found for entry in node.metadata_props if entry.key == REWRITE_KEY]
    made = f"made by the rewrite {stamps[0]}" if stamps else "of the network as it was written"
    shapes = _shapes(model, found[0]) if found else []
    seen = f" ({' and '.join('×'.join(map(str, shape)) for shape in shapes)})" if shapes else ""
    told = reasons.get(name, "").partition(f"{operator} node")[0].rstrip(".")
    reason = "QNN's validation refuses it" if told in ("", "Failed to add node") else told
    more = f"; and {len(refused) - 1} more" if len(refused) > 1 else ""
    helps = what_helps(operator, "max_rank_5" if any(len(shape) > _MOST_AXES for shape in shapes) else "", needs=FOR_NPUS)
    return ExportError(
        f"{operator} {name}{seen}, {made}, cannot run on the NPU of {chip}: {reason}{more}",
        hint=f"{helps}See which rewrites apply: edgesr plan MODEL --target qnn",
    )


def _shapes(model: onnx.ModelProto, node: onnx.NodeProto) -> list[list[int | str]]:
    """Of the node's first input and its outputs, as far as they are known."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values = {value.name: value for value in (*graph.input, *graph.output, *graph.value_info)}
    named = [values[name].type.tensor_type.shape for name in (*node.input[:1], *node.output) if name in values]
    return [[dimension.dim_value or "?" for dimension in shape.dim] for shape in named]


def _last_words(code: int, log: str) -> str:
    """How it ended, and the last error in its log."""
    known = {each.value for each in signal.Signals}
    ended = f"it ended with {signal.Signals(-code).name if -code in known else f'code {code}'}"
    lines = [line.strip() for line in log.splitlines() if re.search(r"error|fail|abort|terminate|what\(\)", line, re.IGNORECASE)]
    return ended + (f": {lines[-1][:300]}" if lines else "")


def _hint(code: int, log: str, level: int) -> str:
    if "Failed to write" in log:
        return "Is the disk full? Free some space, or name another folder: -o DIR."
    if code == -signal.SIGKILL:
        quicker = "--optimization O1, " if level > 1 else ""
        return f"The system ended it, most likely for its memory: add {quicker}--tables compact, or a smaller --size."
    return _REPORT
