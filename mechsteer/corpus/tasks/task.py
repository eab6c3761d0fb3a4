"""Sentences with a label of what they say, n-way parallel: what a zero-shot probe learns and tests.

Sentence *i* and its label mean the same in every language, so that what is held out in one language
is held out in all. Sentences that share a text (a premise, a passage, a repeated line) are one
*group*: a group is never parted between training and test.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mechsteer.corpus.corpora import LabelledCorpus
from mechsteer.corpus.formats.table import read_rows
from mechsteer.corpus.labels.cells import Told
from mechsteer.corpus.labels.tables import Row, grouped
from mechsteer.corpus.parallel import ParallelCorpus
from mechsteer.display import Displayed, listed
from mechsteer.errors import CorpusError, shown

TOPICS = Path(__file__).parents[2] / "embedded" / "topics"
"""Topics of the embedded sentences, one a line of ``dev`` and ``test``."""


@dataclass(frozen=True, repr=False)
class Task(Displayed):
    """Parallel sentences, a label for each, and which of them belong together.

    >>> corpus = ParallelCorpus({"fr": ["Bonjour.", "Merci."], "de": ["Hallo.", "Danke."]})
    >>> Task(corpus, ("greeting", "thanks")).classes
    ('greeting', 'thanks')

    Attributes:
        corpus: the sentences.
        labels: of sentence i, the same in every language.
        shared: of sentence i, the parts that it may share with others (its document, say); equal
            parts make a group. Equal sentences of one language always do.

    Raises:
        CorpusError: another number of labels than of sentences, an empty label, fewer than two
            classes.
    """

    corpus: ParallelCorpus
    labels: tuple[str, ...]
    shared: tuple[tuple[str, ...], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        n, name = self.corpus.n_sentences, self.corpus.name
        if len(self.labels) != n:
            raise CorpusError(
                f"{name} has {n} sentences a language and {len(self.labels)} labels: expected one "
                "label a sentence (blank sentences are left out of a corpus, labels are not)"
            )
        if self.shared and len(self.shared) != n:
            raise CorpusError(f"{name}: expected shared parts of {n} sentences")
        if (
            empty := next((i for i, x in enumerate(self.labels) if not x.strip()), None)
        ) is not None:
            raise CorpusError(f"{name}: sentence {empty + 1} has no label")
        if len(self.classes) < 2:
            raise CorpusError(
                f"{name}: expected labels of two classes or more, got {shown(list(self.classes))}"
            )

    def _line(self) -> str:
        classes = f"{len(self.classes)} classes ({listed(self.classes)})"
        return f"{self.corpus.name}: {classes} in {len(self.corpus.languages)} languages"

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that there are, sorted."""
        return tuple(sorted(set(self.labels)))

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Number of the group of each sentence: the first sentence it shares a text with."""
        return tuple(_groups(self._parts(), len(self.labels)))

    def _parts(self) -> Iterable[tuple[int, tuple[str, str]]]:
        for row, parts in enumerate(self.shared):
            yield from ((row, ("shared", part)) for part in parts)
        for language, sentences in self.corpus.sentences.items():
            yield from ((row, (language, text.strip())) for row, text in enumerate(sentences))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of languages, sentences, labels and groups in order."""
        digest = hashlib.sha256(self.corpus.fingerprint.encode())
        for part in (*self.labels, *map(str, self.groups)):
            data = part.encode("utf-8")
            digest.update(len(data).to_bytes(8, "big") + data)
        return digest.hexdigest()

    def rows(self, numbers: Sequence[int]) -> Task:
        """The sentences of these numbers in every language, in this order."""
        shared = tuple(self.shared[i] for i in numbers) if self.shared else ()
        return Task(self.corpus.rows(numbers), tuple(self.labels[i] for i in numbers), shared)

    def select(self, languages: Sequence[str] | str) -> Task:
        """The named languages, in the order named; the groups stay those of all languages."""
        groups = tuple((str(group),) for group in self.groups)
        return Task(self.corpus.select(languages), self.labels, groups)

    def by_label(self, name: str = "label") -> LabelledCorpus:
        """The sentences under their labels, each told apart within every language.

        Args:
            name: what the labels are called: topic, say.
        """
        rows = [
            Row(text, (label,), row, language)
            for language, texts in self.corpus.sentences.items()
            for row, (text, label) in enumerate(zip(texts, self.labels, strict=True), start=1)
        ]
        texts, concepts = grouped(rows, Told((name,), language="language"), self.corpus.name)
        return LabelledCorpus(
            {label: text.sentences for label, text in texts.items()},
            name=self.corpus.name,
            sources=dict.fromkeys(texts, self.corpus.name),
            lines={label: text.lines for label, text in texts.items()},
            concepts=concepts,
        )

    @classmethod
    def embedded(cls, split: str, *, languages: Sequence[str] | str | None = None) -> Task:
        """The embedded sentences and their topics, ``dev`` or ``test``.

        Five topics (everyday, nature, society, tales, technology), given by one reader of the
        English sentences: enough to see transfer, not a benchmark.
        """
        corpus = ParallelCorpus.embedded(split, languages=languages)
        return cls(corpus, label_column(TOPICS / f"{split}.tsv"))


def label_column(path: Path, column: str | None = None) -> tuple[str, ...]:
    """The labels of a table with one row a sentence, in the order of a corpus.

    Args:
        path: of a table.
        column: whose cells are labels; the only one by default.

    Raises:
        CorpusError: no such column, or several and none was named; an empty cell.
    """
    table = read_rows(path)
    names = list(map(str, table.columns))
    if column is None and len(names) > 1:
        raise CorpusError(f"{path}: which column is the label? name one of {', '.join(names)}")
    column = names[0] if column is None else column
    if column not in names:
        raise CorpusError(f"{path} has no column {column!r}: choose one of {', '.join(names)}")
    cells = table.columns[column]
    if empty := [line for line, cell in zip(table.lines, cells, strict=True) if is_blank(cell)]:
        raise CorpusError(f"{path}:{empty[0]}: column {column!r} holds no label")
    return tuple(str(cell).strip() for cell in cells)


def is_blank(cell: object) -> bool:
    """Whether a cell of a table holds nothing: None, NaN or white space."""
    return cell is None or cell != cell or not str(cell).strip()  # noqa: PLR0124


def one_label(found: Mapping[str, str], where: str) -> str:
    """The label that every language gives one sentence.

    Raises:
        CorpusError: they differ, so these are no translations; the languages are named.
    """
    counts = Counter(found.values())
    if len(counts) > 1:
        said = ", ".join(f"{language} {label!r}" for language, label in found.items())
        raise CorpusError(
            f"{where} has different labels in different languages ({shown(said, 200)}): rows with "
            "one id, or one number where there is none, must be translations of each other"
        )
    return next(iter(counts))


def _groups(parts: Iterable[tuple[int, tuple[str, str]]], n: int) -> list[int]:
    """The smallest row that each row is joined to, directly or over others, by equal parts."""
    root = list(range(n))

    def find(row: int) -> int:
        while root[row] != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    first: dict[tuple[str, str], int] = {}
    for row, part in parts:
        one, other = sorted((find(row), find(first.setdefault(part, row))))
        root[other] = one
    return [find(row) for row in range(n)]
