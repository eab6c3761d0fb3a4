"""The text of one file of one language, parsed as its suffix says."""

from __future__ import annotations

import json
from pathlib import Path

from mechsteer.corpus.formats.delimited import read_delimited
from mechsteer.corpus.formats.packed import suffix_of
from mechsteer.corpus.formats.table import SUFFIXES, Table, read_rows
from mechsteer.corpus.formats.text import Text, read_lines, require_regular
from mechsteer.corpus.layouts.mined import read_mined
from mechsteer.corpus.layouts.published import has_header
from mechsteer.corpus.layouts.tables import one_text
from mechsteer.errors import CorpusError

FORMATS = (".txt", *SUFFIXES)
"""Endings that say how a file is read; any other is a split of plain sentences (``fra.dev``)."""

_UNPACK = {".7z": "7z x", ".rar": "unrar", ".tar": "tar -xf", ".tgz": "tar -xf", ".zip": "unzip"}
_UNPACK |= {".tbz2": "tar -xf", ".txz": "tar -xf", ".zst": "unzstd"}
_SEGMENTS = "write the sentences of each language to a file LANG.txt, one a line"
_SHEET = "save the sheet as CSV in UTF-8"
_FRAME = "save it as Parquet or CSV"
_NO_TEXT = {
    **dict.fromkeys([".conll", ".conllu", ".docx", ".doc", ".html", ".md", ".odt"], _SEGMENTS),
    **dict.fromkeys([".pdf", ".po", ".rst", ".rtf", ".sgm", ".sgml", ".srt", ".tmx"], _SEGMENTS),
    **dict.fromkeys([".vtt", ".xlf", ".xliff", ".xml"], _SEGMENTS),
    **dict.fromkeys([".ods", ".xls", ".xlsx"], _SHEET),
    **dict.fromkeys([".arrow", ".avro", ".db", ".dta", ".feather", ".h5", ".npy"], _FRAME),
    **dict.fromkeys([".npz", ".orc", ".pickle", ".pkl", ".pt", ".sav", ".sqlite"], _FRAME),
    **dict.fromkeys([".bin", ".cfg", ".ids", ".ipynb", ".log", ".png", ".py", ".sh"], ""),
    **dict.fromkeys([".toml", ".yaml", ".yml"], ""),
}
"""Endings of files that hold no sentences as they are, and what to make of them."""


def is_known_format(path: Path) -> bool:
    """Whether the suffix says what the file is, be it one that is read or one that is refused."""
    suffix = suffix_of(path)
    return suffix in FORMATS or suffix in _UNPACK or suffix in _NO_TEXT


def is_readable(path: Path) -> bool:
    """Whether a file of this suffix is read, as far as its name tells."""
    return suffix_of(path) in FORMATS or not is_known_format(path)


def require_format(path: Path) -> None:
    """Refuse a file whose suffix says that it is packed otherwise, or holds no plain sentences.

    Raises:
        CorpusError: It is such a file; what to make of it is said.
    """
    suffix = suffix_of(path)
    if suffix in _UNPACK:
        require_regular(path)
        raise CorpusError(f"{path} is packed: run {_UNPACK[suffix]} on it first")
    if (advice := _NO_TEXT.get(suffix)) is not None:
        raise CorpusError(
            f"{path}: {suffix} is not read: expected one of {', '.join(FORMATS)}, or LANG.split "
            f"with one sentence a line{advice and f'; {advice}'}"
        )


def read_file(path: Path, code: str) -> Text:
    """The text of a file of one language.

    ``.tsv`` is ``id<TAB>sentence``, or a table with a header; ``.csv``, ``.json``, ``.jsonl`` and
    ``.parquet`` are tables with a column ``text``, ``sentence`` or the language itself. All else is
    one sentence a line.

    Raises:
        CorpusError: Not a regular file, damaged, or of a format that is not read.
    """
    require_format(path)
    suffix = suffix_of(path)
    if suffix == ".tsv":
        return _read_tsv(path, code)
    if suffix in SUFFIXES:
        return _read_table(path, code)
    return _read_sentences(path)


def _read_sentences(path: Path) -> Text:
    lines = read_lines(path)
    if what := _record(next((line for line in lines if line.strip()), "")):
        raise CorpusError(
            f"{path} holds {what}, not one sentence a line: give it the suffix of its format "
            f"({', '.join(SUFFIXES)})"
        )
    text = read_mined(Text(str(path), lines, range(1, len(lines) + 1)))
    held = [line for line in lines if line.strip()]
    if text.ids is None and held and all("\t" in line for line in held):
        raise CorpusError(
            f"{path} holds columns, not one sentence a line: name it .tsv, with a header or as "
            "id<TAB>sentence"
        )
    return text


def _record(line: str) -> str | None:
    """What a first line is that no sentence is: a JSON object or list, or the start of XML."""
    start = line.strip()
    if start[:5] == "<?xml" or start[:9].lower() == "<!doctype":
        return "XML"
    if start[:1] not in {"{", "["}:
        return None
    try:
        value = json.loads(start)
    except (ValueError, RecursionError):
        return "JSON" if start in {"{", "["} else None
    first = next(iter(value), None) if isinstance(value, list) else value
    return "JSON" if isinstance(first, dict | list | str) else None


def _read_tsv(path: Path, code: str) -> Text:
    rows = read_delimited(path)
    if has_header([name.strip().lower() for name in rows[0][1]]):
        return _read_table(path, code)
    for number, row in rows:
        if len(row) != 2:
            raise CorpusError(f"{path}:{number}: expected id<TAB>sentence, got {len(row)} fields")
    columns = {"id": [row[0] for _, row in rows], "text": [row[1] for _, row in rows]}
    return one_text(Table(str(path), columns, [number for number, _ in rows]), code)


def _read_table(path: Path, code: str) -> Text:
    return one_text(read_rows(path), code)
