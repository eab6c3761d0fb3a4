"""What the columns of labelled data are, by their names: SIB-200, XNLI, Belebele, or as told.

=========  ===========================================================  ==========================
layout     columns                                                      one row becomes
=========  ===========================================================  ==========================
SIB-200    ``index_id``, ``category``, ``text``                         one sentence, its category
XNLI       ``premise``, ``hypothesis``, ``label`` (``sentence1``,       both texts, one after the
           ``sentence2``, ``gold_label``)                               other; their relation
Belebele   ``flores_passage``, ``question``, ``mc_answer1`` to ``4``,   passage, question and one
           ``correct_answer_num``                                       answer, four times: correct
                                                                        or wrong
as told    a column of text, a column of labels                         one sentence, its label
=========  ===========================================================  ==========================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mechsteer.corpus.formats.table import Table
from mechsteer.corpus.layouts.published import BOUQUET, HYPOTHESIS, PREMISE
from mechsteer.corpus.tasks.task import is_blank
from mechsteer.errors import CorpusError

_TEXT = ("text", "sentence", BOUQUET[1])
_LABEL = ("category", "label", "gold_label", "topic", "intent", "domain")
_ID = ("index_id", "id", "pairid", "idx", "uniq_id")
_BELEBELE = ("flores_passage", "question", "correct_answer_num")
_ANSWERS = ("mc_answer1", "mc_answer2", "mc_answer3", "mc_answer4")


@dataclass(frozen=True)
class Row:
    """One example of one language: where it stands, its key among translations, what it says."""

    line: int
    key: str
    text: str
    label: str
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """The columns that a user names; None is found by its usual name."""

    text: str | None = None
    label: str | None = None
    group: str | None = None


def examples(table: Table, told: Told) -> list[Row]:
    """The examples of a table of one language; those without a label (XNLI's ``-``) are left out.

    Raises:
        CorpusError: columns of none of the layouts, a blank text, an answer that is none of four.
    """
    columns = {str(name).strip().lower(): cells for name, cells in table.columns.items()}
    looked = _Columns(table.source, columns, table.lines)
    told_one = told.text or told.label
    if not told_one and all(name in columns for name in _BELEBELE):
        return list(_belebele(looked, told))
    if not told.text and looked.one(PREMISE) and looked.one(HYPOTHESIS):
        return list(_pairs(looked, told))
    return list(_single(looked, told))


@dataclass(frozen=True)
class _Columns:
    source: str
    cells: dict[str, Sequence[object]]
    lines: Sequence[int]

    def one(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self.cells), None)

    def named(self, told: str | None, usual: Sequence[str], what: str) -> str:
        name = self.one(usual) if told is None else told.strip().lower()
        if name is None or name not in self.cells:
            wanted = f"a column {told!r}" if told else f"a column of {what} ({', '.join(usual)})"
            raise CorpusError(
                f"{self.source}: expected {wanted}, got {', '.join(self.cells)}: name its "
                "columns of text and label"
            )
        return name

    def text(self, name: str, row: int) -> str:
        cell = self.cells[name][row]
        if not isinstance(cell, str) or is_blank(cell):
            raise CorpusError(f"{self.source}:{self.lines[row]}: column {name!r} holds no text")
        return " ".join(cell.split())

    def key(self, row: int) -> str:
        name = self.one(_ID)
        cell = self.cells[name][row] if name else None
        return f"row {row + 1}" if is_blank(cell) else str(cell).strip().removesuffix(".0")

    def group(self, told: Told, row: int) -> tuple[str, ...]:
        if told.group is None:
            return ()
        return (str(self.cells[self.named(told.group, (), "groups")][row]),)

    def labelled(self, name: str) -> Iterator[tuple[int, str]]:
        """Rows with a label, and that label."""
        for row, cell in enumerate(self.cells[name]):
            label = "" if is_blank(cell) else str(cell).strip()
            if label not in ("", "-"):
                yield row, label


def _single(found: _Columns, told: Told) -> Iterator[Row]:
    text = found.named(told.text, _TEXT, "text")
    label = found.named(told.label, _LABEL, "labels")
    for row, value in found.labelled(label):
        yield Row(
            found.lines[row], found.key(row), found.text(text, row), value, found.group(told, row)
        )


def _pairs(found: _Columns, told: Told) -> Iterator[Row]:
    """Premise and hypothesis; three hypotheses of one premise stay together."""
    first, second = (found.named(None, names, "text") for names in (PREMISE, HYPOTHESIS))
    label = found.named(told.label, _LABEL, "labels")
    for row, value in found.labelled(label):
        premise = found.text(first, row)
        both = f"{premise} {found.text(second, row)}"
        shared = (premise, *found.group(told, row))
        yield Row(found.lines[row], found.key(row), both, value, shared)


def _belebele(found: _Columns, told: Told) -> Iterator[Row]:
    """Four examples a question; questions of one passage stay together."""
    answers = [found.named(None, (name,), "answers") for name in _ANSWERS]
    for row, value in found.labelled("correct_answer_num"):
        right = value.removesuffix(".0")
        if right not in ("1", "2", "3", "4"):
            raise CorpusError(
                f"{found.source}:{found.lines[row]}: expected correct_answer_num from 1 to 4, got "
                f"{value!r}"
            )
        passage, question = found.text("flores_passage", row), found.text("question", row)
        key = _question_key(found, row)
        for number, answer in enumerate(answers, start=1):
            yield Row(
                found.lines[row],
                f"{key} answer {number}",
                f"{passage} {question} {found.text(answer, row)}",
                "correct" if str(number) == right else "wrong",
                (passage, *found.group(told, row)),
            )


def _question_key(found: _Columns, row: int) -> str:
    """Passages have links and their questions numbers; rows are parallel where they have not."""
    if "link" in found.cells and "question_number" in found.cells:
        return f"{found.cells['link'][row]} question {found.cells['question_number'][row]}"
    return found.key(row)
