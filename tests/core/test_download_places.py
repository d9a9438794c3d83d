"""Where a download may come from, and what it says of a place that it cannot write to."""

import errno
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgesr.download import download
from edgesr.errors import DownloadError

CONTENT = b"0123456789" * 100


class Server(ThreadingHTTPServer):
    """Serves CONTENT, or redirects a path that is in `redirects`; `ranges` are the Range headers seen."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.redirects: dict[str, str] = {}
        self.ranges: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/file.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int((asked or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        elsewhere = self.server.redirects.get(self.path)
        self.send_response(302 if elsewhere else 206 if start else 200)
        if elsewhere:
            self.send_header("Location", elsewhere)
        self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", "0" if elsewhere else str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(b"" if elsewhere else CONTENT[start:])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "url", ["http://example.com/a.pth", "ftp://127.0.0.1/a", "file:///etc/hostname", "http://127.0.0.1.example.com/a", "a.pth"]
)
def test_only_https_and_this_machine_are_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="is not an https address"):
        download(url, tmp_path / "cache" / "file.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_to_an_unsafe_address_is_not_followed(server: Server, tmp_path: Path) -> None:
    server.redirects["/file.pth"] = "http://example.com/file.pth"
    with pytest.raises(DownloadError, match=r"http://example\.com/file\.pth is not an https address"):
        download(server.url, tmp_path / "file.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_on_this_machine_is_followed_with_its_range(server: Server, tmp_path: Path) -> None:
    server.redirects["/file.pth"] = "/elsewhere"
    (tmp_path / "file.pth.part").write_bytes(CONTENT[:300])
    download(server.url, tmp_path / "file.pth")
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    assert server.ranges == ["bytes=300-", "bytes=300-"]


def test_a_full_disk_is_reported(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DownloadError, match=r"cannot write .*file\.pth: No space left on device") as caught:
        download(server.url, tmp_path / "file.pth")
    assert "Free some space" in caught.value.hint
    assert not (tmp_path / "file.pth").exists()


def test_a_place_that_cannot_be_written_is_reported(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="cannot write") as caught:
        download(server.url, tmp_path / "cache" / "file.pth")
    assert "EDGESR_CACHE" in caught.value.hint
    assert server.ranges == []
