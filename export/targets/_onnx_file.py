"""An ONNX graph as a file, the same bytes each time."""

from pathlib import Path

import onnx


def write_onnx(graph: onnx.ModelProto, folder: Path, stem: str) -> Path:
    """Write `<stem>.onnx` into the folder; returns its path."""
    path = folder / f"{stem}.onnx"
    path.write_bytes(graph.SerializeToString(deterministic=True))
    return path
