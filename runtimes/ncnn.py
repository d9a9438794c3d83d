"""ncnn on the processor, for comparison: the reference converted by pnnx, for one size, as a user of ncnn would.

It opens no artifact: pnnx reads what PyTorch traces, not our files. What it cannot convert, or does not finish, is an error.
"""

import contextlib
import importlib
import json
import os
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesr.artifact import Artifact
from edgesr.errors import ArtifactError, ExportError, UsageError
from edgesr.runtime import Bound, Options, Runtime, RuntimeSession
from edgesr.tensors import FloatArray, Size, SizeRule, size_of

if TYPE_CHECKING:
    from edgesr.reference import Reference

_PARAM, _BIN, _ABOUT = "net.ncnn.param", "net.ncnn.bin", "about.json"
_REDUCED = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed")
"""ncnn's switches of reduced precision, which are off here."""


class NcnnSession:
    """A converted network for one size and one picture at a time."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._ncnn = importlib.import_module("ncnn")
        self._net = self._ncnn.Net()
        off = [name for name in _REDUCED if hasattr(self._net.opt, name)]
        for name in off:
            setattr(self._net.opt, name, False)
        if options.threads:
            self._net.opt.num_threads = options.threads
        if self._net.load_param(str(folder / _PARAM)) or self._net.load_model(str(folder / _BIN)):
            raise ArtifactError(f"ncnn cannot load the converted network in {folder.name}", hint="Convert it again.")
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        only = Size(height=about["height"], width=about["width"])
        self.scale: int = about["scale"]
        self.sizes = SizeRule(minimum=only, maximum=only)
        self.settings = {"threads": str(self._net.opt.num_threads)} | dict.fromkeys(off, "False")

    def run(self, image: FloatArray) -> FloatArray:
        """Image (N,3,H,W) RGB in [0,1] -> (N,3,sH,sW), not clamped; raises SizeError for a size outside `sizes`."""
        self.sizes.check(size_of(image))
        return np.stack([np.array(self._extracted(one), dtype=np.float32) for one in image])

    def bind(self, image: FloatArray) -> Bound:
        """A run of the first image; see `RuntimeSession.bind`."""
        self.sizes.check(size_of(image))
        first = np.ascontiguousarray(image[0])

        return Bound(lambda: self._extracted(first), lambda output: np.array(output)[None])

    def _extracted(self, image: FloatArray) -> Any:
        extractor = self._net.create_extractor()
        extractor.input("in0", self._ncnn.Mat(image))
        failed, output = extractor.extract("out0")
        if failed:
            raise ArtifactError(f"ncnn cannot run the converted network (code {failed})")
        return output


def prepare(reference: "Reference", size: Size, folder: Path) -> None:
    """Trace the reference at `size` and let pnnx write what `open_prepared` opens; float32 weights.

    Raises ExportError when pnnx fails or leaves operators that ncnn does not have.
    """
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.zeros(1, 3, size.height, size.width)
        traced = torch.jit.trace(reference.unit_module(), x)  # type: ignore[no-untyped-call]  # torch does not annotate it
        traced.save(str(folder / "net.pt"))
    binary = Path(importlib.import_module("pnnx").__file__ or "").parent / ("pnnx.exe" if os.name == "nt" else "pnnx")
    command = [str(binary), "net.pt", f"inputshape=[1,3,{size.height},{size.width}]", "fp16=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / _PARAM).exists() or not (folder / _BIN).exists():
        raise ExportError(f"pnnx ended with code {done.returncode}")
    left = _operators_left(folder / _PARAM)
    if left:
        raise ExportError(f"pnnx has no ncnn layer for {', '.join(left)}")
    about = {"scale": reference.spec.scale, "height": size.height, "width": size.width}
    (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
    with contextlib.suppress(OSError):
        (folder / "net.pt").unlink()


def _operators_left(param: Path) -> list[str]:
    """What pnnx writes though it could not convert it: it stands under PyTorch's or pnnx's name, with a dot or colon in it."""
    kinds = {line.split()[0] for line in param.read_text(encoding="utf-8").splitlines()[2:] if line.strip()}
    return sorted(kind for kind in kinds if "." in kind or ":" in kind)


def open_prepared(folder: Path, options: Options) -> RuntimeSession:
    """What `prepare` wrote, as a session."""
    return NcnnSession(folder, options)


def _open(artifact: Artifact, _options: Options) -> RuntimeSession:
    raise UsageError(
        f"ncnn opens no artifact, {artifact.folder.name} neither: it is here for comparison only",
        hint=f"Compare with it: edgesr bench {artifact.manifest.model} --runtimes ort,ncnn",
    )


RUNTIME = Runtime(
    title="ncnn (CPU)",
    formats=frozenset(),
    package="ncnn",
    extra="peers",
    open=_open,
    peer=True,
    prepare=prepare,
    open_prepared=open_prepared,
)
