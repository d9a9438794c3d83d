"""What an artifact for Qualcomm's NPU holds: QNN's operators, and what the compiler wrote into each chip's binary."""

from edgesr.artifact import Artifact
from edgesr.manifest import Compiled
from edgesr.runtime import Inspection, Report
from edgesr.runtimes._qnn.context_binary import read_context_binary
from edgesr.runtimes._qnn.provider import binary_beside, wrapper_in


def inspect(artifact: Artifact) -> Inspection:
    """Raises ArtifactError for a binary that this QNN cannot read."""
    compiled = artifact.manifest.compiled
    reports = tuple(_report(artifact, each) for each in compiled)
    return Inspection(operators=compiled[0].operators, reports=reports)


def _report(artifact: Artifact, compiled: Compiled) -> Report:
    path = binary_beside(wrapper_in(artifact.folder / compiled.form))
    found = read_context_binary(path)
    return Report(
        about=path.name,
        facts={
            "chip": f"{compiled.chip}, QNN's number {found.chip}, HTP {compiled.architecture}",
            "compiler": found.compiler,
            "nodes of the ONNX graph": f"{compiled.npu_nodes} on the NPU, {compiled.cpu_nodes} on the processor",
            "binary": path.stat().st_size,
            "constants in memory": found.constants,
            "instructions in memory": found.instructions,
            "the NPU's own memory (VTCM)": found.vtcm,
            "spilled from it into main memory at most": found.spill,
            "maps in main memory": found.maps,
            "input and output": found.ends,
        },
    )
