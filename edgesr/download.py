"""Downloads that resume, verify and never leave a wrong file: into NAME.part, checked, then renamed to NAME."""

import contextlib
import errno
import http.client
import ipaddress
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import edgesr
from edgesr.errors import DownloadError
from edgesr.files import sha256_of
from edgesr.progress import Progress, silent

_CHUNK = 1 << 16
_MAX_BYTES = 1 << 30
_NETWORK = (OSError, http.client.HTTPException)
_RETRIED_STATUS = {408, 425, 429, 500, 502, 503, 504}
_BY_HAND = "Fetch the file from the authors' page by hand and give its path: --weights FILE."
_LATER = "What has arrived is kept; run the command again to go on from there."


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to go on: `failures` broken attempts in a row that bring nothing new end it; times in seconds.

    The pause before attempt n is `pause`·2^(n-1). `timeout` is how long a server may stay silent.
    """

    failures: int = 4
    pause: float = 1.0
    timeout: float = 30.0


class _BrokenError(Exception):
    """An attempt that broke off; the next one may succeed."""


def download(
    url: str, target: Path, *, sha256: str | None = None, progress: Progress = silent, patience: Patience | None = None
) -> str:
    """Fetch `url` to `target`, replacing it, and return the SHA-256 of what arrived.

    An interrupted download (Ctrl-C, a dead connection, a killed process) leaves `target`.part and goes on from there the next
    time. With `sha256`, anything else is deleted. Two processes with one target take turns. Raises DownloadError.
    """
    _check_address(url)
    with _storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _turn(target, progress):
            if sha256 and target.is_file() and sha256_of(target) == sha256:
                return sha256  # another process has just brought it
            part = target.with_name(target.name + ".part")
            resumed = part.exists()
            got = _fetch(url, part, progress, patience or Patience())
            if sha256 and got != sha256 and resumed:  # the first part may have come from an older file: once more from nothing
                part.unlink()
                got = _fetch(url, part, progress, patience or Patience())
            if sha256 and got != sha256:
                size = part.stat().st_size
                part.unlink()
                raise DownloadError(
                    f"{url} is the wrong file: {size:,} bytes with sha256 {got}, expected {sha256}; it was deleted",
                    hint=_BY_HAND,
                )
            part.replace(target)
    return got


def _fetch(url: str, part: Path, progress: Progress, patience: Patience) -> str:
    """Attempts until `part` is whole, then its SHA-256; attempts that bring something new are not counted."""
    failures, most = 0, part.stat().st_size if part.exists() else 0
    while True:
        try:
            _attempt(url, part, progress, patience.timeout)
            return sha256_of(part)
        except _BrokenError as error:
            size = part.stat().st_size if part.exists() else 0
            failures = 1 if size > most else failures + 1
            most = max(most, size)
            if failures >= patience.failures:
                raise DownloadError(f"{url}: {error}, after {failures} attempts", hint=_LATER) from error
        time.sleep(patience.pause * 2 ** (failures - 1))


def _attempt(url: str, part: Path, progress: Progress, timeout: float) -> None:
    """One request that appends to `part`, or starts it anew when the server does not go on where it ends; raises _BrokenError."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"edgesr/{edgesr.__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = _opener(url).open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 416 or not have:
                raise _bad_status(url, error) from error
            _settle_unsatisfiable(error, part, have)
            return
    except _NETWORK as error:
        raise _no_connection(url, error) from error
    with response:
        start, total = _extent(response, part, have)
        _check_response(url, response, total)
        try:
            with part.open("r+b" if start else "wb") as file:
                file.seek(start)
                _copy(response, file, part.name.removesuffix(".part"), start, total, progress)
        except DownloadError:  # of no use: it can only grow
            part.unlink()
            raise


def _extent(response: http.client.HTTPResponse, part: Path, have: int) -> tuple[int, int | None]:
    """Where in the file the answer begins, and the file's whole length (None when the server does not say)."""
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match and int(match[1]) == have:
            return have, None if match[2] == "*" else int(match[2])
        part.unlink()
        raise _BrokenError("the server answered with another part of the file than was asked for")
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _check_response(url: str, response: http.client.HTTPResponse, total: int | None) -> None:
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise DownloadError(
            f"{url}: the server sent a web page instead of the file",
            hint=_BY_HAND,
        )
    if total is not None and total > _MAX_BYTES:
        raise DownloadError(f"{url}: the server announces {total:,} bytes, more than the limit of {_MAX_BYTES:,}")


def _copy(
    response: http.client.HTTPResponse, file: IO[bytes], name: str, start: int, total: int | None, progress: Progress
) -> None:
    """Append the answer to `file`; raises _BrokenError when it ends before `total` bytes are there."""
    done = start
    progress(f"fetching {name}", done, total)
    while chunk := _read(response):
        file.write(chunk)
        done += len(chunk)
        progress(f"fetching {name}", done, total)
        if done > _MAX_BYTES:
            raise DownloadError(f"{name}: more than the limit of {_MAX_BYTES:,} bytes arrived")
    file.flush()
    os.fsync(file.fileno())
    if total is not None and done != total:
        raise _BrokenError(f"the server announced {total:,} bytes and sent {done:,}")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)  # what is there now, so that little is lost when the rest never comes
    except _NETWORK as error:
        raise _BrokenError(f"the connection broke off ({_reason(error)})") from error


def _settle_unsatisfiable(error: urllib.error.HTTPError, part: Path, have: int) -> None:
    """Status 416, nothing after `have`: the part is whole if that is the file's length, else it is of no use."""
    if error.headers.get("Content-Range", "") == f"bytes */{have}":
        return
    part.unlink()
    raise _BrokenError("the server's file is shorter than what had arrived of it") from error


def _bad_status(url: str, error: urllib.error.HTTPError) -> Exception:
    status = f"status {error.code} ({error.reason})"
    if error.code in _RETRIED_STATUS:
        return _BrokenError(f"the server answered with {status}")
    return DownloadError(
        f"{url}: the server answered with {status}",
        hint=_BY_HAND,
    )


def _no_connection(url: str, error: Exception) -> Exception:
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return DownloadError(f"{url}: the server's certificate is not valid: {cause.verify_message}", hint=_BY_HAND)
    return _BrokenError(f"no connection ({_reason(error)})")


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", error)) or type(error).__name__


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to an address that could have been asked for, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _check_address(newurl, secure=req.type == "https")
        except DownloadError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str) -> urllib.request.OpenerDirector:
    """The machine's proxy serves all addresses but its own."""
    proxies = [urllib.request.ProxyHandler({})] if _is_loopback(url) else []
    return urllib.request.build_opener(_CheckedRedirects, *proxies)


def _check_address(url: str, *, secure: bool = False) -> None:
    scheme = urlsplit(url).scheme
    if scheme == "https" or (scheme == "http" and not secure and _is_loopback(url)):
        return
    raise DownloadError(f"{url} is not an https address", hint="Weights are fetched by https, or by http from this machine only.")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def _turn(target: Path, progress: Progress) -> Iterator[None]:
    """Wait until no other process or thread downloads to `target`; the system ends the turn of a process that dies."""
    path = target.with_name(f".{target.name}.lock")
    while True:
        with path.open("ab") as file:
            if _lock(file) and path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                try:
                    yield
                finally:
                    with contextlib.suppress(OSError):  # Windows does not delete an open file; an empty one may stay
                        path.unlink()
                return
        progress(f"waiting for another download of {target.name}")
        time.sleep(0.1)


def _lock(file: IO[bytes]) -> bool:
    """Lock `file` until it is closed; False when another holds it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextlib.contextmanager
def _storage_errors(target: Path) -> Iterator[None]:
    """A full disk, a folder without write permission and the like, as DownloadError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise DownloadError(
            f"cannot write {target}: {error.strerror or error}",
            hint="Free some space and run the command again."
            if full
            else "Name a cache folder that you may write to: EDGESR_CACHE=DIR.",
        ) from error
