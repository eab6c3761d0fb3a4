"""What is taken for a corpus wherever one is asked for, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import mechsteer as ms
from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.corpus.given import as_labelled, as_parallel
from mechsteer.errors import CorpusError

TEXTS = {"fra_Latn": ["Bonjour.", "Merci."], "deu_Latn": ["Hallo.", "Danke."]}
NO_CORPORA = (["Bonjour."], "Bonjour.", "fra_Latn", None, 3, [("fra_Latn", "Bonjour.")])


def test_sentences_by_language_are_a_corpus() -> None:
    assert as_labelled(TEXTS) == LabelledCorpus(TEXTS)
    assert as_parallel(TEXTS) == ParallelCorpus(TEXTS)


def test_a_corpus_is_taken_as_it_is() -> None:
    labelled, parallel = LabelledCorpus(TEXTS), ParallelCorpus(TEXTS)
    assert as_labelled(labelled) is labelled
    assert as_labelled(parallel) is parallel is as_parallel(parallel)


def test_languages_that_need_not_say_the_same_are_not_parallel() -> None:
    with pytest.raises(CorpusError, match=r"ParallelCorpus\(corpus.sentences\)"):
        as_parallel(LabelledCorpus(TEXTS))


@pytest.mark.parametrize("given", NO_CORPORA, ids=repr)
@pytest.mark.parametrize("taken", [as_labelled, as_parallel])
def test_what_names_no_language_is_refused(taken: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(CorpusError, match="name the language of the sentences"):
        taken(given)


def test_sentences_by_language_are_embedded_like_the_corpus_of_them() -> None:
    model = ms.load_model()
    by_language = ms.embed(model, TEXTS, progress=False)
    for language, found in ms.embed(model, LabelledCorpus(TEXTS), progress=False).items():
        assert by_language[language].equal(found)
