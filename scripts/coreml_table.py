"""The table of docs/coreml.md: every variant as a Core ML package, by precision, by kind of input, by sizes.

Each row is one `edgesr export` in a process of its own; its figures are those of the manifest and of the saved package.
What was made is kept in docs/records/coreml.json after every row, and rows that are there are not made again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from edgesr.artifact import read_artifact
from edgesr.environment import environment, processor
from edgesr.models import families
from edgesr.parity import PICTURE
from edgesr.runtimes import runtimes

DOCS = Path(__file__).parent.parent / "docs"
RECORD = DOCS / "records" / "coreml.json"
PAGE = DOCS / "coreml.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEADER = ("model", "asked for", "operations", "package MB", "dB on the picture", "dB on noise", "levels of 255", "export s")


def rows() -> list[tuple[str, ...]]:
    """The arguments of `edgesr export`, row by row."""
    variants = [name for family in families().values() for name in family.variants]
    size = {"esc-xl": ("--size", "96x96")}  # of whose windows of 48x48 the reference and the evaluation need minutes at 256x256
    found: list[tuple[str, ...]] = [
        (variant, *size.get(variant, ("--size", "128x128")), "--precision", precision, "--io", "tensor")
        for variant in variants
        for precision in ("fp32", "fp16", "w8")
    ]
    trained = (("vapsr", "VapSR_X4.pth"), ("vapsr-s", "VapSR-S.pth"))
    found += [
        (variant, "--weights", file, "--size", "128x128", "--precision", precision, "--io", "tensor")
        for variant, file in trained
        for precision in ("fp32", "fp16", "w8", "p8", "p6", "p4")
    ]
    found += [(variant, "--weights", file) for variant, file in trained]
    found += [(variant, *size.get(variant, ())) for variant in variants]
    found += [(variant, "--tables", "constant") for variant in ("esc", "esc-light", "esc-fp")]
    found += [("vapsr", "--size", "128x128,256x256"), ("vapsr", "--size", "64x64..512x512")]
    both = ("--size", "64x64,128x128", "--shapes", "functions", "--deployment", "ios18")
    found += [("esc", *both), ("srconvnet", *both)]
    small = {variant: size.get(variant, ("--size", "64x64")) for variant in variants}
    found += [(variant, "--scale", scale, *small[variant]) for scale in "23" for variant in variants]
    return found


def made(words: tuple[str, ...], data: Path | None) -> dict[str, Any]:
    """Export; what came out, or the error's text and the exit code. data: the folder with weights/vapsr."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "out"
        given = [str(data / "weights" / "vapsr" / word) if data and word.endswith(".pth") else word for word in words]
        command = [sys.executable, "-c", "from edgesr.cli.app import main; main()", "export", *given, "--target", "coreml"]
        start = time.perf_counter()
        done = subprocess.run([*command, "-o", str(folder)], capture_output=True, text=True, check=False)
        seconds = round(time.perf_counter() - start, 1)
        if done.returncode:
            return {"exit": done.returncode, "error": done.stderr.strip().splitlines()[0], "seconds": seconds}
        artifact = read_artifact(folder)
        inspect = runtimes()["mil-reference"].inspect
        assert inspect is not None
        differences = artifact.manifest.parity[-1].differences
        pictures = [each for each in differences if each.input.startswith(PICTURE)]
        noise = [each for each in differences if not each.input.startswith(PICTURE)]
        return {
            "exit": 0,
            "seconds": seconds,
            "operations": sum(inspect(artifact).operators.values()),
            "bytes": artifact.manifest.model_bytes,
            "picture_db": round(min(each.psnr_db for each in pictures), 1),
            "noise_db": round(min(each.psnr_db for each in noise), 1),
            "picture_levels": round(255 * max(each.max_abs for each in pictures), 2),
        }


def rendered(record: dict[str, Any]) -> str:
    """The table, with the machine and the command."""
    lines = [f"| {' | '.join(HEADER)} |", f"|{'---|' * len(HEADER)}"]
    for words, row in record["rows"].items():
        model, _, asked = words.partition(" ")
        cells = [model, f"`{asked}`" if asked else "the defaults"]
        if row["exit"]:
            cells += [f"refused with exit code {row['exit']}: {row['error'].removeprefix('Error: ')}", *["–"] * 4]
        else:
            cells += [str(row["operations"]), f"{row['bytes'] / 1e6:.2f}", f"{row['picture_db']:.1f}", f"{row['noise_db']:.1f}"]
            cells += [f"{row['picture_levels']:.2f}"]
        cells.append(f"{row['seconds']:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    tools = ", ".join(f"{name} {version}" for name, version in record["tools"].items())
    return f"`scripts/coreml`, on {record['machine']}, {tools}.\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Make what is not there yet, and write the page."""
    parser = argparse.ArgumentParser(prog="scripts/coreml", description=__doc__)
    parser.add_argument("models", nargs="*", help="only rows of these; default: all")
    parser.add_argument(
        "--data", type=Path, help="folder with the trained weights, as for scripts/accuracy; default: without their rows"
    )
    parser.add_argument("--anew", action="store_true", help="make rows again that are there")
    parser.add_argument("--render", action="store_true", help="make nothing, write the table from the record")
    asked = parser.parse_args()
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"rows": {}}
    if not asked.render:
        here = environment()
        record["machine"] = f"{processor()}, {here.processors} processors, {here.system}"
        record["tools"] = {name: metadata.version(name) for name in ("edgesr", "coremltools", "torch", "onnx")}
        for words in rows():
            if (asked.models and words[0] not in asked.models) or (" ".join(words) in record["rows"] and not asked.anew):
                continue
            if "--weights" in words and not asked.data:
                continue
            print(" ".join(words), file=sys.stderr, flush=True)
            record["rows"][" ".join(words)] = made(words, asked.data)
            record["rows"] = {" ".join(each): found for each in rows() if (found := record["rows"].get(" ".join(each)))}
            RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{rendered(record)}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
