"""Tables of exports in the documentation: each row is one `edgesr export` in a process of its own.

What was made is kept in a record after every row, and rows that are there are not made again.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgesr.artifact import Artifact, read_artifact
from edgesr.environment import environment, processor
from edgesr.parity import PICTURE

DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

Rows = list[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class ExportTable:
    """One table.

    command: the script that makes it. target: what is exported for. page: of docs/, where it stands between BEGIN and END.
    record: of docs/records/. packages: whose versions are told. rows: the arguments of `edgesr export`, row by row.
    header: the columns after the model, what was asked for, and before seconds. figures: an artifact -> what the record holds of
    it. cells: that -> the columns.
    """

    command: str
    target: str
    page: str
    record: str
    packages: tuple[str, ...]
    rows: Callable[[], Rows]
    header: tuple[str, ...]
    figures: Callable[[Artifact], dict[str, Any]]
    cells: Callable[[dict[str, Any]], list[str]]


def decibels(artifact: Artifact) -> dict[str, float | None]:
    """The least PSNR on pictures and on noise, of what the artifact's manifest says of its file; and the largest difference, of
    anything and, in levels of 255, of pictures. None where it was not compared on noise.
    """
    differences = artifact.manifest.parity[-1].differences
    pictures = [each for each in differences if each.input.startswith(PICTURE)]
    noise = [each for each in differences if not each.input.startswith(PICTURE)]
    return {
        "picture_db": round(min(each.psnr_db for each in pictures), 1),
        "noise_db": round(min(each.psnr_db for each in noise), 1) if noise else None,
        "max_abs": max(each.max_abs for each in differences),
        "picture_levels": round(255 * max(each.max_abs for each in pictures), 2),
    }


def decibel_cells(row: Mapping[str, Any]) -> list[str]:
    """What `decibels` found on the picture and on noise, for a table."""
    return ["–" if row[key] is None else f"{row[key]:.1f}" for key in ("picture_db", "noise_db")]


def _made(table: ExportTable, words: tuple[str, ...], data: Path | None) -> dict[str, Any]:
    """Export; what came out, or the error's text and the exit code. data: the folder with weights/vapsr."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "out"
        given = [str(data / "weights" / "vapsr" / word) if data and word.endswith(".pth") else word for word in words]
        command = [sys.executable, "-c", "from edgesr.cli.app import main; main()", "export", *given, "--target", table.target]
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*command, "-o", str(folder)], capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        row = {
            "exit": done.returncode,
            "seconds": round(time.perf_counter() - start, 1),
            "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        }
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it was ended from outside, most likely for its memory"]
            return {**row, "error": said[0]}
        return {**row, **table.figures(read_artifact(folder))}


def _rendered(table: ExportTable, record: dict[str, Any]) -> str:
    """The table, with the machine and the command."""
    header = ("model", "asked for", *table.header, "export s")
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    for words, row in record["rows"].items():
        model, _, asked = words.partition(" ")
        cells = [model, f"`{asked}`" if asked else "the defaults"]
        if row["exit"]:
            refused = f"refused with exit code {row['exit']}: {row['error'].removeprefix('Error: ')}"
            cells += [refused, *["–"] * (len(table.header) - 1)]
        else:
            cells += table.cells(row)
        lines.append(f"| {' | '.join([*cells, format(row['seconds'], '.0f')])} |")
    tools = ", ".join(f"{name} {version}" for name, version in record["tools"].items())
    return f"`{table.command}`, on {record['machine']}, {tools}.\n\n" + "\n".join(lines) + "\n"


def run(table: ExportTable, description: str) -> None:
    """Make what is not there yet, and write the page."""
    parser = argparse.ArgumentParser(prog=table.command, description=description)
    parser.add_argument("models", nargs="*", help="only rows of these; default: all")
    parser.add_argument("--size", help="only rows that ask for this one, as in 64x64")
    parser.add_argument(
        "--data", type=Path, help="folder with the trained weights, as for scripts/accuracy; default: without their rows"
    )
    parser.add_argument("--anew", action="store_true", help="make rows again that are there")
    parser.add_argument("--render", action="store_true", help="make nothing, write the table from the record")
    asked = parser.parse_args()
    path = DOCS / "records" / table.record
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": {}}
    rows = {" ".join(words): words for words in table.rows()}
    if not asked.render:
        here = environment()
        record["machine"] = f"{processor()}, {here.processors} processors, {here.system}"
        record["tools"] = {name: metadata.version(name) for name in table.packages}
        for name, words in rows.items():
            if (asked.models and words[0] not in asked.models) or (asked.size and asked.size not in words):
                continue
            if name in record["rows"] and not asked.anew:
                continue
            if "--weights" in words and not asked.data:
                continue
            print(name, file=sys.stderr, flush=True)
            record["rows"][name] = _made(table, words, asked.data)
            record["rows"] = {each: found for each in rows if (found := record["rows"].get(each))}
            path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = DOCS / table.page
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{_rendered(table, record)}{END}{rest.partition(END)[2]}", encoding="utf-8")
