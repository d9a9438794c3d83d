"""What `edgesr build` writes beside an engine."""

import hashlib
from pathlib import Path
from typing import Any

from edgesr.artifact import read_artifact
from edgesr.manifest import Profile
from edgesr.runtimes._trt.engines import EngineManifest


def manifest_of(path: Path, kit: Path, **changes: Any) -> dict[str, Any]:
    """NAME.json of the engine `path`, built from the kit's own ONNX file for the machine of the stand-ins, with changes."""
    manifest, shape = read_artifact(kit / "artifact").manifest, (1, 24, 32)
    built = EngineManifest(
        engine=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        bytes=path.stat().st_size,
        onnx_sha256=manifest.model_sha256,
        model=manifest.model,
        scale=manifest.scale,
        precision=manifest.precision,
        profile=Profile(minimum=shape, optimum=shape, maximum=shape),
        tensorrt="10.3.0.30",
        gpu="Orin",
        compute_capability="8.7",
        driver="12.6",
        scratch_bytes=0,
        origin="built",
        options={"workspace": "all", "tf32": "no"},
        date="2026-11-21T13:00:00+00:00",
    )
    return {**built.to_json(), **changes}
