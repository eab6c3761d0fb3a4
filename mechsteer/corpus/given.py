"""What users call sentences, taken for a corpus at the border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mechsteer.corpus.corpora import LabelledCorpus
from mechsteer.corpus.parallel import ParallelCorpus
from mechsteer.errors import CorpusError

Sentences = LabelledCorpus | Mapping[str, Sequence[str]]
"""A corpus, or sentences by language."""
Translations = ParallelCorpus | Mapping[str, Sequence[str]]
"""A parallel corpus, or sentences by language, sentence i the same in every one."""


def as_labelled(given: object) -> LabelledCorpus:
    """A corpus as it is, or one of sentences by language.

    Raises:
        CorpusError: it is neither, or what ``LabelledCorpus`` refuses.

    >>> as_labelled({"fra_Latn": ["Bonjour."], "deu_Latn": ["Hallo."]}).languages
    ('fra_Latn', 'deu_Latn')
    """
    if isinstance(given, LabelledCorpus):
        return given
    if isinstance(given, Mapping):
        return LabelledCorpus(given)
    raise _no_corpus(given)


def as_parallel(given: object) -> ParallelCorpus:
    """A parallel corpus as it is, or one of translations by language.

    Raises:
        CorpusError: it is neither, or what ``ParallelCorpus`` refuses.
    """
    if isinstance(given, ParallelCorpus):
        return given
    if isinstance(given, LabelledCorpus):
        raise CorpusError(
            f"{given.name} is a LabelledCorpus, whose languages need not say the same: expected a "
            "ParallelCorpus; where sentence i means the same in every language, type "
            "ParallelCorpus(corpus.sentences)"
        )
    if isinstance(given, Mapping):
        return ParallelCorpus(given)
    raise _no_corpus(given)


def _no_corpus(given: object) -> CorpusError:
    return CorpusError(
        f"expected a corpus, got {type(given).__name__}: name the language of the sentences, as in "
        'LabelledCorpus({"fra_Latn": ["Bonjour."]}), or read them with LabelledCorpus.from_dir '
        "or from_table"
    )
