"""In which script a text is written, by Unicode's own property of every letter.

The property is read through ``regex``, which follows each version of Unicode and is installed with
transformers anyway; the standard library does not have it. Simplified and traditional Chinese are
one script to Unicode: characters that only GB 2312 has are simplified, those that only Big5 has
traditional (both tables are in the standard library).
"""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import regex

# Ways of writing that ISO 15924 names and that use letters of several scripts, or part of one.
_LETTERS = {
    "Hans": ("Hani",),
    "Hant": ("Hani", "Bopo"),
    "Hrkt": ("Hira", "Kana"),
    "Jpan": ("Hani", "Hira", "Kana"),
}
_OF_NO_SCRIPT = frozenset({"Zinh", "Zyyy", "Zzzz"})


@dataclass(frozen=True)
class Letters:
    """How many letters of each script a text has; digits, marks and punctuation do not count.

    ``chinese`` counts the characters that only simplified (``Hans``) or only traditional Chinese
    (``Hant``) uses.
    """

    by_script: Mapping[str, int]
    chinese: Mapping[str, int]

    @property
    def total(self) -> int:
        """Letters of all scripts."""
        return sum(self.by_script.values())

    def share(self, script: str) -> float:
        """Share of the letters, 0 to 1, that a way of writing (ISO 15924) uses; 0 without letters.

        Simplified and traditional Chinese share most characters, and texts mix them: the share of
        one falls below its characters' only where less than half of those that tell are its own.

        >>> letters_of(["Ja, да"]).share("Latn")
        0.5
        """
        own: float = sum(self.by_script.get(part, 0) for part in _LETTERS.get(script, (script,)))
        if telling := sum(self.chinese.values()) if script in {"Hans", "Hant"} else 0:
            own = own * min(1.0, 2 * self.chinese.get(script, 0) / telling)
        return own / self.total if self.total else 0.0

    @property
    def script(self) -> str | None:
        """The way of writing (ISO 15924) with most letters, ``None`` without letters.

        >>> letters_of(["東京へ行く。"]).script, letters_of(["汉语"]).script
        ('Jpan', 'Hans')
        """
        if not self.total:
            return None
        most = max(self.by_script, key=lambda script: (self.by_script[script], script))
        if most not in {"Hani", "Hira", "Kana"}:
            return most
        if self.share("Hrkt") > self.share("Jpan") / 10:
            return "Jpan"
        return max(("Hans", "Hant"), key=self.share)


def sample(sentences: Sequence[str]) -> Sequence[str]:
    """Evenly spread sentences with some 40,000 characters, enough to tell a script."""
    return sentences[:: 1 + sum(map(len, sentences)) // 40_000]


def letters_of(sentences: Iterable[str]) -> Letters:
    """Count the letters of a text by script."""
    characters: Counter[str] = Counter()
    for sentence in sentences:
        characters.update(sentence)
    by_script: Counter[str] = Counter()
    chinese: Counter[str] = Counter()
    for character, count in characters.items():
        if script := _script_of(character):
            by_script[script] += count
            if script == "Hani" and (style := _chinese(character)):
                chinese[style] += count
    return Letters(by_script, chinese)


def in_unicode(script: str) -> bool:
    """Whether Unicode has letters of this script, so that text can show it."""
    return all(part in _scripts() for part in _LETTERS.get(script, (script,)))


@functools.cache
def _script_of(character: str) -> str | None:
    """ISO 15924 code of a letter's script; ``None`` for other characters and common letters."""
    if not unicodedata.category(character).startswith("L"):
        return None
    match = _by_script().match(character)
    return match.lastgroup if match and match.lastgroup not in _OF_NO_SCRIPT else None


@functools.cache
def _chinese(character: str) -> str | None:
    """``Hans`` or ``Hant`` for a character that only one of the two uses."""
    simplified, traditional = (_encodes(character, name) for name in ("gb2312", "big5"))
    if simplified == traditional:
        return None
    return "Hans" if simplified else "Hant"


def _encodes(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@functools.cache
def _scripts() -> frozenset[str]:
    """The ISO 15924 codes that Unicode, as ``regex`` knows it, has characters of."""
    from langcodes.data_dicts import ALL_SCRIPTS

    return frozenset(script for script in ALL_SCRIPTS if _is_property(script))


def _is_property(script: str) -> bool:
    try:
        regex.compile(rf"\p{{Script={script}}}")
    except regex.error:
        return False
    return True


@functools.cache
def _by_script() -> regex.Pattern[str]:
    groups = (rf"(?P<{script}>\p{{Script={script}}})" for script in sorted(_scripts()))
    return regex.compile("|".join(groups))
