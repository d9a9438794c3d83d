"""The artifact that a kit is made of: which ones are taken, and what its manifest says in words."""

import re
import shlex
from pathlib import Path

from edgesr.artifact import MANIFEST, Artifact, read_artifact
from edgesr.errors import ArtifactError, UsageError
from edgesr.manifest import Manifest
from edgesr.model import Reach
from edgesr.tensors import Size, SizeRule
from edgesr.tiling import Tiling, choose_tiling

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""What can stand in source code and in file names as it is."""


def read_source(folder: Path, *, target: str, needs: str) -> Artifact:
    """Read an artifact for `target` and check its files. needs: who needs such a one, for the message.

    Raises ArtifactError for a folder that is none or whose files were changed, and UsageError for one of another target.
    """
    if not (folder / MANIFEST).is_file():
        inside = (folder.parent / MANIFEST).is_file()
        raise ArtifactError(
            f"{folder} is not an artifact: it has no {MANIFEST}",
            hint=f"Name the folder around it: {folder.parent}"
            if inside
            else f"Make one: edgesr export MODEL --target {target} -o DIR",
        )
    artifact = read_artifact(folder)
    manifest = artifact.manifest
    if manifest.target != target:
        raise UsageError(
            f"{folder} is an artifact for {manifest.target}, and {needs}",
            hint=f"Make one first: {export_command(manifest, target)}",
        )
    artifact.check_files()
    for text in (manifest.artifact, manifest.model, manifest.input.name, manifest.output.name):
        if not _PLAIN.fullmatch(text):
            raise ArtifactError(f"{folder} names {text!r}, which cannot stand in source code", hint="Do not trust this artifact.")
    return artifact


def export_command(manifest: Manifest, target: str) -> str:
    """The export of the same network for another target."""
    words = ["edgesr", "export", manifest.model, "--scale", str(manifest.scale), "--target", target]
    if manifest.weights != "untrained" and manifest.weights.get("kind") != "demo":
        words += ["--weights", manifest.weights.get("name", "FILE")]
    return shlex.join(words)


def tiling_beyond(largest: Size, reach: Reach) -> Tiling:
    """How edgesr itself cuts a picture that is larger than what the model takes at most."""
    larger = Size(height=largest.height + 1, width=largest.width + 1)
    tiling = choose_tiling(larger, SizeRule(minimum=largest, maximum=largest), reach=reach)
    assert tiling, "what is larger is cut"
    return tiling


def seams(reach: Reach, overlap: int) -> str:
    """What tiles do to the result."""
    if reach.kind == "global":
        return "The network looks at all that it is given: every tiling is an approximation."
    if reach.kind == "windowed":
        return "The network looks in windows: tiles come close to the whole picture, and are not the same."
    if reach.radius is not None and reach.radius > overlap:
        return f"The network sees {reach.radius} pixels far: tiles come close to the whole picture, and are not the same."
    return "The network sees no further than that, so that tiles leave no trace."


def weights_in_words(manifest: Manifest) -> str:
    """Where the weights come from."""
    if manifest.weights == "untrained":
        return "none, so that its pictures are noise"
    kind = manifest.weights.get("kind", "")
    return kind if re.fullmatch(r"[\w ,]+", kind) else "see the artifact's manifest"
