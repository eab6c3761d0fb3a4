from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechsteer.corpus import LabelledCorpus, ParallelCorpus, read
from mechsteer.corpus.names.languages import FLORES200
from mechsteer.errors import CorpusError, CorpusWarning, MechsteerError

pytestmark = pytest.mark.filterwarnings("ignore::mechsteer.errors.CorpusWarning")

SENTENCE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5
).filter(str.strip)
CORPUS = st.dictionaries(
    st.sampled_from(FLORES200[:6]), st.lists(SENTENCE, min_size=1, max_size=4), min_size=1
)


def write(folder: Path, **files: bytes | str) -> Path:
    """Write LANG__split=text as folder/LANG.split."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        data = text.encode() if isinstance(text, str) else text
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


@settings(deadline=None)  # the first call looks scripts up
@given(CORPUS, CORPUS)
def test_fingerprints_agree_exactly_when_languages_and_sentences_do(
    a: dict[str, list[str]], b: dict[str, list[str]]
) -> None:
    same = LabelledCorpus(a).fingerprint == LabelledCorpus(b).fingerprint
    assert same == (list(a.items()) == list(b.items()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"fra": ["ab", "c"]}, {"fra": ["a", "bc"]}),
        ({"fra": ["a", "b"]}, {"fra": ["a\nb"]}),
        ({"fra": ["a"], "deu": ["b"]}, {"fra": ["a", "deu_Latn", "1", "b"]}),
        ({"fra": ["1", "deu_Latn1b"]}, {"fra": ["1deu_Latn", "1b"]}),
    ],
)
def test_the_fingerprint_sees_where_a_sentence_and_a_language_end(
    one: dict[str, list[str]], other: dict[str, list[str]]
) -> None:
    assert LabelledCorpus(one).fingerprint != LabelledCorpus(other).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"fra_Latn": ["a", "b"], "deu_Latn": ["c", "e"]},
        {"fra_Latn": ["b", "a"], "deu_Latn": ["c", "d"]},
        {"deu_Latn": ["c", "d"], "fra_Latn": ["a", "b"]},
        {"fra_Latn": ["a", "b"], "nld_Latn": ["c", "d"]},
        {"fra_Latn": ["a"], "deu_Latn": ["b", "c", "d"]},
        {"fra_Latn": ["a", "b"], "deu_Latn": ["c", "d "]},
    ],
)
def test_the_fingerprint_changes_with_a_sentence_its_order_or_a_language(
    other: dict[str, list[str]],
) -> None:
    corpus = LabelledCorpus({"fra_Latn": ["a", "b"], "deu_Latn": ["c", "d"]})
    assert LabelledCorpus(other).fingerprint != corpus.fingerprint


def test_the_fingerprint_leaves_out_where_the_text_came_from() -> None:
    texts = {"fra_Latn": ["a"], "deu_Latn": ["b"]}
    here = ParallelCorpus(texts, name="x", sources={"fra_Latn": "f"}, lines={"fra_Latn": [9]})
    assert here.fingerprint == LabelledCorpus(texts).fingerprint
    assert len(here.fingerprint) == 64


@given(CORPUS)
def test_flattening_keeps_every_sentence_beside_the_index_of_its_language(
    sentences: dict[str, list[str]],
) -> None:
    corpus = LabelledCorpus(sentences)
    texts, labels = corpus.flatten()
    again: dict[str, list[str]] = {language: [] for language in corpus.languages}
    for text, label in zip(texts, labels, strict=True):
        again[corpus.languages[label]].append(text)
    assert again == sentences
    assert labels == sorted(labels)
    assert len(corpus) == len(texts)


def test_aliases_become_canonical_names() -> None:
    corpus = LabelledCorpus({"de": ["a"], "fr": ["b"]}, sources={"fr": "f.txt"})
    assert corpus.languages == ("deu_Latn", "fra_Latn")
    assert corpus.where("fra_Latn", 0) == "f.txt:1"


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ({}, "has no language"),
        ({"fra": []}, "fra_Latn has no sentences"),
        ({"fra": ["a", " \t"]}, "fra_Latn:2: a blank sentence"),
        ({"fra": ["a\0"]}, "fra_Latn:1: NUL"),
        ({"fra": ["\ud800"]}, "fra_Latn:1: a lone surrogate"),
        ({"fra": ["a"], "fr": ["b"]}, "two names of the same language"),
        ({"frq_Latm": ["a"]}, "unknown script"),
    ],
)
def test_text_that_cannot_be_used_is_refused(sentences: dict[str, list[str]], message: str) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        LabelledCorpus(sentences)
    assert isinstance(caught.value, MechsteerError)


def test_a_parallel_corpus_refuses_unequal_lengths_and_a_labelled_one_takes_them() -> None:
    ragged = {"fra": ["a", "b"], "deu": ["c"]}
    assert len(LabelledCorpus(ragged)) == 3
    with pytest.raises(CorpusError, match="fra_Latn 2, deu_Latn 1"):
        ParallelCorpus(ragged)


def test_selecting_and_slicing_keep_order_type_and_line_numbers() -> None:
    texts = {"fra": ["a", "b", "c"], "deu": ["d", "e", "f"], "ell": ["g", "h", "i"]}
    corpus = ParallelCorpus(
        texts, sources=dict.fromkeys(texts, "x"), lines={code: [1, 3, 7] for code in texts}
    )
    part = corpus.select(["ell", "fr"]).slice(1, 3)
    assert isinstance(part, ParallelCorpus)
    assert part.sentences == {"ell_Grek": ("h", "i"), "fra_Latn": ("b", "c")}
    assert part.sources.keys() == part.lines.keys() == part.sentences.keys()
    assert part.where("fra_Latn", 1) == "x:7"
    assert corpus.head(2).n_sentences == 2


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        (["spa"], "has no spa_Latn among its 2 languages"),
        (["fr", "fra_Latn"], "asked for twice: fr, fra_Latn"),
        ([], "no language was asked for"),
    ],
)
def test_selecting_what_is_not_there_is_refused(languages: list[str], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        LabelledCorpus({"fra": ["a"], "deu": ["b"]}).select(languages)


def test_blank_rows_leave_every_language_with_a_warning_that_names_the_lines(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, fra__txt="a\n \nb\nc\n", deu__txt="d\ne\nf\n\n")
    with pytest.warns(CorpusWarning) as caught:
        corpus = ParallelCorpus.from_dir(path)
    assert corpus.sentences == {"deu_Latn": ("d", "f"), "fra_Latn": ("a", "b")}
    assert [str(w.message).removeprefix(f"{path}/").partition(" left")[0] for w in caught] == [
        "deu.txt: 1 blank (line 4)",
        "fra.txt: 1 blank (line 2)",
    ]
    assert corpus.where("fra_Latn", 1) == f"{path / 'fra.txt'}:3"


def test_blank_lines_of_labelled_text_leave_their_own_language_only(tmp_path: Path) -> None:
    path = write(tmp_path, fra__txt="a\n\nb\n", deu__txt="d\ne\nf\n")
    with pytest.warns(CorpusWarning, match="1 blank"):
        corpus = LabelledCorpus.from_dir(path)
    assert corpus.sentences == {"deu_Latn": ("d", "e", "f"), "fra_Latn": ("a", "b")}


def test_repeated_sentences_stay_and_the_first_five_lines_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, fra__txt="a\n" * 8, deu__txt="1\n2\n3\n4\n5\n6\n7\n8\n")
    with pytest.warns(CorpusWarning, match=r"fra.txt: 7 repeated \(line 2, 3, 4, 5, 6, …\)"):
        corpus = read(path)
    assert corpus.n_sentences == 8


def test_clean_text_warns_of_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, fra__txt="a\nb\n", deu__txt="c\nd")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(path)


def test_files_of_unequal_length_are_listed_with_their_counts(tmp_path: Path) -> None:
    path = write(tmp_path, fra__txt="a\nb\n", deu__txt="a\n", ell__txt="a\nb")
    with pytest.raises(CorpusError, match=r"1 in deu_Latn \(.*deu.txt\); 2 in ell_Grek .*fra_Latn"):
        read(path)
    assert len(LabelledCorpus.read(path)) == 5


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_embedded_sentences_are_128_in_twelve_languages(split: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corpus = ParallelCorpus.embedded(split)
    assert (corpus.n_sentences, len(corpus.languages)) == (256, 12)
    assert len({language[4:] for language in corpus.languages}) == 7
    assert read("embedded", split=split) == corpus


def test_embedded_dev_and_test_share_no_sentence() -> None:
    dev, test = (set(ParallelCorpus.embedded(split).flatten()[0]) for split in ("dev", "test"))
    assert not dev & test


def test_the_embedded_set_wants_a_split() -> None:
    with pytest.raises(CorpusError, match="choose one of dev, test"):
        read("embedded")
