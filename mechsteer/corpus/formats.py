"""Files of rows: CSV, TSV, JSON, JSON lines and Parquet, each to columns with line numbers."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mechsteer.corpus.parquet import read_columns
from mechsteer.corpus.text import read_lines, require_narrow
from mechsteer.errors import CorpusError

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")
"""Endings of the files that are read as tables."""

_LONGEST_FIELD = 2**31 - 1  # characters; csv's own limit of 131,072 is shorter than documents


@dataclass(frozen=True)
class Table:
    """Columns of equal length by their name, and the 1-based line or row of every cell."""

    source: str
    columns: Mapping[str, Sequence[object]]
    lines: Sequence[int]

    def rows(self, numbers: Sequence[int]) -> Table:
        """The rows of these numbers (from 0), in this order."""
        columns = {name: [cells[i] for i in numbers] for name, cells in self.columns.items()}
        return replace(self, columns=columns, lines=[self.lines[i] for i in numbers])


def read_rows(path: Path) -> Table:
    """The table of one file, by its suffix.

    CSV is RFC 4180. In TSV a tab always separates and quotes are characters, as IANA defines it.
    JSON is a list of objects, an object of equal lists, or a data set in the layout of SQuAD, whose
    questions are read as ``text`` with their ``id``.

    Raises:
        CorpusError: The file is not of its format (with ``file:line``), ragged, or holds no rows.
    """
    readers = {".csv": _delimited, ".tsv": _delimited, ".parquet": _parquet, ".json": _json}
    table = readers.get(path.suffix.lower(), _json_lines)(path)
    if not table.columns:
        raise CorpusError(f"{path} holds no rows; expected a folder of LANG.txt files, or a table")
    return table


def _delimited(path: Path) -> Table:
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _tsv_rows(path)
    first = next(rows, None)
    if first is None:
        raise CorpusError(f"{path} holds only empty lines: expected a header and rows")
    start, header = first
    require_narrow(path, header)
    if len(set(header)) != len(header):
        raise CorpusError(f"{path}:{start}: a column name occurs twice in {', '.join(header[:9])}")
    lines, cells = [], []
    for line, row in rows:
        if len(row) != len(header):
            raise CorpusError(f"{path}:{line}: expected {len(header)} fields, got {len(row)}")
        lines.append(line)
        cells.append(row)
    return Table(str(path), {name: [r[i] for r in cells] for i, name in enumerate(header)}, lines)


def _tsv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    for line, text in enumerate(read_lines(path), start=1):
        yield line, text.split("\t")


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they start on; a quoted field may go on over several lines."""
    reader = csv.reader([f"{line}\n" for line in read_lines(path)], strict=True)
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


def _parquet(path: Path) -> Table:
    columns, rows = read_columns(path)
    return Table(str(path), columns, range(1, rows + 1))


def _json_lines(path: Path) -> Table:
    found = [
        (number, _parsed(line, f"{path}:{number}"))
        for number, line in enumerate(read_lines(path), start=1)
        if line.strip()
    ]
    return _of_objects(path, [row for _, row in found], [number for number, _ in found])


def _json(path: Path) -> Table:
    value = _parsed("\n".join(read_lines(path)), str(path))
    if isinstance(value, Mapping) and isinstance(value.get("data"), list):
        value = value["data"]
        if any(isinstance(each, Mapping) and "paragraphs" in each for each in value):
            value = list(_questions(path, value))
    if isinstance(value, Mapping):
        return _of_columns(path, value)
    if not isinstance(value, list):
        raise CorpusError(f"{path}: expected a list of objects, got {type(value).__name__}")
    if value and all(isinstance(each, str) for each in value):
        value = [{"text": each} for each in value]
    return _of_objects(path, value, range(1, len(value) + 1))


def _questions(path: Path, articles: Iterable[object]) -> Iterator[Mapping[str, object]]:
    """The questions of a data set in SQuAD's layout (XQuAD), whose ids translations share."""
    try:
        for article in articles:
            for paragraph in article["paragraphs"]:  # type: ignore[index]
                for question in paragraph["qas"]:
                    yield {"id": question["id"], "text": question["question"]}
    except (KeyError, TypeError) as error:
        raise CorpusError(f"{path}: not in the layout of SQuAD: {error!r}") from error


def _of_columns(path: Path, value: Mapping[str, object]) -> Table:
    lengths = {len(cells) if isinstance(cells, list) else None for cells in value.values()}
    if len(lengths) > 1 or None in lengths:
        raise CorpusError(f"{path}: expected lists of equal length by column, or a list of objects")
    require_narrow(path, value)
    columns = {name: cells for name, cells in value.items() if isinstance(cells, list)}
    return Table(str(path), columns, range(1, 1 + (lengths.pop() or 0 if lengths else 0)))


def _of_objects(path: Path, rows: Sequence[object], lines: Sequence[int]) -> Table:
    for line, row in zip(lines, rows, strict=True):
        if not isinstance(row, Mapping):
            kind = type(row).__name__
            raise CorpusError(f"{path}:{line}: expected an object, got {kind}")
    objects = [row for row in rows if isinstance(row, Mapping)]
    names = dict.fromkeys(name for row in objects for name in row)
    require_narrow(path, names)
    return Table(str(path), {name: [row.get(name) for row in objects] for name in names}, lines)


class _TwiceError(ValueError):
    """A key that an object has twice: either value may have been meant."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError(Counter(key for key, _ in pairs).most_common(1)[0][0])
    return found


def _parsed(text: str, where: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        raise CorpusError(f"{where}: the key {str(error)!r} occurs twice in one object") from None
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where}: not JSON: {error.msg} (line {error.lineno})") from error
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: not JSON that can be read: {type(error).__name__}") from error
