"""One writer at a time in a folder."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mechsteer.artifacts.atomic import clear_torn
from mechsteer.errors import ArtifactError
from mechsteer.ranks import current

log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other commands, and other threads, from writing in a folder.

    Of several ranks the first holds the lock for all, from before any goes on until all are done.

    The folder itself is locked (``flock``), so no file stays behind, and the system frees the lock
    when its holder ends, however that happens. What a killed command was writing there is removed
    first. A file system without locks is used without, with a warning. A folder that was made for
    the lock and stayed empty is removed.

    Raises:
        ArtifactError: another command is writing there, or the folder cannot be written.
    """
    ranks = current()
    with ExitStack() as held:
        with ranks.together(f"locking {folder.name}"):
            if ranks.first:
                held.enter_context(_held(folder))
        with ranks.together(f"writing in {folder.name}"):
            yield


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    made, descriptor = _opened(folder)
    try:
        _lock(descriptor, folder)
        clear_torn(folder)
        yield
    finally:
        if made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        os.close(descriptor)  # and the lock with it


def _opened(folder: Path) -> tuple[bool, int]:
    """Whether a folder had to be made, and a descriptor of it."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return made, os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ArtifactError(f"cannot write in {folder}: {error.strerror or error}") from error


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ArtifactError(
            f"another mechsteer command is writing in {folder}: let it end, or name another folder"
        ) from None
    except OSError as error:
        log.warning("%s cannot be locked (%s): let only one command write there", folder, error)
