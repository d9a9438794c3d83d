"""The manifest: everything that `manifest.json` in an artifact's folder says.

It holds no date and no path, so that the same request gives the same bytes, and a digest of itself. That shows accidents, not
attacks: whoever alters a file on purpose can alter the digest too.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from edgesr.model import Reach
from edgesr.parity import Budget, Difference, Edge
from edgesr.tensors import Precision, Size, SizeRule

SCHEMA = 4


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An input or output: symbols in `shape` are strings; `range` is nominal, and outputs are not clamped to it.

    As an RGB picture of whole numbers (`uint8`) it is clamped.
    """

    name: str
    shape: tuple[int | str, ...]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    range: tuple[float, float] = (0.0, 1.0)

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture with 8 bits for each colour."""
        return self.dtype == "uint8"


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """A file of the artifact, by its path in the folder, with `/` between the parts."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class RewriteInfo:
    """A rewrite that was applied, and in how many places."""

    name: str
    matches: int


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Shapes (N,H,W) of the input that an engine is built for: the smallest, the one that it is made fast for, the largest.

    All three are equal where the file takes one shape.
    """

    minimum: tuple[int, int, int]
    optimum: tuple[int, int, int]
    maximum: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What a vendor's compiler made of the network for one chip.

    form: the name of the folder with it. chip: as `--soc` names it. architecture: of its accelerator, such as v75. compiler: its
    name and version. npu_nodes, cpu_nodes: how many nodes of the ONNX graph, once the compiler's front end has simplified it, run
    on the accelerator and on the processor. operators: how often each of the compiler's own operators is in what it was given.
    """

    form: str
    chip: str
    architecture: str
    compiler: str
    npu_nodes: int
    cpu_nodes: int
    operators: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that `manifest.json` says.

    artifact: the model's file name, or that of the folder which is the model. format: what kind of file it is, as runtimes name
    it. model: the variant. precision: of weights and arithmetic, with the operator types in `islands` in float32. options: what
    the target was asked for besides. budget: what parity was asked for.
    weights: "untrained", or the checkpoint's kind (official, file, demo), name and sha256. sizes: the inputs it takes. reach: how
    far an output pixel sees, which tiling needs. profiles: for engines that are built from the file, one for each size or range;
    empty where nothing is built. compiled: one for each chip that the network was compiled for, the artifact's own first; empty
    where the file is for any.
    """

    artifact: str
    format: str
    model: str
    scale: int
    target: str
    precision: Precision
    options: dict[str, str]
    islands: tuple[str, ...]
    budget: Budget
    weights: dict[str, str] | Literal["untrained"]
    sizes: SizeRule
    reach: Reach
    input: TensorInfo
    output: TensorInfo
    rewrites: tuple[RewriteInfo, ...]
    parity: tuple[Edge, ...]
    files: tuple[FileInfo, ...]
    tools: dict[str, str]
    profiles: tuple[Profile, ...] = ()
    compiled: tuple[Compiled, ...] = ()

    @property
    def model_files(self) -> tuple[FileInfo, ...]:
        """The model file, or all files of the folder which is the model."""
        return tuple(file for file in self.files if file.name.partition("/")[0] == self.artifact)

    @property
    def model_bytes(self) -> int:
        """Their bytes."""
        return sum(file.bytes for file in self.model_files)

    @property
    def model_sha256(self) -> str:
        """The model file's SHA-256; that of the names and hashes of its files where it is a folder."""
        if [file.name for file in self.model_files] == [self.artifact]:
            return self.model_files[0].sha256
        return hashlib.sha256("".join(f"{file.name} {file.sha256}\n" for file in self.model_files).encode()).hexdigest()

    @property
    def identity(self) -> str:
        """SHA-256 of the manifest without what is known only once the model file is there: its name, parity, files
        and what they were compiled for.

        A model file can name it in its own metadata.
        """
        return digest(replace(self, artifact="", parity=(), files=(), compiled=()).to_json())

    def to_json(self) -> dict[str, Any]:
        """The manifest as `manifest.json` holds it; every edge also carries its extremes, and what is empty for most targets is
        left out: profiles and compiled.
        """
        data = asdict(self)
        for name in ("profiles", "compiled"):
            if not data[name]:
                del data[name]
        data["parity"] = [
            {"edge": edge.name, **edge.extremes, "inputs": [asdict(d) for d in edge.differences]} for edge in self.parity
        ]
        data = {"schema": SCHEMA, **data}
        return {**data, "digest": digest(data)}


def digest(data: dict[str, Any]) -> str:
    """SHA-256 of a manifest without its `digest`, whatever its layout and the order of its keys."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def manifest_from_json(data: dict[str, Any]) -> Manifest:
    """What `Manifest.to_json` wrote; raises KeyError, TypeError, ValueError or AttributeError for anything else."""
    fields = {key: value for key, value in data.items() if key not in ("schema", "digest")}
    low, high, choices = (fields["sizes"][key] for key in ("minimum", "maximum", "choices"))
    tensors = {key: _tensor_from_json(fields[key]) for key in ("input", "output")}
    parity = tuple(
        Edge(name=edge["edge"], differences=tuple(Difference(**item) for item in edge["inputs"])) for edge in fields["parity"]
    )
    return Manifest(
        **{
            **fields,
            **tensors,
            "reach": Reach(**fields["reach"]),
            "islands": tuple(fields["islands"]),
            "budget": Budget(**fields["budget"]),
            "sizes": SizeRule(
                minimum=Size(**low), maximum=Size(**high) if high else None, choices=tuple(Size(**each) for each in choices)
            ),
            "parity": parity,
            "rewrites": tuple(RewriteInfo(**item) for item in fields["rewrites"]),
            "files": tuple(FileInfo(**item) for item in fields["files"]),
            "profiles": tuple(_profile_from_json(item) for item in fields.get("profiles", ())),
            "compiled": tuple(Compiled(**item) for item in fields.get("compiled", ())),
        }
    )


def _tensor_from_json(data: dict[str, Any]) -> TensorInfo:
    low, high = data["range"]
    return TensorInfo(**{**data, "shape": tuple(data["shape"]), "range": (low, high)})


def _profile_from_json(data: dict[str, Any]) -> Profile:
    shapes = {}
    for name, shape in data.items():
        number, height, width = (int(side) for side in shape)
        shapes[name] = (number, height, width)
    profile = Profile(**shapes)
    if not all(
        0 < low <= best <= high for low, best, high in zip(profile.minimum, profile.optimum, profile.maximum, strict=True)
    ):
        raise ValueError(f"the profile {data} is not in order")
    return profile
