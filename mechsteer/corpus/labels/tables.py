"""Rows of a table under a label that is any of its columns.

A label is one column (``tone``), several columns of 0 and 1 (``toxic``, ``insult``), or one column
of several labels a cell: a list, or a text with a separator. What overlaps is kept as sets, see
``mechsteer.corpus.labels.concepts``. Rows without a label, and blank sentences, are left out and
counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mechsteer.corpus.formats.packed import suffix_of
from mechsteer.corpus.formats.table import SUFFIXES, Table, read_rows
from mechsteer.corpus.formats.text import Text
from mechsteer.corpus.labels.cells import (
    Told,
    concepts_in,
    language_in,
    language_named,
    sentence_in,
)
from mechsteer.corpus.labels.concepts import Concepts, require_told_apart
from mechsteer.corpus.layouts.files import require_format
from mechsteer.corpus.layouts.tables import in_split
from mechsteer.errors import CorpusError, CorpusWarning, shown

_TEXT = ("text", "sentence", "content", "review", "comment", "tweet")
_JOINED = " + "  # names of concepts that a label stands for
NONE = "(none)"  # of the concepts
_FEW, _ALIKE = 10, 2  # labels of which each has sentences on average, or they are none


def read_labelled(
    given: Path | Table,
    told: Told,
    *,
    languages: Sequence[str] | None = None,
    split: str | None = None,
) -> tuple[dict[str, Text], Concepts]:
    """Sentences by label, in the order in which labels first stand, and what the labels mean.

    Args:
        given: a table, or the path of one.
        told: its columns.
        languages: to read, where a column tells them; all by default.
        split: to read, where a column ``split`` tells several.

    Warns:
        CorpusWarning: Rows without a label or a sentence were left out.

    Raises:
        CorpusError: What ``read_rows`` refuses, no such column, a cell that is no text or no label,
            fewer than two concepts, a language that is not there.
    """
    table = given if isinstance(given, Table) else _read(given)
    if languages is not None and told.language is None:
        raise CorpusError(
            f"{Path(table.source).name}: languages are asked for, and no column tells them: name "
            "it (language=, --language-column)"
        )
    return grouped(_rows(in_split(table, split), told, languages), told, table.source)


def _read(path: Path) -> Table:
    require_format(path)
    if suffix_of(path) not in SUFFIXES:
        raise CorpusError(
            f"labels stand in a column of a table ({', '.join(SUFFIXES)}), got {path}: leave the "
            "label out for a folder with a file per language"
        )
    return read_rows(path)


@dataclass(frozen=True)
class Row:
    """A sentence with the concepts it has, where it stands, and its language if that is told."""

    text: str
    concepts: tuple[str, ...]
    line: int
    language: str = ""


def grouped(rows: Sequence[Row], told: Told, source: str) -> tuple[dict[str, Text], Concepts]:
    """Rows by label, and what the labels mean.

    Raises:
        CorpusError: fewer than two concepts, or as many as there are sentences.
    """
    label = ", ".join(told.label)
    overlapping = len(told.label) > 1 or any(len(row.concepts) != 1 for row in rows)
    names = dict.fromkeys(name for row in rows for name in row.concepts)
    if len(told.label) > 1:
        names = dict.fromkeys(told.label)
    if not (overlapping and names):
        require_told_apart(list(names), label, source)
    if len(names) > _FEW and len(rows) < _ALIKE * len(names):
        raise CorpusError(
            f"{source}: column {label!r} holds {len(names)} different values in {len(rows)} rows: "
            "expected labels, which several sentences share"
        )
    found = _by_name(rows)
    texts = {
        name: Text(source, [row.text for row in own], [row.line for row in own])
        for name, own in found.items()
    }
    combined = {name: set(own[0].concepts) for name, own in found.items()}
    sets = {name: tuple(each for each, held in combined.items() if name in held) for name in names}
    if overlapping:
        _require_both(sets, found, source)
    languages = {name: tuple(row.language for row in own) for name, own in found.items()}
    return texts, Concepts(
        label, sets if overlapping else {}, languages if told.language is not None else {}
    )


def _by_name(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each combination of concepts, by a name of its own."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(row.concepts, []).append(row)
    found: dict[str, list[Row]] = {}
    for concepts, own in groups.items():
        name = _JOINED.join(concepts) or NONE
        while name in found:  # a concept may be called like a combination
            name += "*"
        found[name] = own
    return found


def _require_both(
    sets: Mapping[str, Sequence[str]], found: Mapping[str, object], source: str
) -> None:
    """Every concept needs sentences that have it, and some that do not."""
    for name, labels in sets.items():
        if not labels or len(labels) == len(found):
            held = "no sentence" if not labels else "every sentence"
            raise CorpusError(
                f"{source}: {held} has {shown(name)}: expected some with it and some without, to "
                "tell apart"
            )


def _rows(table: Table, told: Told, languages: Sequence[str] | None) -> list[Row]:
    sentences = _column(table, told.text, _TEXT, "sentences")
    columns = [_column(table, name, (), "labels") for name in told.label]
    if sentences in columns:
        raise CorpusError(f"{table.source}: column {sentences!r} is that of the sentences")
    texts, labels = table.columns[sentences], [table.columns[name] for name in columns]
    spoken = told.language and table.columns[_column(table, told.language, (), "languages")]
    wanted = None if languages is None else [language_named(code) for code in languages]
    rows, without, blank = [], [], []
    for number, (line, text) in enumerate(zip(table.lines, texts, strict=True)):
        where = f"{table.source}:{line}"
        language = language_in(spoken[number], where) if spoken else ""
        if wanted is not None and language not in wanted:
            continue
        concepts = concepts_in([cells[number] for cells in labels], told, where)
        if concepts is None:
            without.append(line)
        elif sentence := sentence_in(text, where).strip():
            rows.append(Row(sentence, concepts, line, language))
        else:
            blank.append(line)
    _require_languages(wanted, rows, table.source)
    _warn(table.source, without, "a label")
    _warn(table.source, blank, "a sentence")
    if not rows:
        raise CorpusError(f"{table.source} has no row with both a sentence and a label")
    return rows


def _column(table: Table, told: str | None, usual: Sequence[str], what: str) -> str:
    """The header of a column, as it is written, else whatever its case."""
    names = {str(name).strip().lower(): name for name in reversed(list(table.columns))}
    asked = (told,) if told is not None else usual
    for name in asked:
        if name in table.columns:
            return name
        if name.strip().lower() in names:
            return str(names[name.strip().lower()])
    wanted = f"a column {told!r}" if told is not None else f"a column of {what} ({usual[0]}, say)"
    advice = "" if told is not None else ": name it (text=, --text)"
    held = ", ".join(map(str, list(table.columns)[:20]))
    raise CorpusError(f"{table.source}: expected {wanted}, got {held}{advice}")


def _require_languages(wanted: Sequence[str] | None, rows: Sequence[Row], source: str) -> None:
    held = dict.fromkeys(row.language for row in rows)
    if missing := [name for name in wanted or () if name not in held]:
        raise CorpusError(f"{source} has no {', '.join(missing)} among its languages")


def _warn(source: str, lines: Sequence[int], what: str) -> None:
    if lines:
        rows = "1 row" if len(lines) == 1 else f"{len(lines)} rows"
        warnings.warn(
            f"{source}:{lines[0]}: {rows} without {what} left out", CorpusWarning, stacklevel=4
        )
