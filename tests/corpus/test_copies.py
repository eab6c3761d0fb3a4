"""Copies keep what they should: words and their number, or the language without its script."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from mechsteer.corpus import ParallelCorpus
from mechsteer.corpus.copies import _romaniser, romanised, shuffled
from mechsteer.corpus.names.scripts import letters_of
from mechsteer.errors import MechsteerError


def test_words_are_kept_and_their_order_is_not() -> None:
    texts = ParallelCorpus.embedded("dev", languages=["fra_Latn"]).head(20).sentences["fra_Latn"]
    copies = shuffled(texts)
    for text, copy in zip(texts, copies, strict=True):
        assert Counter(copy.split()) == Counter(text.split())
        assert copy != text
    assert shuffled(texts) == copies  # seeded
    assert shuffled(texts, seed=1) != copies
    assert shuffled(texts[:5]) == copies[:5]  # each sentence by itself


@pytest.mark.parametrize(
    "text", ["東京へ行きます。", "北京是首都", "วันจันทร์ที่ผ่านมา", "ភាសាខ្មែរ", "བོད་ཡིག་གི་སྐད"]
)
def test_scripts_without_spaces_are_shuffled_by_character(text: str) -> None:
    (copy,) = shuffled([text])
    assert copy != text and " " not in copy and Counter(copy) == Counter(text)


def test_marks_stay_with_their_letters() -> None:
    (copy,) = shuffled(["ที่นี่มี"])
    assert {"ที่", "นี่", "มี"} == {copy[copy.find(p) :][: len(p)] for p in ("ที่", "นี่", "มี")}


@pytest.mark.parametrize("text", ["한국어는 띄어 쓴다", "Tokyo 東京 is far away"])
def test_words_between_spaces_stay_whole(text: str) -> None:
    assert Counter(shuffled([text])[0].split()) == Counter(text.split())


@pytest.mark.parametrize("text", ["word", "no no", "我", "..."])
def test_what_has_no_order_stays(text: str) -> None:
    assert shuffled([text]) == (text,)


def test_two_words_always_change_places() -> None:
    assert set(shuffled(["one two"] * 30)) == {"two one"}


def test_without_uroman_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uroman", None)
    _romaniser.cache_clear()
    with pytest.raises(MechsteerError, match=r"pip install 'mechsteer\[romanise\]'") as refused:
        romanised(["Москва"], "rus_Cyrl")
    assert "\n" not in str(refused.value)
    _romaniser.cache_clear()


def test_a_romanised_copy_is_in_latin_letters() -> None:
    pytest.importorskip("uroman")
    assert romanised(["Москва"], "rus_Cyrl") == ("Moskva",)
    assert romanised(["L’école"], "fra_Latn") == ("L’ecole",)
    texts = ParallelCorpus.embedded("dev", languages=["ell_Grek", "jpn_Jpan", "arb_Arab"]).head(3)
    for language, own in texts.sentences.items():
        assert letters_of(romanised(own, language)).share("Latn") == 1
