"""Measure every checkpoint on the sets that papers use, through PyTorch and through ONNX Runtime; write docs/accuracy.md.

Usage: accuracy.py DATA
"""

import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgesr.environment import processor
from edgesr.evaluation import Evaluation, evaluate
from edgesr.export.pipeline import export
from edgesr.export.request import ExportRequest
from edgesr.reference import load_reference
from edgesr.runtimes import open_artifact
from edgesr.runtimes.pytorch import open_reference

DOCUMENT = Path(__file__).parent.parent / "docs" / "accuracy.md"

INTRODUCTION = """# Accuracy

Written by `scripts/accuracy DATA`. PSNR in dB and SSIM of the luma (BT.601) of 8-bit results, without a border of `scale` pixels,
on the small pictures that MATLAB's bicubic made. "Published" are the authors' own figures, where they give them; "demo" are the
weights that edgesr ships. The ONNX Runtime column is the exported artifact, run from its files.

One row by hand:

    edgesr eval --hr DATA/images/Set5/HR --lr DATA/images/Set5/LRbicx4 --weights DATA/weights/vapsr/VapSR_X4.pth

goes through PyTorch, and with `--artifact DIR` instead of `--weights` through the export.

| weights | model | set | PyTorch | ONNX Runtime | SSIM | bicubic | published |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A checkpoint (None: the demo weights), a set of pictures, and the authors' PSNR where it is known."""

    file: str | None
    model: str
    scale: int
    pictures: str
    published: float | None = None


CASES = (
    Case(file="VapSR_X4.pth", model="vapsr", scale=4, pictures="Set5", published=32.38),
    Case(file="VapSR_X4.pth", model="vapsr", scale=4, pictures="Set14", published=28.77),
    Case(file="VapSR_X3.pth", model="vapsr", scale=3, pictures="Set5"),
    Case(file="VapSR_X2.pth", model="vapsr", scale=2, pictures="Set5"),
    Case(file="VapSR-S.pth", model="vapsr-s", scale=4, pictures="Set5", published=32.14),
    Case(file="VapSR-S.pth", model="vapsr-s", scale=4, pictures="Set14", published=28.64),
    Case(file=None, model="vapsr-s", scale=4, pictures="Set5"),
    Case(file=None, model="vapsr-s", scale=4, pictures="Set14"),
)


def row(case: Case, data: Path) -> str:
    """Measure one case both ways; the table's row."""
    weights = str(data / "weights" / "vapsr" / case.file) if case.file else None
    hr, lr = data / "images" / case.pictures / "HR", data / "images" / case.pictures / f"LRbicx{case.scale}"
    reference = load_reference(model=case.model, scale=case.scale, weights=weights)
    eager = evaluate(open_reference(reference), hr_dir=hr, lr_dir=lr, reach=reference.spec.reach)
    with tempfile.TemporaryDirectory() as folder:
        request = ExportRequest(model=case.model, scale=case.scale, weights=weights, folder=Path(folder) / "artifact")
        artifact = export(request)
        exported = evaluate(open_artifact(artifact), hr_dir=hr, lr_dir=lr, reach=reference.spec.reach)
    return _row(case, eager, exported)


def _row(case: Case, eager: Evaluation, exported: Evaluation) -> str:
    cells = (
        case.file or "demo",
        f"{case.model} ×{case.scale}",
        case.pictures,
        f"{eager.network.psnr_db:.3f}",
        f"{exported.network.psnr_db:.3f}",
        f"{exported.network.ssim:.4f}",
        f"{exported.bicubic.psnr_db:.2f}",
        f"{case.published:.2f}" if case.published else "–",
    )
    return f"| {' | '.join(cells)} |"


def main(folder: str) -> None:
    """Measure all cases and write the document."""
    rows = []
    for case in CASES:
        rows.append(row(case, Path(folder)))
        print(rows[-1])
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "onnxruntime", "numpy", "pillow"))
    DOCUMENT.write_text(INTRODUCTION + "\n".join(rows) + f"\n\nWith {versions}, on {processor()}.\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
