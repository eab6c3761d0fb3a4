"""Tables of sentences: CSV, TSV, Parquet and Hugging Face datasets.

Two shapes are read. *Wide*: a column per language (``fra_Latn``, ``fr``, ``sentence_fra_Latn``,
or a ``translation`` column of dictionaries), rows are parallel. *Long*: a row per sentence with
columns ``language`` and ``text`` and, where given, an ``id`` that translations share. A column
``id`` is never Indonesian: write ``ind``.
"""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mechsteer.corpus.languages import canonical
from mechsteer.corpus.text import Text, asked, choose, read_lines
from mechsteer.errors import CorpusError

SUFFIXES = (".csv", ".tsv", ".parquet")
_LANGUAGE = ("language", "lang")
_TEXT = ("text", "sentence")


@dataclass(frozen=True)
class _Table:
    source: str
    columns: Mapping[str, Sequence[object]]
    lines: Sequence[int]


def read_table(path: Path, *, languages: Sequence[str] | str | None) -> dict[str, Text]:
    """Text of one table, by its suffix; all languages by default.

    CSV is RFC 4180. In TSV a tab always separates and quotes are characters, as IANA defines it.

    Raises:
        CorpusError: Not such a file, ragged rows, a column that is no language, a cell that is no
            text. An empty cell is a blank sentence.
    """
    if path.suffix not in SUFFIXES:
        raise CorpusError(f"expected a table ({', '.join(SUFFIXES)}), got {path}")
    table = _read_parquet(path) if path.suffix == ".parquet" else _read_delimited(path)
    return _texts(table, asked(languages))


def read_huggingface(
    name: str,
    *,
    languages: Sequence[str] | str | None,
    split: str | None,
    config: str | None,
    revision: str | None,
) -> dict[str, Text]:
    """Text of a dataset of the Hugging Face hub, or of its cache when ``HF_HUB_OFFLINE`` is set.

    Raises:
        CorpusError: ``datasets`` is missing, the dataset cannot be loaded (offline, unknown,
            gated) or has several splits and none was named.
    """
    try:
        import datasets
    except ImportError as error:
        raise CorpusError(f"{name} needs the datasets package: pip install datasets") from error
    try:
        data = datasets.load_dataset(name, config, split=split, revision=revision)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CorpusError(f"cannot load {name} from Hugging Face: {reason}") from error
    if isinstance(data, Mapping):
        if len(data) != 1:
            raise CorpusError(f"{name} has several splits: choose one of {', '.join(data)}")
        (data,) = data.values()
    columns = {column: list(data[column]) for column in data.column_names}
    return _texts(_Table(name, columns, range(1, len(data) + 1)), asked(languages))


def _read_parquet(path: Path) -> _Table:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        columns = pa.parquet.read_table(path).to_pydict()
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise CorpusError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    return _Table(str(path), columns, range(1, len(next(iter(columns.values()), ())) + 1))


def _read_delimited(path: Path) -> _Table:
    rows = _csv_rows(path) if path.suffix == ".csv" else _tsv_rows(path)
    _, header = next(rows)
    if len(set(header)) != len(header):
        raise CorpusError(f"{path}:1: a column name occurs twice in {', '.join(header)}")
    lines, cells = [], []
    for line, row in rows:
        if len(row) != len(header):
            raise CorpusError(f"{path}:{line}: expected {len(header)} fields, got {len(row)}")
        lines.append(line)
        cells.append(row)
    columns = {name: [row[i] for row in cells] for i, name in enumerate(header)}
    return _Table(str(path), columns, lines)


def _tsv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    for line, text in enumerate(read_lines(path), start=1):
        yield line, text.split("\t")


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they start on; a quoted field may go on over several lines."""
    reader = csv.reader([f"{line}\n" for line in read_lines(path)], strict=True)
    while True:
        start = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise CorpusError(f"{path}:{start}: not CSV: {error}") from error
        if row:  # the module gives an empty line as no fields
            yield start, row


def _texts(table: _Table, languages: Sequence[str] | None) -> dict[str, Text]:
    columns = {name.lower(): cells for name, cells in table.columns.items()}
    text = next((columns[name] for name in _TEXT if name in columns), None)
    codes = _language_column(columns)
    if text is None or codes is None:
        found = _wide(table, strict=languages is None)
    else:
        found = _long(table, codes, text, ids=columns.get("id"), strict=languages is None)
    if not found:
        raise CorpusError(f"{table.source} has no language: name its columns as fra_Latn, deu_Latn")
    return choose(found, languages, source=table.source)


def _language_column(columns: Mapping[str, Sequence[object]]) -> Sequence[object] | None:
    if "iso_639_3" in columns and "iso_15924" in columns:  # FLORES+ of the Open Language Data
        parts = zip(columns["iso_639_3"], columns["iso_15924"], strict=True)
        return [f"{language}_{script}" for language, script in parts]
    return next((columns[name] for name in _LANGUAGE if name in columns), None)


def _wide(table: _Table, *, strict: bool) -> dict[str, Text]:
    found: dict[str, Text] = {}
    for name, cells in _spread(table).items():
        code = name.removeprefix("sentence_")
        if code.lower() == "id" or (not strict and not _is_known(code)):
            continue
        try:
            language = canonical(code)
        except CorpusError as error:
            known = "name the languages to read, or rename the column"
            raise CorpusError(f"{table.source}: column {name!r}: {error}; {known}") from error
        if language in found:
            raise CorpusError(f"{table.source}: two columns of {language}")
        found[language] = Text(table.source, _cells(table, name, cells), table.lines)
    return found


def _spread(table: _Table) -> dict[str, Sequence[object]]:
    """Columns, with a ``translation`` column of dictionaries (OPUS) spread into one per key."""
    columns = dict(table.columns)
    rows = columns.pop("translation", None)
    if rows is None:
        return columns
    by_row: list[Mapping[str, object]] = [row if isinstance(row, Mapping) else {} for row in rows]
    keys = dict.fromkeys(itertools.chain.from_iterable(by_row))
    return columns | {key: [row.get(key) for row in by_row] for key in keys}


def _long(
    table: _Table,
    codes: Sequence[object],
    text: Sequence[object],
    *,
    ids: Sequence[object] | None,
    strict: bool,
) -> dict[str, Text]:
    names = _names(table, codes, strict=strict)
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, code in enumerate(codes):
        if name := names[code]:
            rows[name].append(row)
    cells = _cells(table, "text", text)
    return {
        language: Text(
            table.source,
            [cells[row] for row in members],
            [table.lines[row] for row in members],
            None if ids is None else [str(ids[row]) for row in members],
        )
        for language, members in rows.items()
    }


def _names(table: _Table, codes: Sequence[object], *, strict: bool) -> dict[object, str | None]:
    """Canonical name of every code; ``None`` for unknown ones, which ``strict`` refuses."""
    names: dict[object, str | None] = {}
    for line, code in zip(table.lines, codes, strict=True):
        if code in names:
            continue
        try:
            names[code] = canonical(str(code))
        except CorpusError as error:
            if strict:
                raise CorpusError(f"{table.source}:{line}: {error}") from error
            names[code] = None
    return names


def _cells(table: _Table, name: str, cells: Sequence[object]) -> list[str]:
    found = []
    for line, cell in zip(table.lines, cells, strict=True):
        if cell is not None and not isinstance(cell, str):
            kind = type(cell).__name__
            raise CorpusError(f"{table.source}:{line}: column {name!r} holds {kind}, not text")
        found.append(cell or "")
    return found


def _is_known(code: str) -> bool:
    try:
        canonical(code)
    except CorpusError:
        return False
    return True
