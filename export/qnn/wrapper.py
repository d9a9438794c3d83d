"""The ONNX file around a context binary, as it leaves: it names the binary by its file name alone, and says what it is."""

from collections.abc import Mapping
from pathlib import Path

import onnx

from edgesr.errors import ExportError

_NODE, _BINARY = "EPContext", "ep_cache_context"


def finish_wrapper(path: Path, facts: Mapping[str, str]) -> None:
    """Let the facts be the wrapper's metadata, not the graph's; raises ExportError where it does not lead to a binary beside it.

    An app finds the binary by the name in the wrapper, wherever the two lie, so that it must be no path.
    """
    model = onnx.load(path)
    nodes = [node for node in model.graph.node if node.op_type == _NODE]
    names = [attribute.s.decode(errors="replace") for node in nodes for attribute in node.attribute if attribute.name == _BINARY]
    if len(model.graph.node) != 1 or len(names) != 1:
        raise ExportError(f"{path.name} holds {len(nodes)} context binaries in {len(model.graph.node)} nodes, not one in one")
    if Path(names[0]).name != names[0] or not (path.parent / names[0]).is_file():
        raise ExportError(f"{path.name} names the binary {names[0]!r}, which does not lie beside it")
    onnx.helper.set_model_props(model, {f"edgesr.{key}": value for key, value in facts.items()})
    path.write_bytes(model.SerializeToString(deterministic=True))
