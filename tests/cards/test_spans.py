"""Activations on characters: nothing is cut in two, nothing is lost."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechsteer.cards.spans import spans
from mechsteer.model.load import EMBEDDED


@pytest.mark.parametrize(
    ("text", "offsets", "values", "expected"),
    [
        ("ab", [(0, 1), (1, 2)], [1.0, 2.0], [(0, 1, 1.0), (1, 2, 2.0)]),
        ("日本", [(0, 1), (0, 1), (1, 2)], [1.0, 2.0, 0.5], [(0, 1, 2.0), (1, 2, 0.5)]),
        ("e\u0301x", [(0, 1), (1, 2), (2, 3)], [1.0, -3.0, 0.0], [(0, 2, -3.0), (2, 3, 0.0)]),
        ("👩\u200d🔬", [(0, 1), (1, 2), (2, 3)], [0.1, 0.2, 0.3], [(0, 3, 0.3)]),
        ("👍🏽", [(0, 1), (1, 2)], [0.1, 0.2], [(0, 2, 0.2)]),
        ("كِ", [(0, 1), (1, 2)], [1.0, 0.0], [(0, 2, 1.0)]),
        ("a b", [(0, 0), (0, 1), (2, 3)], [9.0, 1.0, 2.0], [(0, 1, 1.0), (2, 3, 2.0)]),
        ("", [], [], []),
    ],
)
def test_spans_are_whole_characters(text, offsets, values, expected) -> None:
    assert spans(text, offsets, values) == expected


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(EMBEDDED)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_any_text_is_covered_once_and_no_mark_stands_alone(tokenizer, text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    found = spans(text, offsets, [float(i) for i in range(len(offsets))])
    for (_, end, _), (start, _, _) in pairwise(found):
        assert end <= start
        assert start != end or unicodedata.category(text[start])[0] != "M"
    covered = {i for start, end, _ in found for i in range(start, end)}
    assert covered >= {i for start, end in offsets for i in range(start, end)}
