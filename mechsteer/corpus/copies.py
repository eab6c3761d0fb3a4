"""Copies of sentences that keep some of what a language is and lose the rest.

A *romanised* copy keeps words and their order, and loses the script. A *shuffled* copy keeps
script and words, and loses their order.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from typing import Any

import regex

from mechsteer.errors import MechsteerError

# Letters of scripts that are written without spaces between words: Unicode's line-break classes of
# ideographs, kana, and scripts that need a dictionary (Thai, Lao, Khmer, Burmese …); and Tibetan.
SPACELESS = r"[\p{lb=ID}\p{lb=CJ}\p{lb=SA}\p{Script=Tibetan}]"
"""One such letter, as a pattern of ``regex``."""


def romanised(sentences: Sequence[str], language: str) -> tuple[str, ...]:
    """The sentences in Latin letters, by the rules of uroman for the language.

    Text in Latin letters loses its diacritics. Kanji are read as Chinese, as uroman does.

    Args:
        sentences: in one language.
        language: canonical code; uroman has rules of their own for some.

    Raises:
        MechsteerError: uroman is not installed.

    Source: Hermjakob, May and Knight 2018, "Out-of-the-box universal romanization tool uroman".
    """
    romaniser = _romaniser()
    code = language.partition("_")[0]
    return tuple(str(romaniser.romanize_string(text, lcode=code)) for text in sentences)


def shuffled(sentences: Sequence[str], *, seed: int = 0) -> tuple[str, ...]:
    """The sentences with their words in random order, each by a generator of its own.

    Words are what stands between white space, punctuation included. A sentence most of whose
    letters are of a script without spaces (Chinese, Japanese, Thai …) is shuffled by user-perceived
    characters (extended grapheme clusters) instead. No sentence stays as it is, unless all its
    parts are equal.

    >>> shuffled(["one two three"]), shuffled(["東京へ"], seed=1)
    (('one three two',), ('へ京東',))
    """
    return tuple(_shuffle(text, random.Random(f"{seed} {i}")) for i, text in enumerate(sentences))


def _shuffle(text: str, generator: random.Random) -> str:
    letters = regex.findall(r"\p{L}", text)
    spaceless = len(regex.findall(rf"(?=\p{{L}}){SPACELESS}", text)) > len(letters) / 2
    parts = [part for part in regex.findall(r"\X", text) if part.strip()]
    parts, joint = (parts, "") if spaceless else (text.split(), " ")
    order = list(parts)
    while order == parts and len(set(parts)) > 1:
        generator.shuffle(order)
    return joint.join(order)


@functools.cache
def _romaniser() -> Any:
    """Uroman with its tables, which take some seconds to read."""
    try:
        from uroman import Uroman
    except ImportError:
        raise MechsteerError(
            "a romanised copy needs uroman: pip install 'mechsteer[romanise]'"
        ) from None
    return Uroman()
