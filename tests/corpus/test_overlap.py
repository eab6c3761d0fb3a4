"""Sentences of test that stand in dev, counted by language."""

from __future__ import annotations

import warnings

import pytest

from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.corpus.overlap import overlap, require_held_out, warn_of_overlap
from mechsteer.corpus.rows import are_rows, parse_rows
from mechsteer.errors import CorpusError, CorpusWarning


def corpus(start: int, stop: int, *languages: str) -> ParallelCorpus:
    codes = languages or ("fra", "deu")
    return ParallelCorpus({code: [f"{code} {i}." for i in range(start, stop)] for code in codes})


@pytest.mark.parametrize(
    ("dev", "test", "shared"),
    [
        ((0, 150), (0, 200), 150),
        ((0, 200), (0, 150), 150),
        ((0, 9), (9, 20), 0),
        ((3, 9), (8, 30), 1),
    ],
)
def test_the_count_is_of_sentences_not_of_corpora(
    dev: tuple[int, int], test: tuple[int, int], shared: int
) -> None:
    assert overlap(corpus(*dev), corpus(*test)) == {"fra_Latn": shared, "deu_Latn": shared}


def test_order_white_space_and_other_languages_do_not_hide_it() -> None:
    dev = LabelledCorpus({"fra": ["un d\u00e9", "trois"], "deu": ["eins"], "spa": ["tres"]})
    test = LabelledCorpus({"deu": ["trois", "zwei"], "fra": ["trois ", "x", " un  de\u0301"]})
    assert overlap(dev, test) == {"deu_Latn": 0, "fra_Latn": 2}


def test_some_shared_sentences_are_warned_about_with_the_count() -> None:
    dev, test = corpus(0, 100), corpus(0, 200)
    require_held_out(dev, test)
    with pytest.warns(CorpusWarning, match="100 of 200 in fra_Latn, 100 of 200 in deu_Latn"):
        warn_of_overlap(dev, test)


def test_most_shared_sentences_are_refused_unless_told_otherwise() -> None:
    dev, test = corpus(0, 101), corpus(0, 200)
    with pytest.raises(CorpusError, match=r"101 of 200 in .*--rows.*--allow-overlap"):
        require_held_out(dev, test)
    require_held_out(dev, test, allow=True)


def test_one_language_is_enough_and_is_named_first() -> None:
    dev = LabelledCorpus({"fra": ["a", "b"], "deu": ["c", "d"], "spa": ["e", "f"]})
    test = LabelledCorpus({"fra": ["x", "b"], "deu": ["c", "d"], "spa": ["y", "z"]})
    with pytest.raises(CorpusError, match="2 of 2 in deu_Latn, 1 of 2 in fra_Latn"):
        require_held_out(dev, test)


def test_no_shared_sentence_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require_held_out(corpus(0, 5), corpus(5, 9))
        warn_of_overlap(corpus(0, 5), corpus(5, 9))


@pytest.mark.parametrize(
    ("text", "rows"), [("0:500", (0, 500)), (" 7:9", (7, 9)), (":3", (0, 3)), ("5:", (5, None))]
)
def test_rows_are_written_as_slices(text: str, rows: tuple[int, int | None]) -> None:
    assert parse_rows(text) == rows
    assert are_rows(text)


@pytest.mark.parametrize("text", ["", "5", "5:5", "9:3", "-1:4", "a:b", "1:2:3", None, 3])
def test_what_is_no_slice_is_refused(text: object) -> None:
    assert not are_rows(text)
    with pytest.raises(CorpusError, match="expected rows as 0:500"):
        parse_rows(str(text))


def test_slices_of_one_corpus_are_held_out_from_each_other() -> None:
    whole = corpus(0, 10)
    assert set(overlap(whole.slice(0, 5), whole.slice(5, 10)).values()) == {0}
    ragged = LabelledCorpus({"fra": ["a", "b", "c"], "deu": ["d", "e"]}, lines={"fra": [1, 4, 5]})
    head = ragged.head(1)
    assert head.sentences == {"fra_Latn": ("a",), "deu_Latn": ("d",)}
    assert ragged.slice(1, 9).sentences == {"fra_Latn": ("b", "c"), "deu_Latn": ("e",)}
    assert ragged.slice(1, 9).where("fra_Latn", 0) == "fra_Latn:4"
