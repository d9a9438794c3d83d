"""Which TensorRT is here. Majors 10 (Jetson, PC) and 11 (PC, server) are supported, and what edgesr calls is in both.

What differs, as far as it concerns us: 11 has strongly typed networks only (the flag STRONGLY_TYPED is accepted there and does
nothing), no FP16 or INT8 flags, no calibrators, and only the `_v2` names of what was renamed. The precision of our networks is in
their graphs, so that none of this needs a branch. Where a call must differ one day, it stands under `if version.is_11:` or in its
`else:`: mypy and tests/contracts/test_tensorrt_api.py know that word, and check each branch against its own version.
"""

from dataclasses import dataclass
from itertools import takewhile

from edgesr.backends import how_to_install, require
from edgesr.errors import BackendMissingError

OLDEST = (10, 13)
"""The oldest version whose interface was looked at."""
MAJORS = (10, 11)


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of TensorRT as it gives it, as in 10.13.3.9."""

    text: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """Its parts, up to the first that is no number."""
        return tuple(int(part) for part in takewhile(str.isdecimal, self.text.split(".")))

    @property
    def is_known(self) -> bool:
        """Whether edgesr can use it."""
        return self.numbers >= OLDEST and self.numbers[0] in MAJORS

    @property
    def is_11(self) -> bool:
        """Whether this is TensorRT 11; else it is 10."""
        return self.numbers[:1] == (11,)


def tensorrt_version() -> Version:
    """The version of the TensorRT that is installed; raises BackendMissingError where there is none that we can use."""
    require("tensorrt", extra="tensorrt", what="runtime tensorrt")
    try:
        import tensorrt as trt
    except (ImportError, OSError) as error:
        raise BackendMissingError(
            f"TensorRT is installed but cannot be loaded: {error}", hint="See `edgesr doctor`, and the driver: nvidia-smi."
        ) from error
    version = Version(text=trt.__version__)
    if not version.is_known:
        oldest = ".".join(map(str, OLDEST))
        raise BackendMissingError(
            f"this is TensorRT {version.text}; edgesr takes {oldest} and later, up to {MAJORS[-1]}",
            hint=how_to_install("tensorrt", "tensorrt"),
        )
    return version
