"""The compiler's side: python -m edgesr.export.qnn.child ASKED, in a process that may abort, hang or run out of memory.

asked: a JSON object, the arguments of `compile_context`. What ONNX Runtime and Qualcomm's libraries say goes to standard error.
"""

import json
import sys

from edgesr.runtimes._qnn.provider import for_chip, open_session


def compile_context(*, chip: str, model: str, context: str, trace: str, level: int) -> None:
    """Write the wrapper `context`, beside it the context binary that it names, and into the folder `trace` what was placed where,
    and the graph in QNN's operators.

    model, context: files, from the current folder: the binary holds a number that follows from the model's path. level: from 1,
    the fastest compilation, to 3, which takes longest for the fastest graph.
    """
    entries = {"ep.context_enable": "1", "ep.context_embed_mode": "0", "ep.context_file_path": context}
    told = {
        "enable_framework_op_trace": "1",
        "framework_op_trace_dir": trace,
        "dump_json_qnn_graph": "1",
        "json_qnn_graph_dir": trace,
    }
    options = {**for_chip(chip), **told, "htp_graph_finalization_optimization_mode": str(level)}
    open_session(model, options, entries, severity=2)


if __name__ == "__main__":
    compile_context(**json.loads(sys.argv[1]))
