"""Bytes on disk, whole or not at all, and what a killed command leaves behind."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mechsteer.errors import ArtifactError

log = logging.getLogger(__name__)
_MARK = ".mechsteer-part"  # ends the names of files that are being written, and no others
_PART = re.compile(rf"\..*\.[0-9a-f]{{16}}{re.escape(_MARK)}", re.DOTALL)
_LONG = 24 * 3600  # seconds: nothing takes longer to write, where no lock can tell


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically: a crash leaves the old file or the new one.

    Raises:
        ArtifactError: see ``replacing``.
    """
    with replacing(path) as part:
        part.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write by its name; at the end of the block it becomes ``path``, whole.

    It lies in the same folder, is locked until it is renamed, and flushed to the disk before. A new
    file gets the mode that the umask says, an old one keeps its own. A link is replaced, never
    written through. What killed commands were writing in that folder is removed first.

    Raises:
        ArtifactError: the disk is full, the folder cannot be written, the name is too long, or it
            is that of a device or pipe (``/dev/stdout``), which a file would take the place of.
    """
    part, descriptor = None, None
    try:
        _require_no_device(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_torn(path.parent.glob(f".*{_MARK}"))
        part, descriptor = _locked_part(path)
        mode = stat.S_IMODE((path if _is_plain(path) else part).stat().st_mode)
        part.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)  # before anything is in it
        yield part
        os.fsync(descriptor)
        part.chmod(mode)
        part.replace(path)
    except BaseException as error:
        if part is not None:
            with suppress(OSError):  # where it cannot be, it is not
                part.unlink()
        if isinstance(error, ArtifactError) or not isinstance(error, OSError | ValueError):
            raise
        shown = str(path) if len(str(path)) < 200 else f"{str(path)[:200]}…"
        why = getattr(error, "strerror", None) or error  # ValueError: NUL in a name
        raise ArtifactError(f"cannot write {shown}: {why}") from error
    finally:
        if descriptor is not None:
            os.close(descriptor)


def append_line(path: Path, line: str) -> None:
    """Add a line to a log, which is worth no failure: where that is impossible it is left out."""
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    except OSError as error:
        log.warning("cannot write %s: %s", path, error.strerror or error)


def clear_torn(folder: Path) -> None:
    """Remove what killed commands were writing below a folder."""
    _remove_torn(folder.rglob(f".*{_MARK}"))


def is_torn(path: Path) -> bool:
    """Whether a file is one that is being written, or was when its command was killed."""
    return _PART.fullmatch(path.name) is not None


def _require_no_device(path: Path) -> None:
    away = path.is_symlink() and str(path.readlink()).startswith("/proc/")  # as /dev/stdout is
    if away or (path.exists() and not path.is_file() and not path.is_dir()):
        raise ArtifactError(f"cannot write {path}: expected the name of a file, got a device")


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _locked_part(path: Path) -> tuple[Path, int]:
    """A new file beside ``path``, locked as long as its descriptor is open."""
    name = os.fsencode(path.name)[:100].decode(errors="ignore")
    while True:
        part = path.parent / f".{name}.{secrets.token_hex(8)}{_MARK}"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return part, descriptor
        os.close(descriptor)  # removed by another command before it was locked


def _remove_torn(paths: Iterable[Path]) -> None:
    """Remove those of some files that are ours, half written, and written by nobody now."""
    with suppress(OSError):  # a folder that cannot be listed
        for part in filter(is_torn, paths):
            _remove_dead(part)


def _remove_dead(part: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if _is_dead(descriptor):
                part.unlink()
        finally:
            os.close(descriptor)


def _is_dead(descriptor: int) -> bool:
    """Whether a file is locked by nobody, or old where nothing can be locked."""
    found = os.fstat(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - found.st_mtime > _LONG
    return stat.S_ISREG(found.st_mode)
