"""docs/performance.md from the records and the hand-written notes."""

from collections.abc import Sequence
from typing import Any

from bench_peers.candidates import PEERS, TITLES
from bench_peers.goals import GOALS, HD, SQUARE, Goal
from bench_peers.measuring import sound

Record = dict[str, Any]

_INTRODUCTION = """# Performance

Written by `scripts/bench-peers` from `docs/records/`, which hold every single sample; `scripts/bench-peers --render` writes it
anew. All figures are float32. **edgesr** is the exported file in edgesr's own ONNX Runtime, one file for any size unless said
otherwise. **Naive** is edgesr's PyTorch reference through `torch.onnx.export` at a static size without any rewrite, as it is and
through onnxsim, in ONNX Runtime and in OpenVINO with float32 forced (its default here is bfloat16, another precision); the faster
of the two forms is shown. ncnn's file is made by pnnx.

Each candidate runs in a process of its own. The processes take turns round by round in a random order, with a pause, and one run
that is not timed before those that are. Times are wall-clock medians in ms. The ratio is edgesr's median over that of the fastest
naive form, in bold, in the same run, with its 95 % bootstrap interval over rounds. Every output is compared with PyTorch's; a
figure is ~~struck out~~ when it differs by more than 1e-4 (relative L2).
"""

_LIMIT = """The limit is what the network's multiply-adds (convolutions, linear layers, matrix products, 5 for each element of a
LayerNorm) would take at the rate of the best 1024×1024 float32 MatMul in ONNX Runtime in the same run. It does not bind a network
of which a rewrite has made the multiplications fewer. GB moved (10⁹ bytes) are all inputs, weights and outputs of the
operators that ONNX Runtime runs, after its own fusions: what memory would carry if no cache held anything between two of them.
"""

_MEMORY = """Largest resident memory (MB of 2²⁰ bytes) of a fresh process that imports the runtime, loads the file and runs once.
The bare import is in it, and stands by itself in the last table.
"""


def render(records: Sequence[Record], notes: str) -> str:
    """The whole page."""
    order = list(GOALS)
    records = sorted(records, key=lambda one: (order.index(one["model"]) if one["model"] in order else len(order), one["model"]))
    parts = [
        _INTRODUCTION,
        "## Latency\n",
        _latency(records),
        _LIMIT,
        "## Goals and what was reached\n",
        _goals(records),
        "## Memory\n",
        _MEMORY,
        *(_memory(records, size) for size in _sizes(records)),
        _imports(records),
        "## Files\n",
        _files(records),
        "## Every candidate\n",
        _details(records),
        "## What could not be measured\n",
        _failures(records),
        notes.strip() + "\n",
        "## How it was measured\n",
        _machines(records),
    ]
    return "\n".join(part for part in parts if part.strip())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _name(record: Record) -> str:
    return f"{record['model']} ×{record['scale']}"


def _checked(text: str, result: Record) -> str:
    return text if sound(result) else f"~~{text}~~"


def _best(record: Record, names: Sequence[str]) -> str:
    """The faster of the forms that compute the right function; its median, bold when it is the one to beat."""
    found = {name: one for name in names if (one := record["latency"]["candidates"].get(name))}
    if not found:
        return "–"
    name = min(found, key=lambda each: (not sound(found[each]), found[each]["p50_ms"]))
    text = _checked(_ms(found[name]["p50_ms"]), found[name])
    against = record["latency"]["against_peers"]
    return f"**{text}**" if against and name == against["fastest"] else text


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _ratio(record: Record) -> str:
    against = record["latency"]["against_peers"]
    return f"{against['ratio']:.2f} [{against['low']:.2f}, {against['high']:.2f}]" if against else "–"


def _latency(records: Sequence[Record]) -> str:
    header = ["model", "size", "edgesr", "naive ORT", "OpenVINO", "ncnn", "PyTorch", "edgesr / fastest peer", "limit"]
    header += ["GB moved by edgesr", "by naive ORT", "edgesr's graph in OpenVINO"]
    rows = []
    for record in records:
        forms = (["edgesr"], PEERS[:2], PEERS[2:4], ["ncnn"], ["pytorch"])
        cells = [_best(record, names) for names in forms]
        rows.append(
            [
                _name(record),
                record["latency"]["size"],
                *cells,
                _ratio(record),
                _ms(record["latency"]["limit_ms"]),
                *_moved(record),
                _best(record, ["openvino-edgesr"]),
            ]
        )
    return table(header, rows)


def _moved(record: Record) -> list[str]:
    """GB (10⁹ bytes) that edgesr's operators move, and those of the better of the naive forms."""
    moved = record["latency"].get("bytes_moved", {})
    naive = [moved[name] for name in ("naive", "naive-simplified") if name in moved]
    return [f"{value / 1e9:.2f}" if value else "–" for value in (moved.get("edgesr"), min(naive, default=None))]


def _goals(records: Sequence[Record]) -> str:
    """Goal and result side by side, results that miss the goal in italics."""
    rows = [
        [_name(record), *cells]
        for record in records
        if (goal := GOALS.get(record["model"])) and (cells := _reached(record, goal)) and record["scale"] == 4
    ]
    header = ["model", "file MB", "nodes", "latency ratio", f"memory {SQUARE}", f"memory {HD}", "export s"]
    return "Reached / goal; what misses its goal is in italics.\n\n" + table(header, rows)


def _reached(record: Record, goal: Goal) -> list[str]:
    file = record["files"].get("edgesr", {})
    against = record["latency"]["against_peers"]
    right_size = record["latency"]["size"] == str(goal.latency_size)
    memory = [_peak(record, str(size), "edgesr") for size in (SQUARE, HD)]
    return [
        _cell(file.get("bytes", 0) / 1e6 or None, goal.file_mb, "{:.2f}"),
        _cell(file.get("nodes"), goal.nodes, "{:.0f}"),
        _cell(against["ratio"] if against and right_size else None, goal.ratio, "{:.2f}"),
        _cell(memory[0], goal.memory_square_mb, "{:.0f}"),
        _cell(memory[1], goal.memory_hd_mb, "{:.0f}"),
        _cell(file.get("seconds"), goal.export_seconds, "{:.0f}"),
    ]


def _cell(value: float | None, goal: float, form: str) -> str:
    if value is None:
        return f"– / {goal:g}"
    text = form.format(value)
    return f"{text} / {goal:g}" if value <= goal else f"*{text}* / {goal:g}"


def _peak(record: Record, size: str, name: str) -> float | None:
    result = record["memory"].get(size, {}).get("candidates", {}).get(name)
    return result["peak_mb"] if result and sound(result) else None


def _sizes(records: Sequence[Record]) -> list[str]:
    sizes = {size for record in records for size in record["memory"]}
    return sorted(sizes, key=lambda size: [int(side) for side in size.split("x")])


def _memory(records: Sequence[Record], size: str) -> str:
    rows = []
    for record in records:
        found = record["memory"].get(size, {}).get("candidates", {})
        cells = [_checked(f"{found[name]['peak_mb']:.0f}", found[name]) if name in found else "–" for name in TITLES]
        rows.append([_name(record), *cells])
    return f"### At {size}\n\n" + table(["model", *TITLES.values()], rows)


def _imports(records: Sequence[Record]) -> str:
    bare: dict[str, list[float]] = {}
    for record in records:
        for weighed in record["memory"].values():
            for result in weighed["candidates"].values():
                bare.setdefault(result["package"], []).append(result["import_mb"])
    if not bare:
        return ""
    rows = [[package, f"{min(values):.0f} to {max(values):.0f}"] for package, values in sorted(bare.items())]
    return "### After the bare import\n\n" + table(["package", "MB"], rows)


def _files(records: Sequence[Record]) -> str:
    """Bytes, nodes and seconds of edgesr's files and of the naive ones."""
    rows = []
    for record in records:
        for name in ("edgesr", "naive", "naive-simplified", "ncnn"):
            about = record["files"].get(name)
            if about:
                kind = TITLES[name].removesuffix(" in ONNX Runtime").removesuffix(",")
                if name == "edgesr":
                    kind += ", static" if "no_dynamic_file" in about or "--static" in record["command"] else ", any size"
                cells = [f"{about['bytes'] / 1e6:.2f}", f"{about['nodes']}", f"{about['seconds']:.1f}"]
                rows.append([_name(record), kind, *cells, about.get("exporter", "")])
    header = ["model", "file", "MB (10⁶ bytes)", "nodes, with subgraphs", "seconds to make it", "by"]
    return (
        "Seconds to make a file leave out the start of Python and PyTorch; those of onnxsim come on top of the export's.\n\n"
        + table(header, rows)
    )


def _details(records: Sequence[Record]) -> str:
    rows = []
    for record in records:
        for name, title in TITLES.items():
            one = record["latency"]["candidates"].get(name)
            if one:
                unstable = f" (unstable: {'; '.join(one['unstable'])})" if one["unstable"] else ""
                times = [_checked(_ms(one[key]), one) for key in ("min_ms", "p50_ms", "p90_ms")]
                samples = f"{len(one['ns'])} × {len(one['ns'][0])}{unstable}"
                parity = f"{one['parity']['psnr_db']:.0f} dB, {one['parity']['relative_l2']:.0e}"
                rows.append([_name(record), title, *times, samples, parity, f"{one['load_seconds']:.2f}"])
    header = ["model", "candidate", "min", "median", "p90", "rounds × runs", "against PyTorch", "seconds to load"]
    return table(header, rows)


def _failures(records: Sequence[Record]) -> str:
    lines = []
    for record in records:
        places: list[tuple[str, dict[str, str]]] = [(record["latency"]["size"], record["not_made"])]
        places.append((record["latency"]["size"], record["latency"]["failed"]))
        places += [(size, weighed["failed"]) for size, weighed in record["memory"].items()]
        for size, failed in places:
            lines += [f"- {_name(record)} at {size}, {what}: {why}" for what, why in failed.items()]
        reason = record["files"].get("edgesr", {}).get("no_dynamic_file")
        lines += [f"- {_name(record)}: no file for any size: {reason}"] if reason else []
    return "\n".join(dict.fromkeys(lines)) + "\n" if lines else "Nothing was left out.\n"


def _machines(records: Sequence[Record]) -> str:
    """Records by the machine that they come from, with load and command."""
    lines = []
    for record in records:
        here = record["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in here["packages"].items())
        settings = record["latency"]["candidates"].get("openvino", {}).get("settings", {})
        lines.append(
            f"- {_name(record)}, {record['date']}: `{record['command']}`, "
            f"on {here['processor']} ({here['processors']} processors, {here['system']}), "
            f"load before {record['load']['before'][0]}, after {record['load']['after'][0]}; best MatMul "
            f"{record['latency']['matmul_gflops']} GFLOP/s; Python {here['python']}, {versions}"
            + (f"; OpenVINO says {', '.join(f'{k}={v}' for k, v in settings.items())}" if settings else "")
        )
    return "\n".join(lines) + "\n"
