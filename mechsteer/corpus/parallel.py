"""Text that is n-way parallel: sentence *i* means the same in every language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mechsteer.corpus import align
from mechsteer.corpus.corpora import LabelledCorpus, Languages
from mechsteer.corpus.formats.text import Text
from mechsteer.corpus.labels.concepts import Concepts
from mechsteer.errors import CorpusError

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, repr=False)
class ParallelCorpus(LabelledCorpus):
    """Sentences that are translations of each other, row by row, in every language.

    >>> corpus = ParallelCorpus({"fr": ["Bonjour.", "Merci."], "de": ["Hallo.", "Danke."]})
    >>> corpus.n_sentences, corpus.head(1).sentences["deu_Latn"]
    (2, ('Hallo.',))

    Raises:
        CorpusError: As :class:`LabelledCorpus`, and when the languages differ in length.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = {language: len(texts) for language, texts in self.sentences.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{language} {count}" for language, count in counts.items())
            raise CorpusError(f"{self.name} is not parallel: expected equal lengths, got {listed}")

    @property
    def n_sentences(self) -> int:
        """Sentences of each language."""
        return len(next(iter(self.sentences.values())))

    def rows(self, numbers: Sequence[int]) -> Self:
        """The sentences of these numbers in every language, in this order."""
        sentences = {
            name: tuple(texts[i] for i in numbers) for name, texts in self.sentences.items()
        }
        lines = {name: [each[i] for i in numbers] for name, each in self.lines.items()}
        return replace(self, sentences=sentences, lines=lines)

    @classmethod
    def _from_texts(
        cls, texts: Mapping[str, Text], name: str, concepts: Concepts | None = None
    ) -> Self:
        if concepts is not None:
            raise CorpusError(
                f"{name}: sentences under the label {concepts.label!r} are not parallel: read them "
                "with LabelledCorpus.from_table"
            )
        return cls._build(align.parallel(texts), name)


def read(
    source: str | Path, *, languages: Languages = None, split: str | None = None
) -> ParallelCorpus:
    """Read parallel text from whatever ``source`` is.

    A folder, a table, one pair file, ``"embedded"``, or the name ``owner/name[:config]`` of a
    Hugging Face dataset; a path that exists is never taken for a dataset. For text that is not
    parallel use :meth:`LabelledCorpus.read`, which takes the same.

    Warns:
        CorpusWarning: Blank sentences, left out of every language; repeated sentences; sentences
            without a translation.

    Raises:
        CorpusError: ``source`` is none of these, or cannot be used; with ``file:line``.
    """
    return ParallelCorpus.read(source, languages=languages, split=split)
