"""Files that gzip, bzip2 or xz packed, read as what they hold.

``fra.txt.gz`` is ``fra.txt`` in every respect but its bytes. A few kilobytes can unpack to
terabytes, so no more is unpacked than text can have been packed from.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from mechsteer.errors import CorpusError

_OPEN: Mapping[str, Callable[[Path], IO[bytes]]] = {
    ".bz2": bz2.open,
    ".gz": gzip.open,  # type: ignore[dict-item]
    ".xz": lzma.open,
}
_PER_BYTE = 200  # of unpacked text for one byte on disk; text is packed 3 to 10 times
_LEAST = 1 << 26


def is_packed(path: Path) -> bool:
    """Whether the name says that the file is packed."""
    return path.suffix.lower() in _OPEN


def unpacked(path: Path) -> Path:
    """The path that a packed file would have without its packing; any other as it is.

    >>> unpacked(Path("dev/fra.txt.gz")).name, unpacked(Path("fra.txt")).name
    ('fra.txt', 'fra.txt')
    """
    return path.with_suffix("") if is_packed(path) else path


def suffix_of(path: Path) -> str:
    """The suffix that says how a file is read, in lower case.

    >>> suffix_of(Path("fra.TSV.gz"))
    '.tsv'
    """
    return unpacked(path).suffix.lower()


def read_bytes(path: Path) -> bytes:
    """What a file holds, unpacked.

    Raises:
        CorpusError: it cannot be read or unpacked, or unpacks to more than 200 bytes for each.
    """
    try:
        if not is_packed(path):
            return path.read_bytes()
        limit = max(_LEAST, _PER_BYTE * path.stat().st_size)
        with _OPEN[path.suffix.lower()](path) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror or error}") from error
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise CorpusError(f"cannot unpack {path}: {error}") from error
    if len(data) > limit:
        raise CorpusError(
            f"{path} unpacks to more than {limit:,} bytes, {_PER_BYTE} for each of its own: unpack "
            "it if it is sound"
        )
    return data
