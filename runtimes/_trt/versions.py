"""Which TensorRT is here. Majors 10 (Jetson, PC) and 11 (PC, server) are supported, and what edgesr calls is in both.

What differs, as far as it concerns us: 11 has strongly typed networks only (the flag STRONGLY_TYPED is accepted there and does
nothing), no FP16 or INT8 flags, no calibrators, and only the `_v2` names of what was renamed. The precision of our networks is in
their graphs, so that none of this needs a branch. Where a call must differ one day, it stands under `if version.is_11:` or in its
`else:`: mypy and tests/contracts/test_tensorrt_api.py know that word, and check each branch against its own version.
"""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from edgesr.backends import available
from edgesr.errors import BackendMissingError

OLDEST = (10, 13)
"""The oldest version whose interface was looked at."""
MAJORS = (10, 11)
_ON_JETSON = Path("/etc/nv_tegra_release")


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
    if not available("tensorrt"):
        raise BackendMissingError("TensorRT is not installed", hint=how_to_install())
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
            f"this is TensorRT {version.text}; edgesr takes {oldest} and later, up to {MAJORS[-1]}", hint=how_to_install()
        )
    return version


def how_to_install() -> str:
    """The next thing to type: pip's line, or on a Jetson, whose TensorRT comes with its image, how to let Python see that one."""
    if _ON_JETSON.exists():
        return (
            "A Jetson's TensorRT comes with JetPack (apt install tensorrt python3-libnvinfer), for the system's Python:\n"
            "python3 -m venv --system-site-packages ENV, then there: pip install pycuda edgesr"
        )
    return 'pip install "edgesr[tensorrt]"'
