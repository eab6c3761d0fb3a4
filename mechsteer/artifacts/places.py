"""Which paths a file system can have; imports nothing, so that commands begin at once."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_NAME_LIMIT, _PATH_LIMIT = 255, 4096  # bytes, of Linux


_PLAIN = re.compile(r"\w[\w.+ -]{0,62}(?<![. ])")
_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")


def as_file_name(name: str) -> str:
    """A name as a part of a file's name: itself, or what is left of it and a hash of all of it.

    >>> as_file_name("fra_Latn"), as_file_name("A/B"), as_file_name("not toxic")
    ('fra_Latn', 'A_B-998d3ed8', 'not toxic')
    """
    plain = _PLAIN.fullmatch(name) and not _RESERVED.fullmatch(name)
    if plain and len(name.encode("utf-8")) <= 63:
        return name
    kept = re.sub(r"\W+", "_", name.encode("utf-8")[:40].decode("utf-8", "ignore"))
    return f"{kept}-{hashlib.sha256(name.encode('utf-8')).hexdigest()[:8]}"


def impossible(path: str | Path) -> str:
    """Why no file system has such a path, in words; empty where one could."""
    parts = [part.encode("utf-8", "surrogatepass") for part in str(path).split("/")]
    if b"\0" in b"".join(parts):
        return "holds a NUL character"
    if max(map(len, parts)) > _NAME_LIMIT or sum(map(len, parts)) + len(parts) > _PATH_LIMIT:
        return "is too long"
    return ""
