"""What the labels of a corpus are where they are no languages: topics, tones, any column.

Labels are concepts as they are written, never codes. A sentence has one label. Concepts that
overlap (a sentence may be toxic and an insult) are sets of labels: the sentences of one combination
of concepts share one. Where sentences say their language, a concept is looked for within each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from mechsteer.errors import CorpusError, shown


@dataclass(frozen=True)
class Concepts:
    """What labels mean.

    Attributes:
        label: what they are called: the columns they come from.
        sets: of concepts that overlap, by name, the labels whose sentences have it; empty where
            every label is a concept.
        languages: of each sentence of a label, the language that it is in; empty where that is not
            told.
    """

    label: str
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    languages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def rows(self, label: str, start: int, stop: int, count: int) -> list[int]:
        """Which of the ``count`` sentences of a label a cut keeps: of each language, if told."""
        if not self.languages:
            return list(range(count))[start:stop]
        seen: dict[str, int] = {}
        kept = []
        for row, language in enumerate(self.languages[label]):
            if start <= seen.get(language, 0) < stop:
                kept.append(row)
            seen[language] = seen.get(language, 0) + 1
        return kept

    def kept(self, rows: Mapping[str, Sequence[int]]) -> Concepts:
        """What is left with these sentences of these labels."""
        languages = {
            name: tuple(self.languages[name][row] for row in own)
            for name, own in rows.items()
            if self.languages
        }
        sets = {
            name: tuple(label for label in labels if label in rows)
            for name, labels in self.sets.items()
        }
        return replace(self, sets=sets, languages=languages)

    def parts(self, labels: Sequence[str]) -> list[str]:
        """All that is told, in an order of labels, as texts for a fingerprint."""
        sets = chain.from_iterable((name, *own) for name, own in self.sets.items())
        languages = (name for label in labels for name in self.languages.get(label, ()))
        return [self.label, *sets, *languages]

    def members(self, labels: Sequence[str]) -> dict[str, list[int]]:
        """Numbers of the labels of each concept that overlaps."""
        return {name: [labels.index(each) for each in own] for name, own in self.sets.items()}


def told_apart(concepts: Concepts | None, labels: Sequence[str]) -> tuple[str, ...]:
    """What sentences are told apart by: languages, labels, or concepts that overlap."""
    overlapping = concepts.sets if concepts is not None else ()
    return tuple(overlapping) or tuple(labels)


def require_told_apart(concepts: Sequence[str], label: str, source: str) -> None:
    """Refuse fewer than two concepts: one has nothing to be told from.

    Raises:
        CorpusError: there are fewer.
    """
    if len(concepts) < 2:
        held = shown(concepts[0]) if concepts else "nothing"
        raise CorpusError(
            f"{source}: column {label!r} holds one label alone ({held}): expected two or more, "
            "so that one can be told from the others"
        )
