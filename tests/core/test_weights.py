"""Official weights: what the families name, the cache, and finding what a user means by a name."""

import hashlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import edgesr.weights
from edgesr.download import Patience
from edgesr.errors import CheckpointError, DownloadError, UnknownNameError, UsageError
from edgesr.model import OfficialWeights
from edgesr.models import model_spec
from edgesr.weights import cache_folder, cached_path, fetch, find_weights, official_weights

KNOWN, UNKNOWN = b"the published file", b"a file whose hash nobody published"
QUICK = Patience(failures=2, pause=0.001, timeout=2.0)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """The address of a server that serves the two files of `published`."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "Known_X4.pth").write_bytes(KNOWN)
    (folder / "Unknown_X2.pth").write_bytes(UNKNOWN)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; the folder of weights in it."""
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files instead of what the families name: one with a known sha256, one without."""
    url = "https://example.invalid/file"
    both = (
        OfficialWeights(file="Known_X4.pth", variant="vapsr", scale=4, url=url, sha256=hashlib.sha256(KNOWN).hexdigest()),
        OfficialWeights(file="Unknown_X2.pth", variant="vapsr", scale=2, url=url),
    )
    monkeypatch.setattr(edgesr.weights, "official_weights", lambda: both)


def test_what_the_families_name_exists_and_is_told_apart_by_file_name() -> None:
    listed = official_weights()
    assert {"VapSR_X4.pth", "VapSR-S.pth"} <= {weights.file for weights in listed}
    assert len({weights.file for weights in listed}) == len(listed)
    for weights in listed:
        assert model_spec(weights.variant, scale=weights.scale)
        assert weights.url.startswith("https://")
        assert weights.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", weights.sha256)


def test_a_known_file_is_fetched_once_and_verified(mirror: str, published: None, cache: Path) -> None:
    assert cached_path("Known_X4.pth") is None
    first = fetch("Known_X4.pth", base_url=mirror, patience=QUICK)
    assert (first.path, first.verified, first.cached) == (cache / "Known_X4.pth", True, False)
    assert first.path.read_bytes() == KNOWN
    again = fetch("Known_X4.pth", base_url="http://127.0.0.1:9/", patience=QUICK)
    assert (again.sha256, again.verified, again.cached) == (first.sha256, True, True)
    assert cached_path("Known_X4.pth") == find_weights("Known_X4.pth") == first.path


def test_a_file_of_unknown_hash_is_recorded_and_says_that_it_is_not_verified(mirror: str, published: None, cache: Path) -> None:
    first = fetch("Unknown_X2.pth", base_url=mirror, patience=QUICK)
    sha256 = hashlib.sha256(UNKNOWN).hexdigest()
    assert (first.sha256, first.verified, first.cached) == (sha256, False, False)
    assert (cache / "Unknown_X2.pth.sha256").read_text(encoding="utf-8") == f"{sha256}  Unknown_X2.pth\n"
    again = fetch("Unknown_X2.pth", base_url="http://127.0.0.1:9/", patience=QUICK)
    assert (again.sha256, again.verified, again.cached) == (sha256, False, True)


@pytest.mark.parametrize("name", ["Known_X4.pth", "Unknown_X2.pth"])
def test_an_altered_cached_file_is_noticed_and_fetched_anew(name: str, mirror: str, published: None) -> None:
    path = fetch(name, base_url=mirror, patience=QUICK).path
    intact = path.read_bytes()
    path.write_bytes(b"altered")
    with pytest.raises(CheckpointError, match=f"Fetch it: edgesr weights fetch {name}"):
        find_weights(name)
    assert not fetch(name, base_url=mirror, patience=QUICK).cached
    assert find_weights(name).read_bytes() == intact


def test_the_wrong_file_from_a_mirror_does_not_reach_the_cache(tmp_path: Path, mirror: str, published: None, cache: Path) -> None:
    (tmp_path / "mirror" / "Known_X4.pth").write_bytes(b"another file")
    with pytest.raises(DownloadError, match="wrong file"):
        fetch("Known_X4.pth", base_url=mirror, patience=QUICK)
    assert list(cache.iterdir()) == []


def test_a_name_that_is_not_cached_says_how_to_fetch_it(published: None) -> None:
    with pytest.raises(UsageError) as caught:
        find_weights("Known_X4.pth")
    assert "edgesr weights fetch Known_X4.pth" in caught.value.hint


def test_unknown_names_and_missing_paths(published: None, tmp_path: Path) -> None:
    for use in (fetch, find_weights):
        with pytest.raises(UnknownNameError, match=r"did you mean 'Known_X4\.pth'"):
            use("known_x4.pth")
    with pytest.raises(UnknownNameError, match=r"The files of vapsr: Known_X4\.pth, Unknown_X2\.pth"):
        fetch("vapsr")
    with pytest.raises(CheckpointError, match="does not exist"):
        find_weights(tmp_path / "none.pth")


def test_an_existing_path_goes_before_an_official_name(published: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Known_X4.pth").write_bytes(b"mine")
    assert find_weights("Known_X4.pth").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("platform", "variables", "place"),
    [
        ("linux", {}, ".cache/edgesr"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/edgesr"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "Library/Caches/edgesr"),
        ("win32", {}, "AppData/Local/edgesr"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/edgesr"),
        ("linux", {"XDG_CACHE_HOME": "/xdg", "EDGESR_CACHE": "/chosen"}, "/chosen"),
    ],
)
def test_the_cache_is_where_the_system_wants_it(
    platform: str, variables: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("EDGESR_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("sys.platform", platform)
    assert cache_folder() == tmp_path / place
