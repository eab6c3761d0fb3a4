"""Activations of tokens on the characters they came from: no character is ever cut in two."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

Span = tuple[int, int, float]

_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def spans(text: str, offsets: Iterable[Sequence[int]], values: Iterable[float]) -> list[Span]:
    """Stretches of a text with one activation each: start, end (exclusive), value.

    Byte-level tokenizers cut characters: tokens whose characters overlap become one span, and so do
    a letter and its combining marks, or the parts of a joined emoji. A span has the value of
    largest magnitude among its tokens. Tokens without characters are left out.

    Args:
        text: the sentence.
        offsets: characters of each token, as fast tokenizers give them, in order.
        values: activation on each token.

    >>> spans("né", [(0, 1), (1, 2), (1, 2)], [0.5, 0.1, -0.4])
    [(0, 1, 0.5), (1, 2, -0.4)]
    """
    found: list[Span] = []
    for (start, end), value in zip(offsets, values, strict=True):
        if start >= end:
            continue
        if found and (start < found[-1][1] or _continues(text, start, found[-1][1])):
            first, last, largest = found[-1]
            found[-1] = first, max(last, end), max(largest, value, key=abs)
        else:
            found.append((start, end, value))
    return found


def _continues(text: str, start: int, previous_end: int) -> bool:
    """Whether the character at ``start`` belongs to the one before it."""
    if start != previous_end:
        return False
    here, before = text[start], text[start - 1]
    mark = unicodedata.category(here)[0] == "M" or ord(here) in _SKIN_TONES
    return mark or _JOINER in (here, before)
