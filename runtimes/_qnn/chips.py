"""Qualcomm's chips whose NPU, the Hexagon Tensor Processor (HTP), computes in float16, as Qualcomm's compiler knows them.

Numbers are QNN's `soc_model`: of `Qnn_SocModel_t` in QNN's header QnnTypes.h, which ends at SM8850, and of the table "Supported
Snapdragon devices" in QNN's documentation (80-63442-10), as Qualcomm's own files in google-ai-edge/LiteRT (soc_table.h, "derived
from the QAIRT 2.47 documentation") and pytorch/executorch (qc_schema.py) repeat them. The compiler of QNN 2.51 takes each with a
float16 network, and writes its name and this architecture into the binary; SM8975 is from there alone. What it refuses, or
writes another architecture for, is in `UNFIT`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgesr.errors import UnknownNameError, UsageError


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One chip. number: QNN's `soc_model`. architecture: of its HTP, 75 for v75. names: what else it is called."""

    number: int
    architecture: int
    names: tuple[str, ...] = ()


CHIPS: Mapping[str, Chip] = {
    "sm8450": Chip(number=36, architecture=69, names=("8 Gen 1",)),
    "sm8550": Chip(number=43, architecture=73, names=("8 Gen 2",)),
    "sm8650": Chip(number=57, architecture=75, names=("8 Gen 3",)),
    "sm8750": Chip(number=69, architecture=79, names=("8 Elite",)),
    "sm8845": Chip(number=97, architecture=81, names=("8 Gen 5",)),
    "sm8850": Chip(number=87, architecture=81, names=("8 Elite Gen 5",)),
    "sm8975": Chip(number=103, architecture=85),
    "qcs8300": Chip(number=82, architecture=75, names=("qcs8275",)),
    "qcs8550": Chip(number=66, architecture=73),
    "qcs9100": Chip(number=77, architecture=73, names=("qcs9075",)),
    "sc8380xp": Chip(number=60, architecture=73, names=("X Elite",)),
    "sc8480xp": Chip(number=88, architecture=81, names=("X2 Elite",)),
}
DEFAULT = "sm8650"

_OLD = "its NPU (v68 or older) does not compute in float16"
_REFUSED = "Qualcomm's compiler refuses float16 networks for it"
UNFIT: Mapping[str, str] = {
    **dict.fromkeys(("sm8350", "888", "888+", "sm8250", "865", "870", "sm7325", "778G"), _OLD),
    **dict.fromkeys(
        ("sm8475", "8+ Gen 1", "42"), "it has an HTP of v69, and the compiler of QNN 2.51 writes v68 into its binaries"
    ),
    **dict.fromkeys(("sm8635", "8s Gen 3", "sm8735", "8s Gen 4", "sm7675", "7+ Gen 3"), _REFUSED),
}
"""What people may ask for and no network can be compiled for: name -> why."""


def chip_named(name: str) -> str:
    """A chip's name, the number that QNN gives it, or what shops call it, as in `sm8650`, `57`, `8 Gen 3` -> its name here.

    Raises UnknownNameError, which names the nearest, and UsageError for a chip that is known not to do.
    """
    asked = _plain(name)
    known = {_plain(each): chip for chip, facts in CHIPS.items() for each in (chip, str(facts.number), *facts.names)}
    if asked in known:
        return known[asked]
    listed = [f"{chip} ({', '.join(facts.names)})" if facts.names else chip for chip, facts in CHIPS.items()]
    hint = f"Known: {', '.join(listed)}."
    if why := {_plain(each): why for each, why in UNFIT.items()}.get(asked):
        raise UsageError(f"no network can be compiled for {name.strip()}: {why}", hint=hint)
    near = [] if asked.isdecimal() else known  # a number that is near is of another chip
    raise UnknownNameError("chip", asked or name, near, hint=hint)


def chips_named(text: str) -> str:
    """Several names with commas between -> the chips' own names, each once; raises UsageError or UnknownNameError."""
    names = [name for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("no chip was named", hint=f"As in --soc {DEFAULT}.")
    return ",".join(dict.fromkeys(chip_named(name) for name in names))


def _plain(name: str) -> str:
    """Without what people write in different ways."""
    return re.sub(r"snapdragon|[\s_()-]", "", name.lower())
