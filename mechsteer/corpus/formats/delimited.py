"""Rows of CSV and TSV files, each with the line it starts on.

CSV is RFC 4180; semicolons or tabs part its cells where the header has no comma. In TSV a tab
always separates and quotes are characters, as IANA defines it, unless the whole file is written
with quotes around cells as in CSV (pandas does that, and so came SIB-200): then every cell with a
quote in it is of that form, which plain text never is throughout.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mechsteer.corpus.formats.packed import suffix_of
from mechsteer.corpus.formats.text import read_lines
from mechsteer.errors import CorpusError

Rows = list[tuple[int, list[str]]]
"""Each row of a file: its first line, counted from 1, and its cells."""

_LONGEST_FIELD = 2**31 - 1  # characters; csv's own limit of 131,072 is shorter than documents
_SAID = re.compile(r"sep=([,;\t])\s*")  # a first line of Excel's
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def read_delimited(path: Path) -> Rows:
    """All rows of a CSV or TSV file, the header too; they may differ in length.

    Raises:
        CorpusError: not CSV, with ``file:line``; what ``read_lines`` refuses.
    """
    lines = read_lines(path)
    if len(lines) == 1 and "\r" in lines[0]:
        raise CorpusError(f"{path}: its lines end with \\r alone: expected \\n (tr '\\r' '\\n')")
    if suffix_of(path) == ".csv":
        rows = list(_csv_rows(lines, path, _separator(lines)))
        return rows[1:] if rows and _SAID.fullmatch(lines[rows[0][0] - 1]) else rows
    plain = [(number, line.split("\t")) for number, line in enumerate(lines, start=1)]
    if not any(line.startswith('"') or '\t"' in line for line in lines):
        return plain
    if len({len(cells) for _, cells in plain}) == 1:
        return list(_csv_rows(lines, path, "\t")) if _is_quoted(plain) else plain
    return _over_lines(lines, path) or plain


def _separator(lines: Sequence[str]) -> str:
    """A comma; what the header has in its place, as spreadsheets write where commas are decimal."""
    header = next((line for line in lines if line.strip()), "")
    if said := _SAID.fullmatch(header):
        return said[1]
    return next((each for each in ",;\t" if each in header), ",")


def _is_quoted(rows: Rows) -> bool:
    """Whether all cells with a quote are quoted as in CSV, and need it (or all cells are)."""
    cells = [cell for _, row in rows for cell in row if cell]
    quoted = [cell for cell in cells if '"' in cell]
    if not all(_QUOTED.fullmatch(cell) for cell in quoted):
        return False
    return len(quoted) == len(cells) or all('""' in cell[1:-1] for cell in quoted)


def _over_lines(lines: Sequence[str], path: Path) -> Rows | None:
    """Rows whose quoted cells go on over lines; None where quotes are no such thing.

    A lone quote would take whole rows into one cell, and the tabs between their cells with them.
    """
    try:
        rows = list(_csv_rows(lines, path, "\t"))
    except CorpusError:
        return None
    even = len({len(row) for _, row in rows}) == 1
    return rows if even and not any("\t" in cell for _, row in rows for cell in row) else None


def _csv_rows(lines: Sequence[str], path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they start on; a quoted field may go on over several lines."""
    reader = csv.reader((f"{line}\n" for line in lines), strict=True, delimiter=separator)
    while True:
        start = reader.line_num + 1
        try:
            row = _next_row(reader)
        except csv.Error as error:
            raise CorpusError(f"{path}:{start}: not CSV: {error}") from error
        if row is None:
            return
        if row:  # the module gives an empty line as no fields
            yield start, row


def _next_row(reader: Iterator[list[str]]) -> list[str] | None:
    """The next row, however long its fields; the module's limit is one of the whole process."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)
