"""Files of rows: CSV, TSV, JSON, JSON lines and Parquet, each to columns with line numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mechsteer.corpus.formats.delimited import read_delimited
from mechsteer.corpus.formats.packed import is_packed, suffix_of
from mechsteer.corpus.formats.parquet import read_columns
from mechsteer.corpus.formats.text import read_lines, require_narrow
from mechsteer.errors import CorpusError, shown

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")
"""Endings of the files that are read as tables."""
MEMORY = "table"
"""What a table is called that is no file."""


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


def table_of(rows: pd.DataFrame | Mapping[str, Sequence[object]]) -> Table:
    """The table of a pandas data frame, or of columns by name; what pandas calls missing is None.

    Raises:
        CorpusError: neither, columns of unlike length, or a name twice.
    """
    import pandas as pd

    if not isinstance(rows, pd.DataFrame | Mapping):
        raise CorpusError(
            f"expected the path of a table, a data frame or columns by name, got {shown(rows)}"
        )
    try:
        frame = pd.DataFrame(rows)
    except ValueError as error:
        raise CorpusError(f"expected columns of equal length: {error}") from None
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names) or not names:
        raise CorpusError(f"expected columns of different names, got {', '.join(names) or 'none'}")
    cells = frame.astype(object).where(frame.notna(), None)
    columns = {name: cells.iloc[:, at].tolist() for at, name in enumerate(names)}
    return Table(MEMORY, columns, range(1, len(frame) + 1))


def read_rows(path: Path) -> Table:
    """The table of one file, by its suffix.

    CSV and TSV are read as ``mechsteer.corpus.formats.delimited`` says, with a header. JSON is a
    list of objects, an object of equal lists, or a data set in the layout of SQuAD, whose questions
    are read as ``text`` with their ``id``.

    Raises:
        CorpusError: The file is not of its format (with ``file:line``), ragged, or holds no rows.
    """
    readers = {".csv": _delimited, ".tsv": _delimited, ".parquet": _parquet, ".json": _json}
    table = readers.get(suffix_of(path), _json_lines)(path)
    if not table.columns:
        raise CorpusError(f"{path} holds no rows; expected a folder of LANG.txt files, or a table")
    return table


def _delimited(path: Path) -> Table:
    rows = read_delimited(path)
    if not rows:
        raise CorpusError(f"{path} holds only empty lines: expected a header and rows")
    start, header = rows[0]
    require_narrow(path, header)
    if len(set(header)) != len(header):
        raise CorpusError(f"{path}:{start}: a column name occurs twice in {', '.join(header[:9])}")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise CorpusError(f"{path}:{line}: expected {len(header)} fields, got {len(row)}")
    columns = {name: [row[i] for _, row in rows[1:]] for i, name in enumerate(header)}
    return Table(str(path), columns, [line for line, _ in rows[1:]])


def _parquet(path: Path) -> Table:
    if is_packed(path):
        raise CorpusError(f"{path}: Parquet is packed already: unpack the file first")
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
        raise CorpusError(
            f"{path}: expected lists of equal length by column, or a list of objects "
            '(of pandas: to_json(path, orient="records"))'
        )
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
