"""An ONNX graph as a file, the same bytes each time."""

from pathlib import Path

from edgesr.export.target import Conversion


def write_onnx(asked: Conversion) -> Path:
    """Write the only graph as `<stem>.onnx`; returns its path."""
    path = asked.folder / f"{asked.stem}.onnx"
    path.write_bytes(asked.graph.SerializeToString(deterministic=True))
    return path
