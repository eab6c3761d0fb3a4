"""What the cells of a labelled table say: sentences, concepts and languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import TypedDict

from mechsteer.corpus.formats.text import flaw
from mechsteer.corpus.layouts.columns import is_missing, kind_of
from mechsteer.corpus.names.naming import name_or_none
from mechsteer.errors import CorpusError, shown

_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


class Columns(TypedDict, total=False):
    """The fields of ``Told`` beside the label, as keywords."""

    text: str | None
    language: str | None
    separator: str | None


def require_no_columns(columns: Columns) -> None:
    """Refuse columns that a label alone makes use of.

    Raises:
        CorpusError: there are some.
    """
    if given := [name for name, value in columns.items() if value is not None]:
        raise CorpusError(
            f"{' and '.join(given)}: a column is named, and no label: name the column of labels "
            "(label=, --label), or leave both out for sentences by language"
        )


@dataclass(frozen=True)
class Told:
    """Which columns are what.

    Attributes:
        label: the column of labels, or several of 0 and 1.
        text: the column of sentences; by default one that is called so.
        language: the column of languages, where sentences are in several.
        separator: what parts the labels of one cell, where it has several.

    Raises:
        CorpusError: no label, or one named twice; an empty separator.
    """

    label: tuple[str, ...]
    text: str | None = None
    language: str | None = None
    separator: str | None = None

    def __post_init__(self) -> None:
        if not self.label or len(set(self.label)) < len(self.label):
            raise CorpusError(
                f"expected a column of labels, or several different ones, got {list(self.label)}"
            )
        if self.separator == "":
            raise CorpusError("expected what parts the labels of a cell (separator='|'), got ''")


def sentence_in(cell: object, where: str) -> str:
    """A cell as a sentence; a blank one is empty.

    Raises:
        CorpusError: it is no text.
    """
    if is_missing(cell):
        return ""
    if not isinstance(cell, str):
        raise CorpusError(f"{where}: expected a sentence, got {kind_of(cell)} {shown(cell)}")
    return cell


def concepts_in(cells: Sequence[object], told: Told, where: str) -> tuple[str, ...] | None:
    """The concepts of a row, in a fixed order; None where it has no label.

    Raises:
        CorpusError: a cell that is no label, or neither 0 nor 1 where several columns are labels.
    """
    if len(cells) > 1:
        named = zip(told.label, cells, strict=True)
        return tuple(name for name, cell in named if _is_yes(cell, name, where))
    (cell,) = cells
    if isinstance(cell, list | tuple):
        return tuple(sorted({_label(each, where) for each in cell if not _is_blank(each)}))
    if _is_blank(cell):
        return None
    if told.separator is None:
        return (_label(cell, where),)
    parts = str(cell).split(told.separator)
    return tuple(sorted({_label(part, where) for part in parts if part.strip()}))


def _is_yes(cell: object, name: str, where: str) -> bool:
    text = str(cell).strip().lower()
    if text not in _YES + _NO:
        raise CorpusError(
            f"{where}: column {name!r} is one of several labels: expected 0 or 1, got {shown(cell)}"
        )
    return text in _YES


def _label(cell: object, where: str) -> str:
    """A cell as a label: text as it stands, numbers as they are read."""
    if not isinstance(cell, str | int | float | bool):
        raise CorpusError(f"{where}: expected a label, got {kind_of(cell)}")
    whole = isinstance(cell, float) and cell.is_integer()
    text = " ".join((str(int(cell)) if whole else str(cell)).split())
    if reason := flaw(text):
        raise CorpusError(f"{where}: a label that cannot be used: {reason}")
    return text


def _is_blank(cell: object) -> bool:
    return is_missing(cell) or (isinstance(cell, str) and not cell.strip())


def language_in(cell: object, where: str) -> str:
    """The language that a cell names.

    Raises:
        CorpusError: it names none.
    """
    if _is_blank(cell):
        raise CorpusError(f"{where}: expected a language, got none")
    return language_named(str(cell).strip())


def language_named(code: str) -> str:
    """The canonical name of a code; any other word as it stands."""
    return name_or_none(code) or code
