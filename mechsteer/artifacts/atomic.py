"""Bytes on disk, whole or not at all, and what a killed command leaves behind."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from mechsteer.errors import ArtifactError

_MARK = ".mechsteer-part"  # ends the names of files that are being written, and no others


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically: a crash leaves the old file or the new one.

    It is written to a file of another name in the same folder, flushed to the disk and renamed. A
    new file gets the mode that the umask says, an old one keeps its own. A link is replaced, never
    written through.

    Raises:
        ArtifactError: the disk is full, the folder cannot be written, or the name is too long.
    """
    part = path.parent / f".{path.name[:100]}.{secrets.token_hex(8)}{_MARK}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(part, data)
        if path.is_file() and not path.is_symlink():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        part.replace(path)
    except (OSError, ValueError) as error:  # ValueError: NUL in a name
        _remove(part)
        raise ArtifactError(f"cannot write {_short(path)}: {_reason(error)}") from error
    except BaseException:
        _remove(part)
        raise


def require_regular(path: Path) -> None:
    """Refuse what is no regular file, without opening it: a pipe would block for ever.

    Raises:
        ArtifactError: it is missing, a folder, a pipe, a device, or cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ArtifactError(f"expected a file {path}, found none") from None
    except (OSError, ValueError) as error:  # ValueError: NUL in a name
        raise ArtifactError(f"cannot read {_short(path)}: {_reason(error)}") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise ArtifactError(f"expected a file, got {kind}: {path}")


def read_bytes(path: Path) -> bytes:
    """All bytes of a regular file.

    Raises:
        ArtifactError: there is none, or it cannot be read.
    """
    require_regular(path)
    try:
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise ArtifactError(f"cannot read {path}: {_reason(error)}") from None


def clear_torn(folder: Path) -> None:
    """Remove what a killed command was writing below a folder that nobody else writes in now."""
    for part in folder.rglob(f".*{_MARK}"):
        _remove(part)


def is_torn(path: Path) -> bool:
    """Whether a file is one that was being written when its command was killed."""
    return path.name.endswith(_MARK)


def _short(path: Path, limit: int = 200) -> str:
    return str(path) if len(str(path)) < limit else f"{str(path)[:limit]}…"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _remove(part: Path) -> None:
    with suppress(OSError, ValueError):  # where it cannot be, it is not
        part.unlink()


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
