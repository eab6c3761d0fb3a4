"""Which sentences a probe learns from and which it is tested on, the same in every language."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mechsteer.corpus.overlap import overlap
from mechsteer.corpus.parallel import ParallelCorpus
from mechsteer.corpus.tasks.task import Task
from mechsteer.errors import CorpusError


@dataclass(frozen=True)
class Division:
    """Sentences of a task, and the numbers of those to learn from and to test on.

    A group of the task is never parted, so no translation of a test sentence is trained on, and
    nothing that shares its text.
    """

    task: Task
    train: tuple[int, ...]
    test: tuple[int, ...]

    def __post_init__(self) -> None:
        count = Counter(self.task.labels[i] for i in self.train)
        if few := [label for label in self.task.classes if count[label] < 2]:
            raise CorpusError(
                f"{self.task.corpus.name}: expected two training sentences or more of every class, "
                f"got {count[few[0]]} of {few[0]!r}: leave the class out, or hold out fewer"
            )
        if len(self.test) < 2:
            raise CorpusError(f"{self.task.corpus.name}: expected two test sentences or more")


def held_out(task: Task, share: float, seed: int) -> Division:
    """Hold out about a share of the sentences: whole groups, drawn within each class in turn.

    Groups are shuffled once; each goes to the test side while the class of its first sentence has
    less than its share there.

    Raises:
        CorpusError: a class is left with fewer than two training sentences, or nothing to test.
    """
    members: dict[int, list[int]] = {}
    for row, group in enumerate(task.groups):
        members.setdefault(group, []).append(row)
    total, tested = Counter(task.labels), Counter[str]()
    test: list[int] = []
    for group in np.random.default_rng(seed).permutation(sorted(members)):
        rows = members[int(group)]
        label = task.labels[rows[0]]
        if tested[label] + len(rows) / 2 <= share * total[label]:
            test += rows
            tested.update(task.labels[row] for row in rows)
    kept = set(test)
    train = tuple(row for row in range(len(task.labels)) if row not in kept)
    return Division(task, train, tuple(sorted(test)))


def given_test(train: Task, test: Task) -> Division:
    """A division that somebody else made: all of one task to learn from, all of another to test.

    Raises:
        CorpusError: a language or a class that only one of them has, or a test sentence that
            stands in the training side in any language.
    """
    if set(train.corpus.languages) != set(test.corpus.languages):
        odd = set(train.corpus.languages) ^ set(test.corpus.languages)
        raise CorpusError(f"training and test differ in languages: {', '.join(sorted(odd))}")
    if new := sorted(set(test.classes) - set(train.classes)):
        raise CorpusError(f"test has labels that training lacks: {', '.join(new)}")
    same = {language: n for language, n in overlap(train.corpus, test.corpus).items() if n}
    if same:
        language, n = max(same.items(), key=lambda item: item[1])
        raise CorpusError(
            f"{n} test sentences of {language} stand in training too: a translation of a test "
            "sentence must not be trained on; leave them out"
        )
    sentences = {
        code: (*texts, *test.corpus.sentences[code])
        for code, texts in train.corpus.sentences.items()
    }
    both = ParallelCorpus(sentences, name=f"{train.corpus.name} + {test.corpus.name}")
    groups = [*train.groups, *(len(train.labels) + group for group in test.groups)]
    task = Task(both, (*train.labels, *test.labels), tuple((str(group),) for group in groups))
    n = len(train.labels)
    return Division(task, tuple(range(n)), tuple(range(n, len(task.labels))))
