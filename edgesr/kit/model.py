"""What an app has to know of a Core ML artifact."""

import re
from dataclasses import dataclass
from pathlib import Path

from edgesr.artifact import Artifact, function_name
from edgesr.errors import ArtifactError, UsageError
from edgesr.kit.source import export_command, read_source, tiling_beyond
from edgesr.manifest import FileInfo, Manifest
from edgesr.tensors import Size, SizeRule
from edgesr.tiling import Tiling

TARGET, FORMAT = "coreml", "mlpackage"

_MACOS_OF_IOS = {15: 12, 16: 13, 17: 14, 18: 15}
"""The version of macOS with the same Core ML."""


@dataclass(frozen=True, kw_only=True)
class AppModel:
    """A Core ML artifact as an app runs it.

    files: those of the model. sizes: those that the app runs it at; of a model with a function for each of several sizes only the
    largest, for each function is loaded as a model of its own. tiling: how pictures of other sizes are cut, as `edgesr upscale`
    cuts them. function: the name of the largest size's. takes_pictures: whether input and output are pictures of 8 bits, and not
    (1,3,H,W) tensors. ios, macos: the oldest versions that it runs on.
    """

    artifact: Artifact
    files: tuple[FileInfo, ...]
    sizes: SizeRule
    tiling: Tiling
    function: str | None
    takes_pictures: bool
    ios: int
    macos: int

    @property
    def manifest(self) -> Manifest:
        """The artifact's."""
        return self.artifact.manifest

    @property
    def name(self) -> str:
        """The package's name without its suffix."""
        return self.manifest.artifact.removesuffix(f".{FORMAT}")

    @property
    def tile(self) -> Size:
        """What tiles have at most, margins included."""
        side, rule = self.tiling.tile + 2 * self.tiling.overlap, self.sizes.of_tiles
        low, high = rule.minimum, _largest(rule)
        return Size(height=min(max(side, low.height), high.height), width=min(max(side, low.width), high.width))


def read_app_model(folder: Path) -> AppModel:
    """Read a Core ML artifact and check its files.

    Raises ArtifactError for a folder that is none or whose files were changed, and UsageError for an artifact of another target
    or one that apps cannot be given as it is.
    """
    artifact = read_source(folder, target=TARGET, needs="an iOS app needs one for Core ML")
    manifest = artifact.manifest
    files = tuple(file for file in manifest.files if file.name.startswith(f"{manifest.artifact}/"))
    if not files or not manifest.artifact.endswith(f".{FORMAT}"):
        raise ArtifactError(
            f"{folder} lists no file of {manifest.artifact}", hint=f"Export it again: {export_command(manifest, TARGET)}"
        )
    if manifest.sizes.maximum is None:
        raise ArtifactError(
            f"{folder} names no largest size, and a Core ML package has one",
            hint=f"Export it again: {export_command(manifest, TARGET)}",
        )
    ios = _deployment(manifest)
    functions = manifest.options.get("shapes") == "functions" and bool(manifest.sizes.choices)
    tiles = manifest.sizes.of_tiles
    return AppModel(
        artifact=artifact,
        files=files,
        sizes=tiles if functions else manifest.sizes,
        tiling=tiling_beyond(_largest(tiles), manifest.reach),
        function=function_name(_largest(tiles)) if functions else None,
        takes_pictures=_takes_pictures(manifest),
        ios=ios,
        macos=_MACOS_OF_IOS[ios],
    )


def _takes_pictures(manifest: Manifest) -> bool:
    """Whether both ends are pictures; raises UsageError unless both are, or both are float32."""
    ends = (manifest.input, manifest.output)
    if all(end.dtype == "uint8" for end in ends):
        return True
    if all(end.dtype == "float32" for end in ends):
        return False
    raise UsageError(
        f"the model takes {manifest.input.dtype} and gives {manifest.output.dtype}; apps are given pictures or float32",
        hint=f"Export it again, without --half-io: {export_command(manifest, TARGET)}",
    )


def _deployment(manifest: Manifest) -> int:
    """The oldest iOS, as in 16; raises ArtifactError for one that is not known."""
    text = manifest.options.get("deployment", "")
    version = int(text.removeprefix("ios")) if re.fullmatch(r"ios\d{2}", text) else 0
    if version not in _MACOS_OF_IOS:
        raise ArtifactError(
            f"the manifest's deployment target is {text!r}, not one of {', '.join(f'ios{known}' for known in _MACOS_OF_IOS)}",
            hint=f"Export it again: {export_command(manifest, TARGET)}",
        )
    return version


def _largest(sizes: SizeRule) -> Size:
    """The end of sizes that have one."""
    assert sizes.maximum, "read_app_model refuses others"
    return sizes.maximum
