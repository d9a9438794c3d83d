"""What an app has to know of a Core ML artifact."""

import re
from dataclasses import dataclass
from pathlib import Path

from edgesr.artifact import Artifact, FileInfo, Manifest, function_name
from edgesr.errors import ArtifactError, UsageError
from edgesr.kit.source import export_command, read_source, tiling_beyond
from edgesr.tensors import Size, SizeRule

TARGET, FORMAT = "coreml", "mlpackage"

_USUAL_SIDE = 256
"""Of tiles where the model takes a range of sizes."""

_MACOS_OF_IOS = {15: 12, 16: 13, 17: 14, 18: 15}
"""The version of macOS with the same Core ML."""


@dataclass(frozen=True, kw_only=True)
class AppModel:
    """A Core ML artifact as an app runs it.

    files: those of the model. tile: the one size that it is run at, margins included; overlap: the margin on each side, in input
    pixels. function: of a model that has one for each of several sizes, the tile's. takes_pictures: whether input and output are
    pictures of 8 bits, and not (1,3,H,W) tensors. ios, macos: the oldest versions that it runs on.
    """

    artifact: Artifact
    files: tuple[FileInfo, ...]
    tile: Size
    overlap: int
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
    def tile_rule(self) -> SizeRule:
        """The tile's size as the only one."""
        return SizeRule(minimum=self.tile, maximum=self.tile)


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
    tile = _tile(manifest.sizes)
    ios = _deployment(manifest)
    return AppModel(
        artifact=artifact,
        files=files,
        tile=tile,
        overlap=tiling_beyond(tile, manifest.reach).overlap,
        function=function_name(tile) if manifest.options.get("shapes") == "functions" and manifest.sizes.choices else None,
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


def _tile(sizes: SizeRule) -> Size:
    """The fixed size, the largest of several, or of a range the usual one or what is nearest to it."""
    tiles = sizes.of_tiles
    if tiles.fixed:
        return tiles.fixed
    low, high = tiles.minimum, tiles.maximum
    return Size(
        height=max(low.height, min(_USUAL_SIDE, high.height if high else _USUAL_SIDE)),
        width=max(low.width, min(_USUAL_SIDE, high.width if high else _USUAL_SIDE)),
    )
