"""Lexical distance: LDND of the word lists of ASJP (Wichmann et al.), 40 meanings a language.

A word is written in ASJP's code: ``~`` joins the two symbols before it into one sound, ``$`` the
three before it, ``"`` and ``*`` change the symbol before them, ``%`` marks a loan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mechsteer.typology.codes import candidates
from mechsteer.typology.folder import part, tab_lines

_FIRST_WORD = 7  # columns before the words
MEANINGS = 40


@dataclass(frozen=True)
class WordList:
    """Forms of one variety by meaning, each a tuple of sounds; none for an unknown meaning."""

    name: str
    iso: str
    forms: tuple[tuple[tuple[str, ...], ...], ...]

    @property
    def meanings(self) -> int:
        """How many meanings have a word."""
        return sum(bool(forms) for forms in self.forms)


def sounds(word: str) -> tuple[str, ...]:
    """The sounds of a word in ASJP's code, without spaces and marks of loans.

    >>> sounds("kh~om3n"), sounds('t"a')
    (('kh~', 'o', 'm', '3', 'n'), ('t"', 'a'))
    """
    found: list[str] = []
    for symbol in word:
        joined = {"~": 2, "$": 3, '"': 1, "*": 1}.get(symbol, 0)
        if joined:
            whole = "".join(found[-joined:]) + symbol
            found[-joined:] = [whole]
        elif symbol not in "% ":
            found.append(symbol)
    return tuple(found)


def word_lists(folder: Path, languages: Sequence[str]) -> dict[str, WordList]:
    """One list for each language that ASJP has: of its varieties, the one of the standard name.

    That is the name with fewest words beside those of the language's English name; among equals
    the list with most meanings, then the first by name.

    Raises:
        CorpusError: The file is missing or damaged.
    """
    wanted = {code for language in languages for code in candidates(language)}
    varieties: dict[str, list[WordList]] = {}
    for cells in tab_lines(part(folder, "asjp/asjp16_40.tsv.gz")):
        if len(cells) > _FIRST_WORD and cells[6] in wanted:
            words = cells[_FIRST_WORD : _FIRST_WORD + MEANINGS]
            forms = tuple(tuple(filter(None, map(sounds, cell.split(",")))) for cell in words)
            varieties.setdefault(cells[6], []).append(WordList(cells[0], cells[6], forms))
    found = {}
    for language in languages:
        if code := next((code for code in candidates(language) if code in varieties), None):
            found[language] = min(varieties[code], key=lambda one: _rank(language, one))
    return found


def _rank(language: str, one: WordList) -> tuple[int, int, str]:
    from langcodes import Language

    english = Language.get(language.partition("_")[0]).display_name().upper()
    said = set(one.name.replace("_", " ").split())
    known = set(english.replace("(", " ").replace(")", " ").split()) | {"STANDARD"}
    return (len(said - known), -one.meanings, one.name)


def ldnd(lists: Sequence[WordList | None]) -> Float[np.ndarray, "language language"]:
    """Levenshtein distance, normalised and divided: over 1 where no closer than chance.

    ``LDN`` of two words is their edit distance in sounds over the longer's length; over several
    words of a meaning, the mean. ``LDND`` is the mean ``LDN`` of words of the same meaning over the
    mean ``LDN`` of words of different meanings (Wichmann et al. 2010). NaN where a list is missing
    or no meaning is known to both.
    """
    distances = np.full((len(lists), len(lists)), np.nan)
    held = [(place, *_flat(one)) for place, one in enumerate(lists) if one and one.meanings]
    for at, (a, own, weights) in enumerate(held):
        distances[a, a] = 0.0
        later = held[at + 1 :]
        everything = [word for _, words, _ in later for word in words]
        normed = weights @ _ldn(own, everything)  # of each meaning to all words of all others
        start = 0
        for b, words, others in later:
            sums = normed[:, start : start + len(words)] @ others.T
            start += len(words)
            distances[a, b] = distances[b, a] = _divided(sums, weights, others)
    return distances


def shared_meanings(lists: Sequence[WordList | None]) -> Float[np.ndarray, "language language"]:
    """Share of the 40 meanings that both have a word for; 0 without a list."""
    none = np.zeros(MEANINGS)
    has = np.array([[bool(f) for f in one.forms] if one else none for one in lists], dtype=float)
    has = has.reshape(len(lists), MEANINGS)
    return np.asarray(has @ has.T / MEANINGS)


def _ldn(
    first: Sequence[tuple[str, ...]], second: Sequence[tuple[str, ...]]
) -> Float[np.ndarray, "first second"]:
    lengths = np.maximum.outer([len(word) for word in first], [len(word) for word in second])
    return np.asarray(edit_distances(first, second) / lengths)


def _divided(
    sums: Float[np.ndarray, "meaning meaning"],
    first: Float[np.ndarray, "meaning word"],
    second: Float[np.ndarray, "meaning other"],
) -> float:
    """Mean over equal meanings, divided by that over different ones."""
    has, have = first.any(axis=1), second.any(axis=1)
    apart = np.outer(has, have) & ~np.eye(MEANINGS, dtype=bool)
    different = float(sums[apart].mean()) if apart.any() else 0.0
    if not different or not (has & have).any():
        return float("nan")
    return float(np.diag(sums)[has & have].mean()) / different


def _flat(one: WordList) -> tuple[list[tuple[str, ...]], Float[np.ndarray, "meaning word"]]:
    """All words, and the weights by which each meaning averages its own."""
    words = [form for forms in one.forms for form in forms]
    weights, at = np.zeros((MEANINGS, len(words))), 0
    for meaning, forms in enumerate(one.forms):
        weights[meaning, at : at + len(forms)] = 1 / max(len(forms), 1)
        at += len(forms)
    return words, weights


def edit_distances(
    first: Sequence[tuple[str, ...]], second: Sequence[tuple[str, ...]]
) -> Float[np.ndarray, "first second"]:
    """Levenshtein distances of all pairs of words, in sounds.

    >>> edit_distances([tuple("kitten")], [tuple("sitting"), ()]).tolist()
    [[3.0, 6.0]]
    """
    numbers: dict[str, int] = {}
    a, b = _padded(first, numbers, -1), _padded(second, numbers, -2)
    n, m = (np.array([len(w) for w in words], dtype=int) for words in (first, second))
    pairs = (len(first), len(second))
    row = [np.full(pairs, j, dtype=np.int16) for j in range(b.shape[1] + 1)]
    answer = np.broadcast_to(m, pairs).astype(float)  # of a word of no sound
    for i in range(a.shape[1]):
        left = [np.full(pairs, i + 1, dtype=np.int16)]
        for j in range(b.shape[1]):
            changed = row[j] + (a[:, i, None] != b[None, :, j])
            left.append(np.minimum(np.minimum(row[j + 1], left[j]) + 1, changed, dtype=np.int16))
        row = left
        if (ends := n == i + 1).any():
            answer[ends] = np.stack(row)[m[None], np.flatnonzero(ends)[:, None], np.arange(len(m))]
    return answer


def _padded(words: Sequence[tuple[str, ...]], numbers: dict[str, int], blank: int) -> np.ndarray:
    """Words as rows of numbers, filled up with a number that no sound has."""
    table = np.full((len(words), max(map(len, words), default=0)), blank)
    for row, word in enumerate(words):
        table[row, : len(word)] = [numbers.setdefault(sound, len(numbers)) for sound in word]
    return table


def read_as(lists: Mapping[str, WordList]) -> dict[str, str]:
    """Names of the varieties by language."""
    return {language: f"{one.name} ({one.iso})" for language, one in lists.items()}
