"""The text of one file of one language, parsed as its suffix says."""

from __future__ import annotations

import json
from pathlib import Path

from mechsteer.corpus.delimited import read_delimited
from mechsteer.corpus.formats import SUFFIXES, Table, read_rows
from mechsteer.corpus.packed import suffix_of
from mechsteer.corpus.published import has_header
from mechsteer.corpus.tables import one_text
from mechsteer.corpus.text import Text, read_lines, require_regular
from mechsteer.errors import CorpusError

FORMATS = (".txt", *SUFFIXES)
"""Endings that say how a file is read; any other is a split of plain sentences (``fra.dev``)."""

_HINTS = {".zip": "unzip", ".zst": "unzstd"}
_NO_TEXT = frozenset(
    [
        *(".7z", ".arrow", ".avro", ".bin", ".cfg", ".conll", ".conllu", ".db", ".doc", ".docx"),
        *(".feather", ".h5", ".html", ".ids", ".ipynb", ".log", ".md", ".npy", ".npz", ".ods"),
        *(".odt", ".orc", ".pdf", ".pickle", ".pkl", ".png", ".po", ".pt", ".py", ".rst", ".rtf"),
        *(".sgm", ".sgml", ".sh", ".sqlite", ".srt", ".tar", ".tgz", ".tmx", ".toml", ".vtt"),
        *(".xlf", ".xliff", ".xls", ".xlsx", ".xml", ".yaml", ".yml"),
    ]
)


def is_known_format(path: Path) -> bool:
    """Whether the suffix says what the file is, be it one that is read or one that is refused."""
    suffix = suffix_of(path)
    return suffix in FORMATS or suffix in _HINTS or suffix in _NO_TEXT


def is_readable(path: Path) -> bool:
    """Whether a file of this suffix is read, as far as its name tells."""
    return suffix_of(path) in FORMATS or not is_known_format(path)


def read_file(path: Path, code: str) -> Text:
    """The text of a file of one language.

    ``.tsv`` is ``id<TAB>sentence``, or a table with a header; ``.csv``, ``.json``, ``.jsonl`` and
    ``.parquet`` are tables with a column ``text``, ``sentence`` or the language itself. All else is
    one sentence a line.

    Raises:
        CorpusError: Not a regular file, damaged, or of a format that is not read.
    """
    suffix = suffix_of(path)
    if suffix in _HINTS:
        require_regular(path)
        raise CorpusError(f"{path} is packed: run {_HINTS[suffix]} on it first")
    if suffix in _NO_TEXT:
        raise CorpusError(
            f"{path}: {suffix} is not read: expected one of {', '.join(FORMATS)}, or LANG.split "
            "with one sentence a line"
        )
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
    return Text(str(path), lines, range(1, len(lines) + 1))


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
