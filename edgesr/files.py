"""Writing so that nothing is ever half there: to a temporary name beside the destination, then a rename."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from edgesr.errors import ArtifactError

_STORAGE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def sha256_of(path: Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write the file under another name in the same folder, then rename it; whatever stops it (OSError), that file goes."""
    temporary = path.parent / f".edgesr-{uuid.uuid4().hex}.part"
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def staged_folder(destination: Path, *, replaceable: frozenset[str]) -> Iterator[Path]:
    """Yield an empty folder that becomes `destination` when the block ends well, and vanishes when it does not.

    An existing destination is replaced only if every entry in it is named in `replaceable`, so that nothing is lost.
    Raises ArtifactError when the destination cannot be written or holds something else.
    """
    _refuse_foreign(destination, replaceable)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".partial", dir=destination.parent))
    except OSError as error:
        raise _cannot_write(destination, error) from error
    try:
        yield stage
        _swap(stage, destination)
    except OSError as error:
        if _number(error) not in _STORAGE_ERRORS:
            raise
        raise _cannot_write(destination, error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _refuse_foreign(destination: Path, replaceable: frozenset[str]) -> None:
    if not destination.exists():
        return
    if not destination.is_dir():
        raise ArtifactError(f"{destination} is a file; an artifact is a folder", hint="Name another folder: -o DIR.")
    foreign = sorted(entry.name for entry in destination.iterdir() if entry.name not in replaceable)
    if foreign:
        raise ArtifactError(
            f"{destination} holds files that are not this artifact's ({', '.join(foreign[:3])}); nothing was written",
            hint="Name a new or empty folder: -o DIR.",
        )


def _swap(stage: Path, destination: Path) -> None:
    """Rename `stage` to `destination`; an existing one is put aside first and put back if the rename fails."""
    umask = os.umask(0)
    os.umask(umask)
    stage.chmod(0o777 & ~umask)  # mkdtemp makes it private to this user
    if not destination.exists():
        stage.rename(destination)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".old", dir=destination.parent))
    aside.rmdir()
    destination.rename(aside)
    try:
        stage.rename(destination)
    except BaseException:
        aside.rename(destination)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _number(error: OSError) -> int | None:
    """Its `errno`; of a `shutil.Error`, which has those of the files of a folder as text alone, the first."""
    found = re.search(r"\[Errno (\d+)\]", str(error)) if isinstance(error, shutil.Error) else None
    return int(found[1]) if found else error.errno


def _cannot_write(destination: Path, error: OSError) -> ArtifactError:
    number = _number(error)
    full = number in (errno.ENOSPC, errno.EDQUOT)
    below_a_file = isinstance(error, FileExistsError | NotADirectoryError)
    reason = "a folder above it is a file" if below_a_file else os.strerror(number) if number else error
    return ArtifactError(
        f"cannot write {destination}: {reason}; nothing was left behind",
        hint="Free some space, or name a folder elsewhere: -o DIR." if full else "Name a folder that you may write to: -o DIR.",
    )
