"""The weights that authors publish: which there are, fetching them into the user's cache, and finding them there."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesr.download import Patience, download
from edgesr.errors import CheckpointError, UnknownNameError, UsageError
from edgesr.files import sha256_of
from edgesr.model import OfficialWeights
from edgesr.models import families
from edgesr.progress import Progress, silent


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """Official weights in the cache.

    verified: the file has the sha256 that is known for it; False where none is known and only `sha256` can be recorded.
    cached: it was there already and nothing was downloaded.
    """

    name: str
    path: Path
    sha256: str
    verified: bool
    cached: bool


def official_weights() -> tuple[OfficialWeights, ...]:
    """All that the families name, in the families' order; `cached_path(file)` tells which of them are here."""
    return tuple(weights for family in families().values() for weights in family.weights)


def cache_folder() -> Path:
    """Where this user's system wants caches, or EDGESR_CACHE; it need not exist."""
    if chosen := os.environ.get("EDGESR_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edgesr"


def cached_path(name: str) -> Path | None:
    """The cached file of official weights, unchecked; None when it is not there."""
    path = _place(name)
    return path if path.is_file() else None


def fetch(name: str, *, progress: Progress = silent, base_url: str | None = None, patience: Patience | None = None) -> Fetched:
    """Bring the official weights `name` (a file name, as in `VapSR_X4.pth`) into the cache, unless they are there and intact.

    base_url: a mirror to take the file from, as https://host/folder. Raises UnknownNameError or DownloadError.
    """
    weights = _by_file(name)
    path = _place(name)
    known = weights.sha256 or _recorded(path)
    if known and path.is_file() and sha256_of(path) == known:
        return Fetched(name=name, path=path, sha256=known, verified=weights.sha256 is not None, cached=True)
    url = f"{base_url.rstrip('/')}/{name}" if base_url else weights.url
    got = download(url, path, sha256=weights.sha256, progress=progress, patience=patience)
    if weights.sha256 is None:
        _record(path).write_text(f"{got}  {name}\n", encoding="utf-8")
    return Fetched(name=name, path=path, sha256=got, verified=weights.sha256 is not None, cached=False)


def find_weights(name_or_path: str | Path) -> Path:
    """The file that a user means: an existing path, or the file name of official weights in the cache.

    Raises UnknownNameError (neither), UsageError (official, but not fetched yet) or CheckpointError (cached, but altered).
    """
    path = Path(name_or_path)
    if path.exists():
        return path
    if path.parent != Path():
        raise CheckpointError(f"{path} does not exist", hint="Give a file, or the name of official weights: edgesr weights list")
    weights = _by_file(path.name)
    cached = cached_path(weights.file)
    again = f"edgesr weights fetch {weights.file}"
    if cached is None:
        raise UsageError(f"the official weights {weights.file} are not in the cache yet", hint=f"Fetch them: {again}")
    known = weights.sha256 or _recorded(cached)
    if known and sha256_of(cached) != known:
        raise CheckpointError(
            f"{cached} is not the file that was published: its sha256 differs from {known}", hint=f"Fetch it: {again}"
        )
    return cached


def _by_file(name: str) -> OfficialWeights:
    known: Mapping[str, OfficialWeights] = {weights.file: weights for weights in official_weights()}
    if name not in known:
        files = ", ".join(file for file, weights in known.items() if weights.variant == name)
        hint = f"The files of {name}: {files}" if files else "See all of them: edgesr weights list"
        raise UnknownNameError("file or official weights", name, known, hint=hint)
    return known[name]


def _place(name: str) -> Path:
    return cache_folder() / "weights" / name


def _record(path: Path) -> Path:
    """Beside weights whose sha256 nobody published: what was computed when they arrived, as sha256sum writes it."""
    return path.with_name(path.name + ".sha256")


def _recorded(path: Path) -> str | None:
    record = _record(path)
    return record.read_text(encoding="utf-8").split()[0] if record.is_file() else None
