"""How a cell's worker opens what it measures. A worker is given the name of one of these functions and its arguments."""

from pathlib import Path
from typing import Any

from edgesr.runtime import FloatPrecision, Options, RuntimeSession


def artifact(
    *, folder: str, runtime: str, threads: int | None, device: str, precision: FloatPrecision = "fp32"
) -> RuntimeSession:
    """An artifact's folder in a runtime. precision: where that is one of PyTorch's, which builds the reference anew."""
    from edgesr.artifact import read_artifact
    from edgesr.runtimes import open_artifact

    options = Options(threads=threads, device=device, precision=precision)
    return open_artifact(read_artifact(Path(folder)), runtime=runtime, options=options)


def reference(
    *,
    model: str,
    scale: int | None,
    weights: str | None,
    runtime: str,
    threads: int | None,
    device: str,
    precision: FloatPrecision = "fp32",
) -> RuntimeSession:
    """A model's reference in one of PyTorch's runtimes."""
    from edgesr.reference import load_reference
    from edgesr.runtimes import runtimes

    opened: Any = runtimes()[runtime].open_reference
    session: RuntimeSession = opened(
        load_reference(model=model, scale=scale, weights=weights),
        Options(threads=threads, device=device, precision=precision),
    )
    return session


def prepared(*, folder: str, runtime: str, threads: int | None, device: str) -> RuntimeSession:
    """What a runtime's own converter has written."""
    from edgesr.runtimes import runtimes

    opened: Any = runtimes()[runtime].open_prepared
    session: RuntimeSession = opened(Path(folder), Options(threads=threads, device=device))
    return session
