"""Qualcomm's NPU: for each chip a context binary with the ONNX wrapper that onnxruntime on the phone loads, and the plain ONNX.

Qualcomm's compiler and an emulator of the NPU come with the package onnxruntime-qnn for x86: what was compiled is run there and
compared with the reference before it is accepted. One size for a file. The NPU computes in float16.
"""

from dataclasses import replace
from pathlib import Path

from edgesr.errors import ExportError
from edgesr.export.target import Conversion, Form, Target
from edgesr.export.targets._npus import FOR_NPUS
from edgesr.export.targets._onnx_file import write_onnx
from edgesr.manifest import Compiled
from edgesr.parity import LEVEL, Budget
from edgesr.runtimes._qnn.chips import CHIPS, DEFAULT, chips_named
from edgesr.tensors import Size

LEVELS = {"O3": 3, "O2": 2, "O1": 1}
"""How hard the compiler works for a fast graph: its own names for it -> the numbers that ONNX Runtime's provider takes."""


def _lower(asked: Conversion) -> tuple[Form, ...]:
    """A folder `<stem>.<chip>` for each chip, and `<stem>.onnx` beside them."""
    import onnx

    from edgesr.export.qnn.prepared import prepared

    ((sizes, graph),) = asked.graphs.items()
    plain = prepared(graph, asked.options)
    facts = {entry.key: entry.value for entry in plain.metadata_props}
    onnx.helper.set_model_props(plain, facts | {"edgesr.precision": "fp32"})
    model = write_onnx(replace(asked, graphs={sizes: plain}))
    chips = asked.options["soc"].split(",")
    forms = []
    for done, chip in enumerate(chips):
        asked.progress(f"compiling for {chip} at {asked.options['optimization']}", done, len(chips))
        forms.append(_compiled(chip, model, asked))
    return tuple(forms)


def _compiled(chip: str, model: Path, asked: Conversion) -> Form:
    from edgesr.export.qnn.compiling import compile_for
    from edgesr.export.qnn.wrapper import finish_wrapper
    from edgesr.runtimes._qnn.provider import qnn_version, wrapper_in

    folder = model.with_suffix(f".{chip}")
    folder.mkdir()
    wrapper = wrapper_in(folder)
    placed = compile_for(chip, model, wrapper, level=LEVELS[asked.options["optimization"]])
    if placed.cpu:
        raise ExportError(f"{placed.cpu} of {placed.cpu + placed.npu} nodes would run on the processor of {chip}")
    compiled = Compiled(
        form=folder.name,
        chip=chip,
        architecture=f"v{CHIPS[chip].architecture}",
        compiler=f"QNN {qnn_version()}",
        npu_nodes=placed.npu,
        cpu_nodes=placed.cpu,
        operators=dict(placed.operators),
    )
    finish_wrapper(wrapper, {**asked.facts, "chip": chip, "compiler": compiled.compiler})
    return Form(path=folder, compiled=compiled)


TARGET = Target(
    title="Qualcomm NPU",
    format="qnn",
    runtime="qnn",
    needs=FOR_NPUS,
    opsets=(20,),
    precisions=("fp16",),
    rounds=True,
    budgets={"fp16": Budget(relative_l2=2e-2, psnr_db=45, shift=0.2 * LEVEL)},
    default_size=Size(height=256, width=256),
    options={
        "soc": (DEFAULT,),
        "io": ("tensor", "image"),
        "layout": ("nchw", "nhwc"),
        "tables": ("auto", "constant", "compact"),
        "optimization": tuple(LEVELS),
        "verify": ("quick", "full"),
    },
    parsed={"soc": chips_named},
    proof=Size(height=64, width=64),
    lower=_lower,
    package="onnxruntime_qnn",
    extra="qnn",
)
