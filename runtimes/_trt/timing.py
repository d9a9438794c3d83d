"""The timing cache: what TensorRT has measured of kernels on this GPU, so that the next build of anything alike takes seconds."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgesr.errors import ArtifactError
from edgesr.files import write_whole
from edgesr.runtimes._trt.engines import Here
from edgesr.runtimes._trt.messages import Messages

if TYPE_CHECKING:
    import tensorrt as trt


def cache_path(folder: Path, here: Here) -> Path:
    """The cache's place in a folder of engines: one for each TensorRT and GPU, for times of others are of no use."""
    return folder / f"timing-{here.slug}.cache"


def use_cache(config: "trt.IBuilderConfig", path: Path, messages: Messages) -> str:
    """Give the build the cache of the file, or an empty one; what was wrong with the file, "" when nothing was.

    A cache that is cut off, or of another TensorRT or GPU, costs only time, so that it is no error.
    """
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        kept = b""
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}", hint="Name another: --timing-cache FILE") from error
    reason = ""
    if kept:
        cache = config.create_timing_cache(kept)
        if cache and config.set_timing_cache(cache, False):
            return ""
        reason = next(iter(messages.errors), "TensorRT does not take it")
        messages.forget()
    elif path.exists():
        reason = "it is empty"
    config.set_timing_cache(config.create_timing_cache(b""), False)
    return f"the timing cache {path} was of no use and is made anew: {reason}" if reason else ""


def keep_cache(path: Path, data: bytes) -> str:
    """Write what the build has measured, and what was known before; what went wrong, "" when nothing did.

    It is no error: the engine is there, and a cache that is not costs only time.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        return (
            f"cannot write the timing cache {path}: {error.strerror or error}; the next build measures again. "
            "Another place: --timing-cache FILE"
        )
    return ""
