"""Texts of a table, whatever its format.

Two shapes are read. *Wide*: a column per language (``fra_Latn``, ``fr``, ``sentence_fra_Latn``,
or a ``translation`` column of dictionaries), rows are parallel. *Long*: a row per sentence with
columns ``language`` and ``text`` and, where given, an ``id`` that translations share. FLORES+ gives
the language as ``iso_639_3``, ``iso_15924`` and ``glottocode``. A column ``id`` is never
Indonesian: write ``ind``.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from mechsteer.corpus.formats.packed import suffix_of
from mechsteer.corpus.formats.table import SUFFIXES, Table, read_rows
from mechsteer.corpus.formats.text import Text
from mechsteer.corpus.layouts.choice import Entry, asked, by_language
from mechsteer.corpus.layouts.columns import (
    SINGLE,
    Column,
    is_missing,
    key_of,
    kind_of,
    languages_of,
)
from mechsteer.corpus.layouts.published import LANGUAGE, as_text, in_level
from mechsteer.corpus.layouts.table_folders import language_of, split_of
from mechsteer.corpus.names.codes import is_language, parse
from mechsteer.corpus.names.naming import name_or_none
from mechsteer.errors import CorpusError

_TEXT = ("text", "sentence")


def read_table(
    given: Path | Table, *, languages: Sequence[str] | str | None, split: str | None = None
) -> dict[str, Text]:
    """Text of one table, of a file by its suffix; all languages by default.

    Raises:
        CorpusError: Not such a file, ragged rows, a column that is no language, a cell that is no
            text; several splits in a column ``split``, or not the one asked for. An empty cell is
            a blank sentence.
    """
    if not isinstance(given, Table):
        if suffix_of(given) not in SUFFIXES:
            raise CorpusError(f"expected a table ({', '.join(SUFFIXES)}), got {given}")
        given = read_rows(given)
    return texts(in_split(given, split), asked(languages))


def in_split(table: Table, split: str | None) -> Table:
    """The rows of one split, where the table has a column ``split``.

    Raises:
        CorpusError: There are several and none was named, or not the one named.
    """
    table, split = in_level(table, split)
    cells = _lower(table).get("split")
    if cells is None:
        if split not in {None, split_of(Path(table.source))}:
            raise CorpusError(f"{table.source} has no column 'split' to choose {split!r} by")
        return table
    known = list(dict.fromkeys(str(cell) for cell in cells))
    if split is None and len(known) == 1:
        split = known[0]
    if split not in known:
        wrong = "several splits" if split is None else f"no split {split!r}"
        raise CorpusError(f"{table.source} has {wrong}: choose one of {', '.join(known[:9])}")
    columns = {name: each for name, each in table.columns.items() if name.lower() != "split"}
    rows = [row for row, cell in enumerate(cells) if str(cell) == split]
    return replace(table, columns=columns).rows(rows)


def texts(table: Table, codes: Sequence[str] | None) -> dict[str, Text]:
    """The texts of a table by canonical name, in either shape."""
    table = as_text(table)
    columns = _lower(table)
    text = next((name for name in _TEXT if name in columns), None)
    found = _codes(table)
    if text is not None and found is None and (own := language_of(Path(table.source))):
        entry = Entry(own, table.source, partial(one_text, table, own))
        return by_language([entry], codes, source=table.source)
    if codes is None and text is not None and found is None:
        _text(table, Column(text, columns[text]))
        raise CorpusError(
            f"{table.source} has a column {text!r} and no column 'language' beside it: add one, "
            "put a file LANG.csv (.jsonl, …) for every language into a folder, or name the column "
            "of labels that sentences are told apart by (label=, --label)"
        )
    if text is None and found is not None and all(is_language(str(each)) for each in found):
        raise CorpusError(
            f"{table.source} has a column of languages and none of sentences: expected one named "
            f"text or sentence, got {', '.join(map(str, list(table.columns)[:20]))}"
        )
    if text is None or found is None:
        entries = [_of_column(table, column) for column in _wide(table, codes)]
        kind = "columns"
    else:
        entries, kind = _long(table, found, text, strict=codes is None), "codes"
    if not entries:
        raise CorpusError(f"{table.source} has no language: name its columns as fra_Latn, deu_Latn")
    return by_language(entries, codes, source=table.source, kind=kind)


def one_text(table: Table, code: str) -> Text:
    """The text of a table of one language, which is its file's.

    Raises:
        CorpusError: No column is clearly the text, or the rows are of another language.
    """
    table = as_text(table, alone=True)
    columns = _lower(table)
    header = next((name for name in _TEXT if name in columns), None) or _text_column(table, code)
    text = _text(table, Column(header, columns[header.lower()]))
    codes = _codes(table)
    return text if codes is None else replace(text, code=_one_code(table, codes, code))


def _text_column(table: Table, code: str) -> str:
    own = [name for name in table.columns if _means(Column(name, ()), code)]
    if len(own) == 1:
        return own[0].lower()
    # The first line of a CSV may be a sentence, if the file has no header: never guess there.
    certain = suffix_of(Path(table.source)) not in {".csv", ".tsv"}
    columns = (Column(name, cells) for name, cells in table.columns.items())
    held = [each.header for each in columns if certain and each.holds == "sentences"]
    if len(held) != 1 or is_language(held[0]):
        raise CorpusError(
            f"{table.source}: which of its columns is the text of {code}? expected one named text, "
            f"sentence or {code}, got {', '.join(map(str, table.columns))}"
        )
    return held[0].lower()


def _means(column: Column, code: str) -> bool:
    if column.code.lower() == code.lower():
        return True
    name = name_or_none(code)
    return column.is_language and name is not None and name_or_none(column.code) == name


def _one_code(table: Table, codes: Sequence[object], of_file: str) -> str:
    given = list(dict.fromkeys(str(code) for code in codes if not is_missing(code)))
    if len(given) > 1:
        raise CorpusError(
            f"{table.source} is named {of_file} and has rows of {', '.join(given[:5])}: read it as "
            "a table of its own"
        )
    if not given or not is_language(given[0]):
        return of_file
    rows, file = parse(given[0]), parse(of_file)
    if rows.language != file.language and not _means(Column(given[0], ()), of_file):
        raise CorpusError(f"{table.source} is named {of_file} and has rows of {given[0]}")
    return given[0] if rows.variant or not (file.script or file.variant) else of_file


def _codes(table: Table) -> Sequence[object] | None:
    """The language code of every row, ``None`` where no column gives one."""
    columns = _lower(table)
    if "iso_639_3" not in columns or "iso_15924" not in columns:
        return next((columns[name] for name in LANGUAGE if name in columns), None)
    parts = [columns[name] for name in ("iso_639_3", "iso_15924")]
    parts += [columns["glottocode"]] if "glottocode" in columns else []
    return ["_".join(str(p) for p in row if not is_missing(p)) for row in zip(*parts, strict=True)]


def _wide(table: Table, codes: Sequence[str] | None) -> list[Column]:
    return languages_of(_spread(table), codes, source=table.source)


def _of_column(table: Table, column: Column) -> Entry:
    return Entry(
        column.code, f"{table.source}: column {column.header!r}", partial(_text, table, column)
    )


def _spread(table: Table) -> dict[str, Sequence[object]]:
    """Columns, with a ``translation`` column of dictionaries (OPUS) spread into one per key."""
    columns = dict(table.columns)
    rows = columns.get("translation", ())
    if not any(isinstance(row, Mapping) for row in rows):
        return columns
    del columns["translation"]
    by_row: list[Mapping[str, object]] = [row if isinstance(row, Mapping) else {} for row in rows]
    keys = dict.fromkeys(itertools.chain.from_iterable(by_row))
    return columns | {key: [row.get(key) for row in by_row] for key in keys}


def _long(table: Table, codes: Sequence[object], text: str, *, strict: bool) -> list[Entry]:
    """An entry for every code among the rows; codes that are spelt differently are one if equal."""
    groups: defaultdict[object, list[int]] = defaultdict(list)
    for row, code in enumerate(codes):
        if is_missing(code) and not strict:
            continue
        if not isinstance(code, str) or not code.strip():
            kind = "no language" if is_missing(code) else f"{kind_of(code)}, not a language code"
            raise CorpusError(f"{table.source}:{table.lines[row]}: column 'language' holds {kind}")
        if strict or is_language(code):
            groups[_parts(code)].append(row)
    return [
        Entry(
            str(codes[rows[0]]),
            f"{table.source}:{table.lines[rows[0]]}",
            partial(_text_of_rows, table, text, rows),
        )
        for rows in groups.values()
    ]


def _parts(code: str) -> object:
    return replace(parse(code), code="") if is_language(code) else code


def _text_of_rows(table: Table, text: str, rows: Sequence[int]) -> Text:
    part = table.rows(rows)
    return _text(part, Column(text, _lower(part)[text]))


def _text(table: Table, column: Column) -> Text:
    if (held := column.holds) not in {"sentences", "labels", "nothing"}:
        line = next(
            n for n, cell in zip(table.lines, column.cells, strict=True) if not is_missing(cell)
        )
        where = f"{table.source}:{line}: column {column.header!r}"
        several = held == "dict" or held.startswith("struct")
        advice = f": {SINGLE}" if several else ""
        raise CorpusError(f"{where} holds {held}, not text{advice}")
    ids = _lower(table).get("id")
    return Text(
        table.source,
        ["" if is_missing(cell) else str(cell) for cell in column.cells],
        table.lines,
        None if ids is None else [key_of(cell) for cell in ids],
    )


def _lower(table: Table) -> dict[str, Sequence[object]]:
    """Columns by their name in lower case; the first where two differ by case only."""
    return {str(name).lower(): table.columns[name] for name in reversed(list(table.columns))}
