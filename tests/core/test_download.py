"""Downloads against a server of our own that misbehaves in every way that is known of servers."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import edgesr.download
from edgesr.download import Patience, download
from edgesr.errors import DownloadError

CONTENT = bytes(range(256)) * 1200  # 307,200 bytes: several chunks
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(failures=3, pause=0.001, timeout=0.4)


class Server(ThreadingHTTPServer):
    """Serves `content` at every path, as `behave` says; `ranges` are the Range headers seen, "" for none."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.ranges: list[str] = []
        self.behave: Callable[[Handler, int], None] = lambda handler, start: handler.send(start)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        self.server.behave(self, int(asked.removeprefix("bytes=").removesuffix("-") or 0))

    def send(
        self, start: int = 0, *, stop: int | None = None, length: int | None = None, kind: str = "application/octet-stream"
    ) -> None:
        """An honest answer from `start`; broken off at `stop`, or announced with another `length`."""
        content = self.server.content
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) - start if length is None else length))
        self.end_headers()
        self.wfile.write(content[start:stop])

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


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file.pth"


def left(target: Path) -> list[str]:
    """What is in the target's folder."""
    return sorted(entry.name for entry in target.parent.iterdir())


def refusal(server: Server, target: Path, sha256: str | None = SHA256) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        download(server.url, target, sha256=sha256, patience=QUICK)
    assert not target.exists()
    return caught.value


def test_a_file_arrives_whole_with_its_progress(server: Server, target: Path) -> None:
    calls: list[tuple[str, int, int | None]] = []
    got = download(
        server.url, target, sha256=SHA256, progress=lambda stage, done=0, total=None: calls.append((stage, done, total))
    )
    assert got == SHA256
    assert target.read_bytes() == CONTENT
    assert left(target) == ["file.pth"]
    assert calls[0] == ("fetching file.pth", 0, len(CONTENT))
    assert calls[-1] == ("fetching file.pth", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in calls] == sorted({done for _, done, _ in calls})


def test_without_a_known_sha256_the_computed_one_is_returned(server: Server, target: Path) -> None:
    assert download(server.url, target) == SHA256


def test_a_connection_that_breaks_off_is_resumed_where_it_broke(server: Server, target: Path) -> None:
    server.behave = lambda handler, start: handler.send(start, stop=start + 100_000)
    assert download(server.url, target, sha256=SHA256, patience=QUICK) == SHA256
    assert server.ranges == ["", "bytes=100000-", "bytes=200000-", "bytes=300000-"]
    assert left(target) == ["file.pth"]


def test_attempts_that_bring_something_are_not_counted(server: Server, target: Path) -> None:
    server.behave = lambda handler, start: handler.send(start, stop=start + 40_000)
    assert download(server.url, target, sha256=SHA256, patience=QUICK) == SHA256
    assert len(server.ranges) > QUICK.failures


def test_a_server_that_never_goes_on_is_given_up_and_the_part_is_kept(server: Server, target: Path) -> None:
    server.behave = lambda handler, start: handler.send(start, stop=100_000)
    error = refusal(server, target)
    assert "the server announced 307,200 bytes and sent 100,000, after 3 attempts" in error.message
    assert "run the command again" in error.hint
    assert left(target) == ["file.pth.part"]
    server.behave = lambda handler, start: handler.send(start)
    server.ranges.clear()
    assert download(server.url, target, sha256=SHA256, patience=QUICK) == SHA256
    assert server.ranges == ["bytes=100000-"]


def test_a_server_that_ignores_ranges_is_read_from_the_start(server: Server, target: Path) -> None:
    stops = iter([100_000, None])
    server.behave = lambda handler, start: handler.send(0, stop=next(stops))
    assert download(server.url, target, sha256=SHA256, patience=QUICK) == SHA256
    assert server.ranges == ["", "bytes=100000-"]


def test_a_server_that_falls_silent_is_left(server: Server, target: Path) -> None:
    silence = threading.Event()

    def stall(handler: Handler, start: int) -> None:
        handler.send(start, stop=start + 100_000)
        if len(server.ranges) == 1:
            silence.wait(2)

    server.behave = stall
    try:
        assert download(server.url, target, sha256=SHA256, patience=QUICK) == SHA256
    finally:
        silence.set()
    assert server.ranges[:2] == ["", "bytes=100000-"]


def test_a_length_announced_too_long(server: Server, target: Path) -> None:
    def lie(handler: Handler, start: int) -> None:
        handler.send(0, length=len(CONTENT) + 10)
        handler.close_connection = True

    server.behave = lie
    assert "announced 307,210 bytes and sent 307,200" in refusal(server, target).message


def test_a_length_announced_too_short(server: Server, target: Path) -> None:
    server.behave = lambda handler, start: handler.send(0, length=len(CONTENT) - 10)
    error = refusal(server, target)
    assert "the wrong file: 307,190 bytes" in error.message
    assert left(target) == []


def test_a_length_over_the_limit(server: Server, target: Path) -> None:
    server.behave = lambda handler, start: handler.send(0, length=1 << 40)
    assert "announces 1,099,511,627,776 bytes, more than the limit" in refusal(server, target).message


def test_an_endless_answer_is_cut(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(handler: Handler, start: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT)

    monkeypatch.setattr(edgesr.download, "_MAX_BYTES", 100_000)
    server.behave = endless
    assert "more than the limit of 100,000 bytes arrived" in refusal(server, target).message
    assert left(target) == []


def test_the_wrong_file_never_stays(server: Server, target: Path) -> None:
    server.content = CONTENT[::-1]
    wrong = hashlib.sha256(server.content).hexdigest()
    error = refusal(server, target)
    assert f"is the wrong file: 307,200 bytes with sha256 {wrong}, expected {SHA256}; it was deleted" in error.message
    assert left(target) == []


def test_the_wrong_file_does_not_replace_the_one_that_is_there(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    server.content = b"wrong"
    with pytest.raises(DownloadError, match="wrong file"):
        download(server.url, target, sha256=SHA256, patience=QUICK)
    assert target.read_bytes() == b"old"


def test_a_part_of_another_file_is_dropped_and_fetched_anew(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes(b"x" * 100_000)
    assert download(server.url, target, sha256=SHA256, patience=QUICK) == SHA256
    assert server.ranges == ["bytes=100000-", ""]


@pytest.mark.parametrize(("size", "requests"), [(len(CONTENT), 1), (len(CONTENT) + 1, 2)])
def test_a_part_that_is_whole_or_too_long(size: int, requests: int, server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes((CONTENT + b"x")[:size])
    assert download(server.url, target, sha256=SHA256, patience=QUICK) == SHA256
    assert len(server.ranges) == requests


def test_an_answer_for_another_range_is_not_used(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes(CONTENT[:1000])
    server.behave = lambda handler, start: handler.send(start + 7 if start else 0)
    assert download(server.url, target, sha256=SHA256, patience=QUICK) == SHA256
    assert server.ranges == ["bytes=1000-", ""]


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (500, 3), (503, 3)])
def test_a_status_is_reported_and_only_a_passing_one_tried_again(
    status: int, requests: int, server: Server, target: Path
) -> None:
    server.behave = lambda handler, start: handler.send_error(status)
    assert f"the server answered with status {status}" in refusal(server, target).message
    assert len(server.ranges) == requests
    assert left(target) == []


def test_a_web_page_is_not_taken_for_the_file(server: Server, target: Path) -> None:
    server.behave = lambda handler, start: handler.send(0, kind="text/html; charset=utf-8")
    assert "sent a web page instead of the file" in refusal(server, target, sha256=None).message
    assert left(target) == []


def test_nobody_there(target: Path) -> None:
    with Server() as gone:
        url = gone.url
    with pytest.raises(DownloadError, match=r"no connection \(.*\), after 3 attempts"):
        download(url, target, sha256=SHA256, patience=QUICK)
    assert left(target) == []


def test_an_interrupt_keeps_what_arrived(server: Server, target: Path) -> None:
    def interrupt(stage: str, done: int = 0, total: int | None = None) -> None:
        if done >= 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, target, sha256=SHA256, progress=interrupt)
    assert left(target) == ["file.pth.part"]
    kept = (target.parent / "file.pth.part").stat().st_size
    assert kept >= 100_000
    server.ranges.clear()
    assert download(server.url, target, sha256=SHA256) == SHA256
    assert server.ranges == [f"bytes={kept}-"]


def test_two_at_a_time_take_turns_and_fetch_once(server: Server, target: Path) -> None:
    got: list[str] = []
    waiting: list[str] = []
    second_waits = threading.Event()

    def progress(stage: str, done: int = 0, total: int | None = None) -> None:
        if stage.startswith("waiting"):
            waiting.append(stage)
            second_waits.set()
        elif done:
            second_waits.wait(5)

    threads = [
        threading.Thread(target=lambda: got.append(download(server.url, target, sha256=SHA256, progress=progress)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert got == [SHA256, SHA256]
    assert set(waiting) == {"waiting for another download of file.pth"}
    assert len(server.ranges) == 1
    assert left(target) == ["file.pth"]
