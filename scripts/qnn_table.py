"""The table of docs/qnn.md: every variant compiled for two chips, and what the emulator of their NPU makes of a photograph.

Its figures are those of the manifest and of the compiled binary; the record is docs/records/qnn.json. The compiler's seconds are
those of one processor, for a compilation of the artifact's graph by itself.
"""

import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

from export_tables import ExportTable, Rows, run

from edgesr.artifact import Artifact
from edgesr.export.qnn.compiling import compile_for
from edgesr.export.targets.qnn import LEVELS
from edgesr.models import families
from edgesr.parity import PICTURE
from edgesr.runtimes import runtimes

CHIPS = ("sm8650", "sm8750")
_LARGE = "esc-xl"
"""Whose windows of 48x48 are too much for the emulator at 64x64, which would be four."""
_NOT_AT_256 = (_LARGE, "rgt-s", "rgt")
"""What we have not seen the compiler finish at this size."""
_TRAINED = (("vapsr", "VapSR_X4.pth"), ("vapsr-s", "VapSR-S.pth"))


def rows() -> Rows:
    """The arguments of `edgesr export`, row by row: small sizes first, for the emulator is slow."""
    variants = {name: tuple(configs) for family in families().values() for name, configs in family.variants.items()}
    first, quick = ("--soc", CHIPS[0]), ("--optimization", "O1")
    found: Rows = [(name, "--size", "64x64", "--soc", chip) for name in variants if name != _LARGE for chip in CHIPS]
    found += [(_LARGE, "--size", "48x48", *quick, "--soc", chip) for chip in CHIPS]
    found += [(name, "--weights", file, "--size", "64x64", "--soc", chip) for name, file in _TRAINED for chip in CHIPS]
    found += [("esc-light", "--size", "64x64", "--tables", "compact", *first)]
    found += [(name, "--size", "64x64", *quick, *first) for name in ("esc", "rgt-s")]
    found += [(name, "--size", "52x40", *quick, *first) for name in ("esc-light", "srconvnet", "rgt-s")]  # continued at edges
    found += [(name, "--size", "256x256", *quick, *first) for name in variants if name not in _NOT_AT_256]
    found += [
        (name, "--scale", str(scale), "--size", "32x32", *quick, *first)
        for name, scales in variants.items()
        for scale in scales
        if scale != 4 and name != _LARGE
    ]
    return found


def figures(artifact: Artifact) -> dict[str, Any]:
    """Of the artifact, and of a compilation of its graph."""
    inspect = runtimes()["qnn"].inspect
    assert inspect is not None
    (compiled,) = artifact.manifest.compiled
    (report,) = inspect(artifact).reports
    edge = next(edge for edge in artifact.manifest.parity if edge.name.startswith("artifact"))
    (picture,) = [each for each in edge.differences if each.input.startswith(PICTURE)]
    return {
        "npu_nodes": compiled.npu_nodes,
        "cpu_nodes": compiled.cpu_nodes,
        "bytes": {name: fact for name, fact in report.facts.items() if isinstance(fact, int)},
        "compile_seconds": round(_compile_seconds(artifact), 1),
        "emulated": picture.input.split("x", 2)[2],
        "db": round(picture.psnr_db, 1),
    }


def cells(row: dict[str, Any]) -> list[str]:
    """In the order of the header."""
    sizes = [f"{row['bytes'][name] / 1e6:.1f}" for name in ("binary", "spilled from it into main memory at most")]
    nodes = f"{row['npu_nodes']} / {row['cpu_nodes']}"
    return [nodes, *sizes, f"{row['compile_seconds']:.0f}", f"{row['db']:.1f}", row["emulated"]]


def _compile_seconds(artifact: Artifact) -> float:
    (compiled,) = artifact.manifest.compiled
    (graph,) = artifact.folder.glob("*.onnx")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(shutil.copy(graph, folder))
        context = model.parent / "compiled" / "again.onnx"
        context.parent.mkdir()
        compile_for(compiled.chip, model, context, level=LEVELS[artifact.manifest.options["optimization"]])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    run(
        ExportTable(
            command="scripts/qnn",
            target="qnn",
            page="qnn.md",
            record="qnn.json",
            packages=("edgesr", "onnxruntime-qnn", "onnxruntime", "torch", "onnx"),
            rows=rows,
            header=("nodes NPU / CPU", "binary MB", "spill MB", "compiler s", "dB on the emulator", "at"),
            figures=figures,
            cells=cells,
        ),
        __doc__ or "",
    )
