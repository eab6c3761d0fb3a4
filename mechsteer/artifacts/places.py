"""Which paths a file system can have; imports nothing, so that commands begin at once."""

from __future__ import annotations

from pathlib import Path

_NAME_LIMIT, _PATH_LIMIT = 255, 4096  # bytes, of Linux


def impossible(path: str | Path) -> str:
    """Why no file system has such a path, in words; empty where one could."""
    parts = [part.encode("utf-8", "surrogatepass") for part in str(path).split("/")]
    if b"\0" in b"".join(parts):
        return "holds a NUL character"
    if max(map(len, parts)) > _NAME_LIMIT or sum(map(len, parts)) + len(parts) > _PATH_LIMIT:
        return "is too long"
    return ""
