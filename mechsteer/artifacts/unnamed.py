"""Files without a name, for values that exceed the memory: they go with the process."""

from __future__ import annotations

import os
import tempfile
from typing import IO, Any

from mechsteer.errors import ArtifactError


def unnamed() -> IO[bytes]:
    """A new file in the folder for temporary ones, which goes with the process.

    Raises:
        ArtifactError: there is no such folder.
    """
    try:
        return tempfile.TemporaryFile(buffering=0)
    except OSError as error:
        raise ArtifactError(
            f"values exceed the memory and no temporary file can be made ({error}): point TMPDIR "
            "at a folder, or give more memory (memory=, --memory)"
        ) from None


def write_at(file: IO[bytes], data: Any, at: int) -> None:
    """Write all of some values at a place in a file.

    Raises:
        ArtifactError: the disk is full.
    """
    view = memoryview(data).cast("B")
    try:
        while view:
            done = os.pwrite(file.fileno(), view, at)
            view, at = view[done:], at + done
    except OSError as error:
        raise ArtifactError(
            f"cannot keep values in {tempfile.gettempdir()}: {error.strerror}; point TMPDIR at a "
            "larger disk, or give more memory (memory=, --memory)"
        ) from None
