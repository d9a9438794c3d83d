"""What is measured for a model at a size: the files of every candidate, made once and kept in a cache folder.

Only the naive exports and ncnn's conversion are kept from run to run, for they take minutes. The reference's output is made anew
every time and every candidate is compared with it, so a file that was kept too long fails parity and shows.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from bench_peers.goals import TORCHSCRIPT_ONLY
from edgesr.bench.child import CellError, step
from edgesr.tensors import Size

Say = Callable[[str], None]

PEERS = ("naive", "naive-simplified", "openvino", "openvino-simplified", "ncnn")
"""The candidates that a rewritten model is compared with; the fastest of them is the one to beat."""

TITLES = {
    "edgesr": "edgesr in ONNX Runtime",
    "naive": "naive ONNX in ONNX Runtime",
    "naive-simplified": "naive ONNX, onnxsim, in ONNX Runtime",
    "openvino": "naive ONNX in OpenVINO",
    "openvino-simplified": "naive ONNX, onnxsim, in OpenVINO",
    "openvino-edgesr": "edgesr's ONNX in OpenVINO",
    "ncnn": "ncnn",
    "pytorch": "PyTorch eager",
}
"""Candidate -> what it is, in the order of the tables."""

_LARGEST = 1_000_000_000  # bytes of a peer's file; ESC-XL's 52 MB become 2.1 GB through onnxsim


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to run the model.

    kind: edgesr, pytorch, or what `openers.py` names. path: what that kind loads. about: seconds, bytes, nodes, …
    """

    name: str
    kind: str
    path: str
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """All candidates at a size, those that could not be made with the reason, and where input and expected output lie."""

    size: Size
    image: Path
    expected: Path
    multiply_adds: int
    candidates: tuple[Candidate, ...]
    failed: dict[str, str]


class Preparation:
    """Makes candidates, and remembers what was made in `cache`; `limit` seconds for an export, `ncnn_limit` for ncnn's."""

    def __init__(self, cache: Path, *, limit: float, ncnn_limit: float, static: bool, standard: bool, say: Say) -> None:
        versions = [f"{name}-{_version(name)}" for name in ("torch", "onnx", "onnxsim", "pnnx")]
        self._kept = cache / "_".join(versions)
        self._fresh = cache / "artifacts"
        shutil.rmtree(self._fresh, ignore_errors=True)
        self._limit, self._ncnn_limit, self._static, self._say = limit, ncnn_limit, static, say
        self._makers = [self._artifact, *([self._standard] if standard else []), self._naive, self._simplified, self._ncnn]
        self._not_for_ncnn: set[tuple[str, int]] = set()

    def matmul(self) -> tuple[Candidate, Path]:
        """The product that stands for the machine's limit, and its input."""
        path = self._folder("machine") / "matmul.onnx"
        about = step("bench_peers.preparing:matmul", seconds=120, path=path)
        found = Candidate(name="matmul", kind="onnx", path=str(path), about=about)
        return found, path.with_suffix(".image.npy")

    def prepare(self, model: str, scale: int, size: Size) -> Prepared:
        """Every candidate for the model at the size. Raises CellError when the reference itself cannot run."""
        folder = self._folder(f"{model}-x{scale}-{size}")
        self._say(f"{model} {size}: reference")
        reference = step(
            "bench_peers.preparing:reference", seconds=self._limit, model=model, scale=scale, size=size, folder=folder
        )
        found: list[Candidate] = [Candidate(name="pytorch", kind="pytorch", path=f"{model}/{scale}")]
        failed: dict[str, str] = {}
        for maker in self._makers:
            try:
                found += maker(model, scale, size, folder)
            except CellError as error:
                failed[maker.__name__.removeprefix("_")] = str(error)
                self._say(f"{model} {size}: {maker.__name__.removeprefix('_')} failed: {error}")
        return Prepared(
            size=size,
            image=folder / "image.npy",
            expected=folder / "expected.npy",
            multiply_adds=reference["multiply_adds"],
            candidates=tuple(sorted(found, key=lambda one: list(TITLES).index(one.name))),
            failed=failed,
        )

    def _artifact(self, model: str, scale: int, size: Size, _folder: Path) -> list[Candidate]:
        """The artifact, for any size where that converts; the same file serves every size."""
        about = self._exported(model, scale, size, "ort")
        return [Candidate(name="edgesr", kind="edgesr", path=about["folder"], about=about)]

    def _standard(self, model: str, scale: int, size: Size, _folder: Path) -> list[Candidate]:
        """The artifact's graph of standard operators in OpenVINO: what the rewrites are worth elsewhere."""
        from edgesr.export.target import targets

        about = self._exported(model, scale, size, "onnx" if "onnx" in targets() else "ort")
        path = next(Path(about["folder"]).glob("*.onnx"))
        return [Candidate(name="openvino-edgesr", kind="openvino", path=str(path), about=about)]

    def _exported(self, model: str, scale: int, size: Size, target: str) -> dict[str, Any]:
        if not self._static:
            try:
                return self._export(model, scale, None, target)
            except CellError as error:
                about = self._export(model, scale, size, target)
                return {**about, "no_dynamic_file": str(error)}
        return self._export(model, scale, size, target)

    def _export(self, model: str, scale: int, size: Size | None, target: str) -> dict[str, Any]:
        """An export of this run, made once; a failure is remembered as well."""
        folder = self._fresh / f"{model}-x{scale}-{size or 'any'}-{target}"
        note = folder.with_suffix(".json")
        arguments = {"model": model, "scale": scale, "size": size, "target": target, "folder": folder}
        about = self._once(note, f"{model}: export for {target}", "artifact", self._limit, arguments)
        return {**about, "folder": str(folder)}

    def _naive(self, model: str, scale: int, size: Size, folder: Path) -> list[Candidate]:
        path = folder / "naive.onnx"
        arguments = {"model": model, "scale": scale, "size": size, "path": path}
        say = f"{model} {size}: naive export"
        if model not in TORCHSCRIPT_ONLY:
            try:
                note = folder / "naive-dynamo.json"
                about = self._once(note, say, "naive", self._limit, {**arguments, "torchscript": False})
                return self._both("naive", "openvino", path, {**about, "exporter": "torch.onnx.export(dynamo=True)"})
            except CellError as error:
                self._say(f"{say} failed: {error}; TorchScript instead")
        about = self._once(folder / "naive.json", say, "naive", self._limit, {**arguments, "torchscript": True})
        return self._both("naive", "openvino", path, {**about, "exporter": "torch.onnx.export(dynamo=False)"})

    def _simplified(self, model: str, _scale: int, size: Size, folder: Path) -> list[Candidate]:
        source, path = folder / "naive.onnx", folder / "simplified.onnx"
        if not source.exists():
            raise CellError("there is no naive export to simplify")
        say = f"{model} {size}: onnxsim"
        about = self._once(folder / "simplified.json", say, "simplified", self._limit, {"source": source, "path": path})
        if about["bytes"] > _LARGEST:
            raise CellError(f"left out: its constants folded, the file has {about['bytes'] / 1e9:.1f} GB, minutes to open")
        return self._both("naive-simplified", "openvino-simplified", path, about)

    def _both(self, ort: str, openvino: str, path: Path, about: dict[str, Any]) -> list[Candidate]:
        return [
            Candidate(name=ort, kind="onnx", path=str(path), about=about),
            Candidate(name=openvino, kind="openvino", path=str(path), about=about),
        ]

    def _ncnn(self, model: str, scale: int, size: Size, folder: Path) -> list[Candidate]:
        if (model, scale) in self._not_for_ncnn:
            raise CellError("not tried, for it failed at another size")
        arguments = {"model": model, "scale": scale, "size": size, "folder": folder}
        try:
            about = self._once(folder / "ncnn.json", f"{model} {size}: ncnn", "ncnn", self._ncnn_limit, arguments)
        except CellError:
            self._not_for_ncnn.add((model, scale))
            raise
        return [Candidate(name="ncnn", kind="ncnn", path=str(folder / "net.ncnn.param"), about=about)]

    def _folder(self, name: str) -> Path:
        folder = self._kept / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _once(self, note: Path, say: str, name: str, limit: float, arguments: dict[str, Any]) -> dict[str, Any]:
        """The step's answer, from `note` if it was taken before. A failure is noted too, for that limit or a shorter one."""
        about: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {"error": "", "limit": 0}
        if "error" in about and about["limit"] < limit:
            self._say(say)
            note.parent.mkdir(parents=True, exist_ok=True)
            try:
                about = step(f"bench_peers.preparing:{name}", seconds=limit, **arguments)
            except CellError as error:
                about = {"error": str(error), "limit": limit}
            note.write_text(json.dumps(about))
        if "error" in about:
            raise CellError(about["error"])
        return about


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
