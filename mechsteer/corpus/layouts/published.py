"""Tables of published data sets as text: which column is the sentence, its id and its language.

===============  ====================================  =========================================
layout           columns                               what is read
===============  ====================================  =========================================
SIB-200          ``index_id``, ``text``                ``text``
Belebele         ``flores_passage``, ``question``,     each question once; the link of its
                 ``link``, ``question_number``         passage and its number are its id
PAWS-X, XNLI     ``sentence1``, ``sentence2``          the first of the two sentences, those of
                 (``premise``, ``hypothesis``) and     one ``promptID`` once
                 ``label`` (``gold_label``)
BOUQuET          ``src_lang``, ``src_text``,           the source; ``tgt_text`` too, in a
                 ``uniq_id``, ``level``                language that is no source
bitext of MTEB   ``sentence1``, ``sentence2`` and      both, row by row
                 ``lang``, as ``deu-eng``
MMLU, XQuAD,     ``question`` or ``premise`` beside    the question or the premise
XCOPA            its options, choices or ``context``
===============  ====================================  =========================================

Any other table is left as it is. Columns may stand in any order, among any others.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mechsteer.corpus.formats.packed import unpacked
from mechsteer.corpus.formats.table import Table
from mechsteer.corpus.layouts.columns import is_missing, key_of
from mechsteer.corpus.names.codes import is_language
from mechsteer.errors import CorpusWarning

LANGUAGE = ("language", "lang", "dialect")
"""Columns that give the language of a row."""
PREMISE = ("premise", "sentence1")
HYPOTHESIS = ("hypothesis", "sentence2", "hypo")
RELATION = ("label", "gold_label")
BELEBELE = ("flores_passage", "question")
BOUQUET = ("src_lang", "src_text")
_MARKS = frozenset(["text", "sentence", *PREMISE, *HYPOTHESIS, *BELEBELE, *BOUQUET])
_PAIR = re.compile(r"([a-z]{2,3}(?:_[a-z]{4})?)-([a-z]{2,3}(?:_[a-z]{4})?)", re.IGNORECASE)
_ANSWERS = ("option_a", "option_0", "options", "choices", "context")
_QUESTION_IDS = ("question_id", "sample_id", "id", "idx")
_LEVELS = ("sentence_level", "paragraph_level")


def has_header(names: Sequence[str]) -> bool:
    """Whether a first row names columns: one of them is that of text in some layout."""
    return any(name in _MARKS for name in names)


def pair_of(text: str) -> tuple[str, str] | None:
    """The two languages of ``deu-eng``; None where one of them is none.

    >>> pair_of("deu_Latn-eng"), pair_of("follow-up")
    (('deu_Latn', 'eng'), None)
    """
    match = _PAIR.fullmatch(text.strip())
    found = (match[1], match[2]) if match else None
    return found if found and all(map(is_language, found)) else None


def as_text(table: Table, *, alone: bool = False) -> Table:
    """A published table with columns ``language``, ``text`` and ``id``; any other as it is.

    Args:
        table: of any layout.
        alone: whether it is the file of one language, and translations beside its text are not
            meant.
    """
    table = of_pair(table)
    found = _Found(table)
    if found.all(BELEBELE):
        return found.questions()
    if found.all(BOUQUET):
        return found.sources(alone=alone)
    if (first := found.one(PREMISE)) and (second := found.one(HYPOTHESIS)):
        if pairs := found.pairs():
            return found.bitext(first, second, pairs)
        if found.one(RELATION):
            return found.premises(first)
    if text := found.asked():
        return found.one_text(text)
    return found.with_id()


def of_pair(table: Table) -> Table:
    """Two texts a row with a column of their languages, which else a file or folder is named by."""
    path, found = unpacked(Path(table.source)), _Found(table)
    pair = pair_of(path.stem) or pair_of(path.parent.name)
    if not (pair and found.one(PREMISE) and found.one(HYPOTHESIS)) or found.one(LANGUAGE):
        return table
    return replace(table, columns={**table.columns, "lang": ["-".join(pair)] * found.n})


@dataclass(frozen=True)
class _Found:
    """The columns of a table by their name in lower case."""

    table: Table

    @property
    def cells(self) -> dict[str, Sequence[object]]:
        return {str(name).strip().lower(): each for name, each in self.table.columns.items()}

    @property
    def n(self) -> int:
        return len(self.table.lines)

    def asked(self) -> str | None:
        """The column of what is asked, in a table of questions with their answers."""
        if self.one(("text", "sentence")):
            return None
        if self.all(("premise", "choice1")):
            return "premise"
        return "question" if self.one(_ANSWERS) and "question" in self.cells else None

    def all(self, names: Sequence[str]) -> bool:
        return all(name in self.cells for name in names)

    def one(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self.cells), None)

    def key(self, *names: str) -> list[str | None] | None:
        """The cells of columns as one id a row, None for a row that lacks one."""
        if not self.all(names):
            return None
        rows = zip(*(map(key_of, self.cells[name]) for name in names), strict=True)
        return [None if None in row else " ".join(map(str, row)) for row in rows]

    def language(self) -> list[object] | None:
        name = self.one(LANGUAGE)
        return list(self.cells[name]) if name else None

    def made(
        self,
        text: Sequence[object],
        ids: Sequence[object] | None,
        language: Sequence[object] | None,
        *,
        once: bool = False,
    ) -> Table:
        """The table of these columns: of the rows of one id and language the first, if ``once``."""
        given = {"language": language, "text": text, "id": ids}
        columns = {name: list(cells) for name, cells in given.items() if cells is not None}
        made = replace(self.table, columns=columns)
        if not once or ids is None:
            return made
        keys = list(zip(ids, language or [None] * self.n, strict=True))
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        kept = [row for row, key in enumerate(keys) if key[0] is None or first[key] == row]
        return made.rows(kept)

    def with_id(self) -> Table:
        """The table as it is, with SIB-200's id under its usual name."""
        if "index_id" not in self.cells or "text" not in self.cells or "id" in self.cells:
            return self.table
        columns = {**self.table.columns, "id": self.cells["index_id"]}
        return replace(self.table, columns=columns)

    def one_text(self, name: str) -> Table:
        ids = next((each for key in _QUESTION_IDS if (each := self.key(key))), None)
        return self.made(self.cells[name], ids, self.language())

    def questions(self) -> Table:
        ids = self.key("link", "question_number") or self.key("id")
        return self.made(self.cells["question"], ids, self.language(), once=True)

    def premises(self, first: str) -> Table:
        ids = self.key("promptid") or self.key("pairid") or self.key("id")
        return self.made(self.cells[first], ids, self.language(), once="promptid" in self.cells)

    def pairs(self) -> list[tuple[str, str]] | None:
        """The two languages of every row."""
        found = [pair_of(str(cell)) for cell in self.language() or ()]
        return [pair for pair in found if pair] if found and all(found) else None

    def bitext(self, first: str, second: str, pairs: Sequence[tuple[str, str]]) -> Table:
        ids = [str(row) for row in range(self.n)]
        sides = [[pair[side] for pair in pairs] for side in (0, 1)]
        text = [*self.cells[first], *self.cells[second]]
        doubled = replace(self.table, lines=[*self.table.lines] * 2)
        return _Found(doubled).made(text, ids * 2, sides[0] + sides[1])

    def sources(self, *, alone: bool) -> Table:
        """Sources, and targets in languages that are no source, each once."""
        ids = self.key("uniq_id") or self.key("id") or [str(row) for row in range(self.n)]
        known = set(self.cells["src_lang"])
        source = self.made(self.cells["src_text"], ids, self.cells["src_lang"], once=True)
        if alone or not self.all(("tgt_lang", "tgt_text")):
            return source
        target = self.made(self.cells["tgt_text"], ids, self.cells["tgt_lang"], once=True)
        codes = target.columns["language"]
        rows = [i for i, code in enumerate(codes) if code not in known and not is_missing(code)]
        return _joined(source, target.rows(rows))


def parted(split: str | None) -> tuple[str | None, str | None]:
    """A split and a level of BOUQuET, of which it may name one or both.

    >>> parted("dev/paragraph_level"), parted("dev"), parted("sentence_level")
    (('dev', 'paragraph_level'), ('dev', None), (None, 'sentence_level'))
    """
    parts = split.split("/") if split else []
    level = next((part for part in parts if part in _LEVELS), None)
    return "/".join(part for part in parts if part != level) or None, level


def in_level(table: Table, split: str | None) -> tuple[Table, str | None]:
    """The rows of one level of BOUQuET, and what ``split`` says beside it, as in ``dev/LEVEL``.

    Warns:
        CorpusWarning: no level was named and there are two: the sentences are read.
    """
    found = _Found(table)
    levels = list(found.cells.get("level", ())) if found.all(BOUQUET) else []
    rest, named = parted(split)
    rest, named = (rest, named) if named in levels else (split, None)
    if named is None and _LEVELS[0] in levels and len(set(levels)) > 1:
        warnings.warn(
            f"{table.source}: read its sentences and left out its paragraphs: name "
            f"split={_LEVELS[1]!r} to read them, or 'dev/{_LEVELS[1]}'",
            CorpusWarning,
            stacklevel=3,
        )
        return table.rows([row for row, each in enumerate(levels) if each == _LEVELS[0]]), split
    if named is None:
        return table, split
    return table.rows([row for row, each in enumerate(levels) if each == named]), rest


def _joined(first: Table, second: Table) -> Table:
    columns = {name: [*cells, *second.columns[name]] for name, cells in first.columns.items()}
    return replace(first, columns=columns, lines=[*first.lines, *second.lines])
