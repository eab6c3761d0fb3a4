r"""Bytes to sentences: what a file must be before anything else looks at it.

Only ``\n`` and ``\r\n`` end a line. ``str.splitlines`` also breaks at U+2028, U+0085 and lone
carriage returns, all of which occur inside sentences; one of them shifts every later translation.
Text is kept as it stands, without Unicode normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mechsteer.corpus.languages import canonical, closest
from mechsteer.errors import CorpusError

_BOM = b"\xef\xbb\xbf"
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Text:
    """Sentences of one language as a source holds them, blank ones included.

    ``lines`` are 1-based; equal ``ids`` in two languages mark translations of each other, without
    ``ids`` equal positions do.
    """

    source: str
    sentences: Sequence[str]
    lines: Sequence[int]
    ids: Sequence[str] | None = None


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file, without their ends; a byte order mark at the start is dropped.

    Raises:
        CorpusError: The file is missing, empty, not UTF-8 or holds NUL; with ``file:line``.
    """
    try:
        data = path.read_bytes().removeprefix(_BOM)
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}") from error
    if not data:
        raise CorpusError(f"{path} is empty: expected one sentence per line")
    if (nul := data.find(b"\0")) >= 0:
        raise CorpusError(f"{_position(path, data, nul)}: NUL in text; UTF-16 must become UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = "a lone surrogate" if _is_surrogate(data, error.start) else "not UTF-8"
        raise CorpusError(
            f"{_position(path, data, error.start)}: {what} (0x{data[error.start]:02x})"
        ) from error
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def flaw(sentence: str) -> str | None:
    """Why a sentence cannot be used, ``None`` if it can: NUL, a lone surrogate, only whitespace."""
    if "\0" in sentence:
        return "NUL"
    if not sentence.strip():
        return "a blank sentence"
    try:
        sentence.encode("utf-8")
    except UnicodeEncodeError:
        return "a lone surrogate"
    return None


def asked(languages: Sequence[str] | str | None) -> list[str] | None:
    """Canonical names of the languages asked for, a sequence or ``"fra,deu"``; ``None`` means all.

    Raises:
        CorpusError: A code is unknown or ambiguous, none is left, or two mean the same language.
    """
    if languages is None:
        return None
    codes = languages.split(",") if isinstance(languages, str) else languages
    names = [canonical(code) for code in codes]
    if not names:
        raise CorpusError("no language was asked for: name some, or leave `languages` out for all")
    if twice := [code for code, name in zip(codes, names, strict=True) if names.count(name) > 1]:
        raise CorpusError(f"the same language was asked for twice: {', '.join(twice)}")
    return names


def choose(
    found: Mapping[str, _Found], languages: Sequence[str] | None, *, source: str
) -> dict[str, _Found]:
    """The languages asked for, in that order, out of those a source holds."""
    if languages is None:
        return dict(found)
    if missing := [name for name in languages if name not in found]:
        some = closest(missing[0], found) or list(found)[:3]
        raise CorpusError(
            f"{source} has no {', '.join(missing)} among its {len(found)} languages "
            f"(closest: {', '.join(some)})"
        )
    return {name: found[name] for name in languages}


def _position(path: Path, data: bytes, offset: int) -> str:
    line = data.count(b"\n", 0, offset) + 1
    byte = offset - data.rfind(b"\n", 0, offset)
    return f"{path}:{line}, byte {byte}"


def _is_surrogate(data: bytes, offset: int) -> bool:
    """Whether the bytes encode U+D800..U+DFFF, which UTF-8 forbids and CESU-8 writers emit."""
    return data[offset] == 0xED and 0xA0 <= data[offset + 1 : offset + 2].ljust(1, b"\0")[0] <= 0xBF
