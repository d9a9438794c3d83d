"""Core ML: an `.mlpackage` (ML Program) for iOS 15 to 18, from the same rewritten graph as every other target."""

from collections.abc import Mapping

from edgesr.errors import UsageError
from edgesr.export.target import Conversion, Form, Target
from edgesr.export.targets._npus import FOR_NPUS
from edgesr.parity import LEVEL, Budget
from edgesr.tensors import Precision, Size


def _lower(asked: Conversion) -> tuple[Form, ...]:
    from edgesr.export.mil.package import write_package

    return (Form(path=write_package(asked)),)


def _check(precision: Precision, options: Mapping[str, str]) -> None:
    if precision not in ("fp16", "fp32") and options["deployment"] == "ios15":
        raise UsageError(f"{precision} weights need iOS 16 or later", hint="Leave --deployment out, or take --precision fp16.")
    if options["shapes"] == "functions" and options["deployment"] != "ios18":
        raise UsageError(f"a function for each size needs iOS 18, not {options['deployment']}", hint="Add --deployment ios18.")


_ROUGH = Budget(relative_l2=0.2, psnr_db=40)
"""Of compressed weights: photographs decide; noise, which networks were not trained for, must only stay recognisable."""

TARGET = Target(
    title="Core ML",
    format="mlpackage",
    runtime="mil-reference",
    needs=FOR_NPUS,
    opsets=(20,),
    precisions=("fp16", "fp32", "w8", "p8", "p6", "p4"),
    rounds=True,
    budgets={
        "fp32": Budget(relative_l2=1e-4, psnr_db=100, shift=0.1 * LEVEL, beyond_level=0),
        "fp16": Budget(relative_l2=2e-2, psnr_db=50, shift=0.1 * LEVEL, beyond_level=1e-3),
        **dict.fromkeys(("w8", "p8", "p6", "p4"), _ROUGH),
    },
    default_size=Size(height=256, width=256),
    several_sizes=True,
    options={
        "io": ("image", "tensor"),
        "deployment": ("ios16", "ios15", "ios17", "ios18"),
        "shapes": ("enumerated", "functions"),
        "tables": ("compact", "constant"),
    },
    check=_check,
    lower=_lower,
    package="coremltools",
    extra="coreml",
)
