"""What Qualcomm's compiler gets: the rewritten graph with the changes that are for this compiler alone."""

from collections.abc import Mapping

import onnx

from edgesr.export.qnn.edges import with_edges_joined
from edgesr.export.qnn.gelus import with_gelus_apart
from edgesr.export.qnn.interface import with_interface
from edgesr.export.qnn.tables import MOST, with_tables_at_run_time, written_out


def prepared(graph: onnx.ModelProto, options: Mapping[str, str]) -> onnx.ModelProto:
    """A copy for the target's options `tables`, `io` and `layout`; the same function, but for the form of its ends."""
    changed = with_edges_joined(with_gelus_apart(graph))
    if options["tables"] == "compact" or (options["tables"] == "auto" and written_out(changed) > MOST):
        changed = with_tables_at_run_time(changed)
    return with_interface(changed, pictures=options["io"] == "image", colours_last=options["layout"] == "nhwc")
