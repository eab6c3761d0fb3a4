r"""Bytes to sentences: what a file must be before anything else looks at it.

Only ``\n`` and ``\r\n`` end a line. ``str.splitlines`` also breaks at U+2028, U+0085 and lone
carriage returns, all of which occur inside sentences; one of them shifts every later translation.
Text is kept as it stands, without Unicode normalisation.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

from mechsteer.corpus.formats.packed import read_bytes
from mechsteer.errors import CorpusError

_BOM = b"\xef\xbb\xbf"
_BINARY = {
    b"\x1f\x8b": "gzip: let its name end in .gz",
    b"BZh": "bzip2: let its name end in .bz2",
    b"\xfd7zXZ": "xz: let its name end in .xz",
    b"PAR1": "Parquet: let its name end in .parquet",
    b"PK\x03\x04": "a zip archive or a sheet: unzip it, or save the sheet as CSV in UTF-8",
    b"%PDF-": "PDF: write its sentences to a file LANG.txt, one a line",
}
_MOST_COLUMNS = 10_000  # of a table; there are 7,000 languages


@dataclass(frozen=True)
class Text:
    """Sentences of one language as a source holds them, blank ones included.

    ``lines`` are 1-based; equal ``ids`` in two languages mark translations of each other (``None``
    is no id, and no key), without ``ids`` equal positions do. ``code`` is the language where the
    source says more of it than its name does.
    """

    source: str
    sentences: Sequence[str]
    lines: Sequence[int]
    ids: Sequence[str | None] | None = None
    code: str | None = None


def require_regular(path: Path) -> None:
    """Check that a path is a regular file, without opening it: a pipe would block for ever.

    Raises:
        CorpusError: It is missing, a link to nothing or to itself, a folder, a pipe or a device.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: NUL in a name
        link = f" (a link to {path.readlink()})" if path.is_symlink() else ""
        reason = error.strerror if isinstance(error, OSError) else error
        raise CorpusError(f"cannot read {path}{link}: {reason}") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise CorpusError(f"expected a regular file, got {kind}: {path}")


def entries(folder: Path) -> list[Path]:
    """What a folder holds, sorted by name.

    Raises:
        CorpusError: It cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise CorpusError(f"cannot read the folder {folder}: {error.strerror}") from error


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file, without their ends; a byte order mark at the start is dropped.

    Raises:
        CorpusError: The file is missing, empty, not UTF-8 or holds NUL; with ``file:line``.
    """
    require_regular(path)
    data = read_bytes(path).removeprefix(_BOM)
    if not data:
        raise CorpusError(f"{path} is empty: expected one sentence per line")
    if kind := next((kind for start, kind in _BINARY.items() if data.startswith(start)), None):
        raise CorpusError(f"{path} holds no text but {kind}")
    if (nul := data.find(b"\0")) >= 0:
        raise CorpusError(f"{_position(path, data, nul)}: NUL in text; UTF-16 must become UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"(0x{data[error.start]:02x})"
        what = f"not UTF-8 {byte}: save it as UTF-8 (iconv -f LATIN1 -t UTF-8, say)"
        if _is_surrogate(data, error.start):
            what = f"a lone surrogate {byte}"
        raise CorpusError(f"{_position(path, data, error.start)}: {what}") from error
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def flaw(sentence: object) -> str | None:
    """Why a sentence cannot be used, ``None`` if it can.

    It is no text, holds NUL or a lone surrogate, or only whitespace.
    """
    if not isinstance(sentence, str):
        return f"{type(sentence).__name__}, not text"
    if "\0" in sentence:
        return "NUL"
    if not sentence.strip():
        return "a blank sentence"
    try:
        sentence.encode("utf-8")
    except UnicodeEncodeError:
        return "a lone surrogate"
    return None


def _position(path: Path, data: bytes, offset: int) -> str:
    line = data.count(b"\n", 0, offset) + 1
    byte = offset - data.rfind(b"\n", 0, offset)
    return f"{path}:{line}, byte {byte}"


def _is_surrogate(data: bytes, offset: int) -> bool:
    """Whether the bytes encode U+D800..U+DFFF, which UTF-8 forbids and CESU-8 writers emit."""
    return data[offset] == 0xED and 0xA0 <= data[offset + 1 : offset + 2].ljust(1, b"\0")[0] <= 0xBF


def require_narrow(path: Path, names: Sized) -> None:
    """Refuse a table too wide to be of languages, before a list is made for every column of it.

    Raises:
        CorpusError: More than 10,000 columns, more than there are languages.
    """
    if len(names) > _MOST_COLUMNS:
        raise CorpusError(
            f"{path} has {len(names):,} columns: expected a column per language, or columns "
            f"language and text, {_MOST_COLUMNS:,} at most"
        )
