"""How many bytes the operators of an ONNX file read and write in one run in ONNX Runtime."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np


def traffic(*, path: str, image: str, threads: int) -> dict[str, Any]:
    """Bytes of the inputs, weights and outputs of every operator that runs, those in bodies of Scans once for each turn.

    It is what memory would have to carry if nothing stayed in a cache between two operators. Operators are those that are left
    when ONNX Runtime has fused what it fuses.
    """
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.disable_prepacking", "1")  # else weights that are packed are not counted
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "run")
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        session.run(None, {session.get_inputs()[0].name: np.load(image)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    counted = ("activation_size", "parameter_size", "output_size")
    bodies = ("Scan", "Loop", "If")
    runs = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    return {"traffic": sum(int(run[key]) for run in runs if run["op_name"] not in bodies for key in counted)}
