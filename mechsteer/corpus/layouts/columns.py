"""What the columns of a table are: languages, by their header and by what they hold.

Words of tables are spelt like languages: ``no`` (a number, or Norwegian), ``mt`` (what a machine
translated, or Maltese), ``src`` (the source, or Sardinian). They are judged by their neighbours and
their cells, and what was taken for what is said.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mechsteer.corpus.formats.parquet import Opaque
from mechsteer.corpus.names.codes import is_language, parse
from mechsteer.corpus.names.flores import FLORES200
from mechsteer.corpus.names.naming import name_or_none
from mechsteer.errors import CorpusError, CorpusWarning

SINGLE = "give the tables of single languages, as fr/test-00000-of-00001.parquet"
"""What to do where each cell holds the sentences of all languages."""
# Columns of translation tables: Sardinian is srd.
_OF_TRANSLATION = frozenset(["src", "ref", "hyp", "tgt", "trg", "pe"])
# Never a language, unless asked for by this very spelling.
_WORDS = _OF_TRANSLATION.union(
    ["age", "bin", "col", "cos", "day", "doc", "gen", "idx", "img", "key", "lab", "len", "log"],
    ["num", "old", "ord", "out", "pos", "raw", "row", "seg", "sem", "set", "sex", "sid", "sim"],
    ["spk", "sum", "sys", "tag", "tok", "top", "uid", "url", "val", "yes"],
)
# Languages people have corpora of: taken where they hold sentences, and nothing is src or ref.
_JUDGED = frozenset(["cat", "est", "is", "max", "min", "mon", "mt", "no", "nr"])
_OF_TEXT = frozenset(["sentences", "labels"])
_INDEX = re.compile(r"|index|level_\d+|unnamed: \d+|__index_level_\d+__")  # as pandas names them
_MISSING = frozenset({"", "<na>", "n/a", "na", "nan", "nat", "none", "null"})
_WHOLE = re.compile(r"[0-9]+\.0")
_LABELS_PER_VALUE = 5  # a column that repeats each value so often holds labels, not sentences


@dataclass(frozen=True)
class Column:
    """A column of a table: its header, its cells, and the language code its header may be."""

    header: str
    cells: Sequence[object]

    @property
    def code(self) -> str:
        """The header as a language code, which it need not be."""
        return self.header.strip().removeprefix("sentence_")

    @property
    def is_language(self) -> bool:
        """Whether the header is a code; ``id`` is an identifier, never Indonesian."""
        return self.code.lower() != "id" and is_language(self.code)

    @property
    def is_sure(self) -> bool:
        """Whether the header can hardly be anything else: a script, or three letters of FLORES."""
        if self.word in _WORDS | _JUDGED:
            return False
        return parse(self.code).script is not None or self.code.lower() in _three_letters()

    @property
    def word(self) -> str:
        """The header as a word of tables."""
        return self.header.strip().lower()

    @property
    def holds(self) -> str:
        """``sentences``, or what else: ``numbers``, ``labels``, ``nothing``, or a type's name."""
        cells = [cell for cell in self.cells if not is_missing(cell)]
        if not cells:
            return "nothing"
        if kind := next((kind_of(cell) for cell in cells if not isinstance(cell, str)), None):
            return kind
        if all(_is_number(str(cell)) for cell in cells):
            return "numbers"
        repeated = len(cells) >= _LABELS_PER_VALUE * len({str(cell) for cell in cells})
        return "labels" if repeated and len(cells) > 20 else "sentences"


def is_missing(cell: object) -> bool:
    """Whether a cell is empty: ``None``, NaN or an empty string."""
    return cell is None or cell == "" or cell != cell  # noqa: PLR0124


def key_of(cell: object) -> str | None:
    """A cell as a key of translations; ``None`` for a missing value, however it is spelt.

    Whole numbers are one key as integers, decimals and text, as pandas writes them.

    >>> key_of(3.0), key_of("3.0"), key_of("NaN"), key_of(None)
    ('3', '3', None, None)
    """
    if is_missing(cell) or str(cell).strip().lower() in _MISSING:
        return None
    text = str(cell).strip()
    return text.removesuffix(".0") if _WHOLE.fullmatch(text) else text


def kind_of(cell: object) -> str:
    """The type of a cell, for messages."""
    return cell.kind if isinstance(cell, Opaque) else type(cell).__name__


def languages_of(
    columns: Mapping[str, Sequence[object]], codes: Sequence[str] | None, *, source: str
) -> list[Column]:
    """The columns that are languages: those asked for if ``codes`` are given, else all that are.

    Warns:
        CorpusWarning: Columns were left out, or a word of tables was taken for a language.

    Raises:
        CorpusError: A column of text that is no language, or of a language that is no text.
    """
    found = [Column(str(header), cells) for header, cells in columns.items()]
    if codes is None:
        return _all_languages(found, source)
    spelt = {code.lower() for code in codes}
    return [each for each in found if each.code.lower() in spelt or _may_be_asked(each)]


def _may_be_asked(column: Column) -> bool:
    """Whether a column may answer to a language under another spelling."""
    if not column.is_language or column.word in _WORDS:
        return False
    return column.is_sure or column.holds in _OF_TEXT


def _all_languages(found: Sequence[Column], source: str) -> list[Column]:
    translation = any(each.word in _OF_TRANSLATION for each in found)
    marked = any(each.code != each.header.strip() and each.is_language for each in found)
    verdicts = []
    for each in found:
        verdict = _verdict(each, translation=translation)
        if verdict == "refuse" and marked:
            verdict = "leave"  # facebook/flores has a URL beside its sentence_fra_Latn
        if verdict == "refuse":
            raise CorpusError(f"{source}: column {each.header!r}: {_doubt(each)}")
        verdicts.append((each, verdict))
    taken = [each for each, verdict in verdicts if verdict == "take"]
    left = [each for each, verdict in verdicts if verdict == "leave" and each.word != "id"]
    _say(taken, left, source)
    return taken


def _verdict(column: Column, *, translation: bool) -> Literal["take", "leave", "refuse"]:
    """What to do with a column when all languages are read."""
    if column.word == "id" or _INDEX.fullmatch(column.word):
        return "leave"
    if column.is_language and column.is_sure:
        return "take"  # what it holds is checked when it is read
    if column.holds not in _OF_TEXT:
        return "leave"
    if not column.is_language or column.word in _WORDS:
        return "refuse"
    judged = column.word in _JUDGED
    if judged and column.holds == "labels":
        return "leave"
    return "refuse" if judged and translation else "take"


def _doubt(column: Column) -> str:
    known = "name the languages to read, or rename the column"
    if " " in column.header.strip():
        known += "; a table begins with a line of column names"
    if column.is_language:
        name = name_or_none(column.code)
        return f"a word of tables, or the language {name or column.code}; {known}"
    try:
        parse(column.code)
    except CorpusError as error:
        return f"{error}; {known}"
    return known


def _say(taken: Sequence[Column], left: Sequence[Column], source: str) -> None:
    if taken and (left or any(each.word in _JUDGED for each in taken)):
        read = ", ".join(f"{each.header} as {name_or_none(each.code)}" for each in taken)
        out = ", ".join(f"{each.header!r} ({each.holds})" for each in left)
        warnings.warn(
            f"{source}: read {read}{out and f', left out {out}'}: name the languages to read if "
            "that is wrong",
            CorpusWarning,
            stacklevel=4,
        )


@functools.cache
def _three_letters() -> frozenset[str]:
    return frozenset(name[:3] for name in FLORES200)


def _is_number(text: str) -> bool:
    """Whether a cell is a number, a truth value, or a date."""
    plain = text.strip().removesuffix("%").replace(",", "")
    try:
        float(plain)
    except ValueError:
        return plain.lower() in {"true", "false"} or _is_date(text)
    return True


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    return True
