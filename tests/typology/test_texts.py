"""What texts and tokenizers say of languages, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import CorpusError
from mechsteer.typology import bits_per_byte, fertility, overlaps

TEXTS = LabelledCorpus(
    {"eng_Latn": ["abab", "ab c"], "fra_Latn": ["ab ab", "x"], "deu_Latn": ["c"]}
)


def test_overlap_is_the_multiset_jaccard_of_frequencies() -> None:
    found = overlaps(TEXTS, str.split, n=2)
    # bigrams: English ab 3, ba, "b ", " c" of 6; French ab 2, "b ", " a" of 4; German none
    least = min(3 / 6, 2 / 4) + min(1 / 6, 1 / 4)
    assert found.values["characters"][0, 1] == pytest.approx(least / (2 - least))
    assert np.isnan(found.values["characters"][0, 2])
    assert found.coverage["characters"][0, 2] == 0
    # words: English abab, ab, c; French ab 2, x; German c
    assert found.values["subwords"][0, 1] == pytest.approx((1 / 3) / (2 - 1 / 3))
    assert found.values["subwords"][0, 2] == pytest.approx((1 / 3) / (2 - 1 / 3))
    assert found.values["subwords"][1, 2] == 0


def test_fertility_counts_tokens() -> None:
    table = fertility(TEXTS, str.split).set_index("language")
    assert table.loc["eng_Latn", "tokens_per_sentence"] == 1.5
    assert table.loc["fra_Latn", "tokens_per_character"] == pytest.approx(3 / 6)


def test_bits_per_byte_are_of_whole_texts() -> None:
    found = bits_per_byte(TEXTS, {"eng_Latn": [np.log(2) * 8, 0.0]})
    assert found == {"eng_Latn": pytest.approx(1.0)}
    for wrong in ([1.0], [1.0, float("nan")]):
        with pytest.raises(CorpusError, match="eng_Latn: expected a finite number for each of 2"):
            bits_per_byte(TEXTS, {"eng_Latn": wrong})


def test_what_is_refused() -> None:
    with pytest.raises(CorpusError, match="n-grams of 1 or more"):
        overlaps(TEXTS, n=0)
    with pytest.raises(CorpusError, match="two or more languages"):
        overlaps(LabelledCorpus({"fra_Latn": ["ab"]}))
