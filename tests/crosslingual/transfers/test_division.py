"""No translation of a test sentence is trained on, nor anything that shares its text."""

from __future__ import annotations

import pytest

from mechsteer.corpus import ParallelCorpus, Task
from mechsteer.crosslingual.transfers.division import given_test, held_out
from mechsteer.errors import CorpusError
from tests.crosslingual.transfers.made import task


def test_about_the_share_of_every_class_is_held_out_and_a_seed_says_which() -> None:
    whole = task(90)
    division = held_out(whole, 0.3, seed=1)
    assert sorted((*division.train, *division.test)) == list(range(90))
    tested = [whole.labels[row] for row in division.test]
    assert {label: tested.count(label) for label in whole.classes} == {"a": 9, "b": 9, "c": 9}
    assert held_out(whole, 0.3, seed=1) == division
    assert held_out(whole, 0.3, seed=2).test != division.test


def test_sentences_that_share_a_text_in_any_language_stay_together() -> None:
    sentences = {code: [f"{code} {i}" for i in range(60)] for code in ("eng_Latn", "fra_Latn")}
    for i in range(0, 60, 3):  # French says the same of sentences i and i + 1
        sentences["fra_Latn"][i + 1] = sentences["fra_Latn"][i]
    documents = tuple((str(i // 6),) for i in range(60))
    for shared, size in (((), 3), (documents, 6)):
        whole = Task(ParallelCorpus(sentences), tuple("ab"[i // 3 % 2] for i in range(60)), shared)
        test = set(held_out(whole, 0.4, seed=0).test)
        pairs = [(i, i + 1) for i in range(0, 60, 3)] if size == 3 else [
            (i, i // 6 * 6) for i in range(60)
        ]  # fmt: skip
        assert test
        assert all((one in test) == (other in test) for one, other in pairs)


def test_classes_need_training_sentences() -> None:
    corpus = ParallelCorpus({"eng_Latn": [f"s {i}" for i in range(9)]})
    with pytest.raises(CorpusError, match="got 1 of 'rare'"):
        held_out(Task(corpus, ("rare", *["usual"] * 8)), 0.3, seed=0)


def test_given_test_data_must_be_other_sentences_in_the_same_languages_and_classes() -> None:
    train, test = task(30), task(12, name="test")
    division = given_test(train, test)
    assert (division.train, division.test) == (tuple(range(30)), tuple(range(30, 42)))
    assert division.task.corpus.sentences["fra_Latn"][30] == "test fra_Latn 0"
    with pytest.raises(CorpusError, match=r"12 test sentences of .* stand in training"):
        given_test(train, task(12))
    with pytest.raises(CorpusError, match="differ in languages: vie_Latn"):
        given_test(train, test.select(["eng_Latn", "deu_Latn", "fra_Latn"]))
    with pytest.raises(CorpusError, match="labels that training lacks: z"):
        given_test(train, Task(test.corpus, tuple("abz" * 4)))
