"""A Swift package around a Core ML artifact."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgesr.errors import UsageError
from edgesr.kit.app_vectors import app_vectors, taken_whole
from edgesr.kit.apple_modules import APPLE_MODULES
from edgesr.kit.golden import golden
from edgesr.kit.model import AppModel, read_app_model
from edgesr.kit.package import filled_templates, staged_kit, write_file, write_test_data
from edgesr.kit.source import seams, weights_in_words
from edgesr.tensors import SizeRule
from edgesr.tiling import LARGEST_SIDE

_FUNCTIONS = """

The model has a function for each of several sizes. Choosing one (`MLModelConfiguration.functionName`) came with iOS 18 and macOS
15, whose SDKs are those of Xcode 16: an earlier Xcode does not compile this package. Each function is loaded as a model of its
own, so that the package runs the largest alone; `edgesr upscale` runs a picture of another function's size with that."""


@dataclass(frozen=True, kw_only=True)
class Kit:
    """A package that was written into `folder`."""

    folder: Path
    name: str
    model: AppModel


def write_ios_kit(folder: Path, *, output: Path | None = None, name: str | None = None) -> Kit:
    """Write a Swift package around the Core ML artifact in `folder`.

    output: where; None makes a folder in the current one, named after the package. name: the package's; None makes one of the
    model's. An earlier kit is replaced if none of its files was changed. Raises what `read_app_model` raises, UsageError for a
    name that is none in Swift or one of Apple's, and ArtifactError when the folder cannot be written.
    """
    model = read_app_model(folder)
    name = _name_of(model) if name is None else name
    _check_name(name)
    output = output or Path(name)
    picture = golden(model.artifact)
    with staged_kit(output, kind="ios", manifest=model.manifest) as stage:
        for place, text in _sources(model, name):
            write_file(stage / place, text.encode())
        for file in model.files:
            target = stage / "Sources" / name / "Resources" / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.artifact.folder / file.name, target)
        data = app_vectors(sizes=model.sizes, tiling=model.tiling, tile=model.tile)
        write_test_data(stage / "Tests" / f"{name}Tests" / "Resources", data, picture)
    return Kit(folder=output, name=name, model=model)


def _check_name(name: str) -> None:
    """Raise UsageError for a name that Swift does not take, or that something has which the package, or an app, imports."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
        raise UsageError(
            f"{name!r} is no name for a Swift package", hint="A capital letter, then letters and digits: --name MyUpscaler"
        )
    taken = {known.lower(): known for known in APPLE_MODULES}.get(name.lower())  # some file systems do not tell them apart
    if taken:
        raise UsageError(
            f"{name} cannot be the package's name: {taken} is one of Swift's own words or Apple's frameworks",
            hint=f"Name it otherwise: --name My{name}",
        )


def _sources(model: AppModel, name: str) -> Iterator[tuple[str, str]]:
    """Path in the package -> text, from the templates; of the two kinds of network the model's own."""
    own, other = ("Image", "Tensor") if model.takes_pictures else ("Tensor", "Image")
    for path, text in filled_templates("ios", _values(model, name)):
        if not path.endswith(f"/{other}Network.swift"):
            yield path.replace(f"/{own}Network.swift", "/Network.swift").replace("NAME", name), text


def _values(model: AppModel, name: str) -> dict[str, str]:
    """What takes the place of `@@…@@` in the templates."""
    manifest = model.manifest
    return {
        "NAME": name,
        "MODEL": f"{manifest.model}-x{manifest.scale}",
        "MODEL_NAME": model.name,
        "MODEL_HASH": manifest.model_sha256[:16],
        "FUNCTION": f'    configuration.functionName = "{model.function}"\n' if model.function else "",
        "FUNCTIONS": _FUNCTIONS if model.function else "",
        "XCODE": "16" if model.function else "15",
        "INPUT": manifest.input.name,
        "OUTPUT": manifest.output.name,
        "SCALE": str(manifest.scale),
        "SIZES": ",\n        ".join(_swift(each) for each in taken_whole(model.sizes)),
        "TILES": _swift(model.sizes.of_tiles),
        "TILE": str(model.tiling.tile),
        "OVERLAP": str(model.tiling.overlap),
        "RUN": _run_in_words(model),
        "IOS": f"{model.ios}.0",
        "MACOS": f"{model.macos}.0",
        "SEAMS": seams(manifest.reach, model.tiling.overlap),
        "TWELVE": str(12 * manifest.scale**2),
        "BUDGET": f"{manifest.budget.psnr_db:g}",
        "WEIGHTS": weights_in_words(manifest),
    }


def _swift(sizes: SizeRule) -> str:
    """`Sizes(…)` from the smallest to the largest."""
    low, high = sizes.minimum, sizes.maximum or sizes.minimum
    sides = {"leastHeight": low.height, "leastWidth": low.width, "mostHeight": high.height, "mostWidth": high.width}
    return f"Sizes({', '.join(f'{name}: {side}' for name, side in sides.items())})"


def _run_in_words(model: AppModel) -> str:
    """At which sizes the model is run, in sentences for the README."""
    sizes, tile = model.sizes, model.tile
    if sizes.fixed:
        more = f", though it\n  has a function for each of {model.manifest.sizes.description}" if model.function else ""
        return f"The model is run at {tile} pixels (height × width){more}. A picture of another size is cut into tiles of that."
    most = f", and of {LARGEST_SIDE**2} pixels at most," if sizes.is_range else ""
    whole = f"A picture of {sizes.description} pixels (height × width){most} is run whole."
    return f"{whole}\n  Any other is cut into tiles of {tile}{' at most' if sizes.is_range else ''}."


def _name_of(model: AppModel) -> str:
    """`vapsr-s` ×4 -> VapsrSX4."""
    words = re.split(r"[^A-Za-z0-9]+", f"{model.manifest.model}-x{model.manifest.scale}")
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name[:1].isalpha() else f"Model{name}"
