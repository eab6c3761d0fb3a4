"""How much a text repeats itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from mechsteer.errors import MechsteerError

Tokens = Sequence[int]


def repetition(texts: Sequence[Tokens], n: int = 4) -> float:
    """Share of repeated n-grams, ``1 - |distinct n-grams| / |n-grams|``, mean over texts.

    0 repeats nothing. Texts shorter than n tokens have no n-gram and are left out.

    Raises:
        MechsteerError: no text has n tokens.

    Source: seq-rep-n of Welleck et al. 2020 (1908.04319, section 6).

    >>> repetition([[1, 2, 1, 2, 1]], n=2)
    0.5
    """
    found = [grams for grams in (_ngrams(text, n) for text in texts) if grams]
    _require(found, n)
    return sum(1 - len(set(grams)) / len(grams) for grams in found) / len(found)


def distinct(texts: Sequence[Tokens], n: int = 2) -> float:
    """Distinct n-grams of all texts together over their number: 1 when none occurs twice.

    Unlike ``repetition`` this sees texts that are alike. It falls with the number of tokens, so
    only equal numbers of texts of equal length compare.

    Raises:
        MechsteerError: no text has n tokens.

    Source: distinct-n of Li et al. 2016 (1510.03055).

    >>> distinct([[1, 2], [1, 2], [3, 4], [5, 6]], n=2)
    0.75
    """
    found = list(chain.from_iterable(_ngrams(text, n) for text in texts))
    _require(found, n)
    return len(set(found)) / len(found)


def _ngrams(text: Tokens, n: int) -> list[tuple[int, ...]]:
    if n < 1:
        raise MechsteerError(f"expected n-grams of n >= 1 tokens, got n={n}")
    return [tuple(text[at : at + n]) for at in range(len(text) - n + 1)]


def _require(found: Sequence[object], n: int) -> None:
    if not found:
        raise MechsteerError(f"expected texts of {n} tokens or more: none has an {n}-gram")
