"""Pairs of languages in a published study, laid out as xlanalysis5k (Jones et al. 2021) is.

Two tables have a row for each pair, named ``French-Haitian Creole`` or shorter, and a third one a
row for each language, with its ISO 639-3 code.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mechsteer.errors import CorpusError, shown
from mechsteer.typology.pairs import PairMeasures

_LANGUAGES = "bible_all_features_LANGUAGE.csv"
_PAIRS = ("bible_predictors_LANGUAGE_PAIR.csv", "bible_dependent_vars_LANGUAGE_PAIR.csv")
_WORD = re.compile(r"[\w']+")


@dataclass(frozen=True)
class PublishedPairs:
    """Measures of all pairs under the study's own names, and its table of languages.

    ``measures.languages`` are those names, for two texts of one language (tokenised, say) have
    two. ``codes`` are the ISO 639-3 codes that the study gives them.
    """

    measures: PairMeasures
    languages: pd.DataFrame
    codes: tuple[str, ...]


def read_published_pairs(folder: Path) -> PublishedPairs:
    """Read the three tables of ``xlanalysis5k``.

    Raises:
        CorpusError: A table is missing or damaged, a pair names no two languages of the table or is
            there twice, a cell is no number.
    """
    languages = _table(folder / _LANGUAGES)
    for column in ("Language", "ISO 639-3"):
        if column not in languages.columns:
            raise CorpusError(f"{folder / _LANGUAGES}: expected a column {column!r}")
    names = tuple(languages["Language"])
    values: dict[str, np.ndarray] = {}
    for file in _PAIRS:
        values |= _matrices(folder / file, names)
    told = {name: np.isfinite(matrix).astype(float) for name, matrix in values.items()}
    measures = PairMeasures(names, values, told)
    return PublishedPairs(measures, languages, tuple(languages["ISO 639-3"]))


def split_pair(pair: str, names: Sequence[str]) -> tuple[str, str]:
    """The two of ``names`` that a pair joined by a hyphen means.

    A name may be shortened: its words stand in order, each whole or cut (``Chinese-tok`` is
    ``Chinese (tokenised)``, ``Creole`` is ``Haitian Creole``). Of all ways to part the pair the
    one that leaves least of the two names unsaid counts.

    >>> split_pair("Thai-tok-Thai", ["Thai", "Thai (tokenised)"])
    ('Thai (tokenised)', 'Thai')

    Raises:
        CorpusError: There is no such way, or several.
    """
    known = tuple(names)
    ways: dict[tuple[str, str], int] = {}
    for mark in re.finditer("-", pair):
        left, right = (_meant(part, known) for part in (pair[: mark.start()], pair[mark.end() :]))
        if left and right and left[0] != right[0]:
            ways[left[0], right[0]] = left[1] + right[1]
    best = sorted(ways, key=lambda way: ways[way])
    if not best or (len(best) > 1 and ways[best[0]] == ways[best[1]]):
        raise CorpusError(f"{shown(pair)}: expected two of the study's {len(known)} languages")
    return best[0]


@functools.lru_cache(maxsize=4096)
def _meant(text: str, names: tuple[str, ...]) -> tuple[str, int] | None:
    """The name that a text means, and how many letters of it are left unsaid; None if unclear."""
    said = _words(text)
    scores = {name: left for name in names if (left := _unsaid(said, _words(name))) is not None}
    best = sorted(scores, key=lambda name: scores[name])
    if not said or not best or (len(best) > 1 and scores[best[0]] == scores[best[1]]):
        return None
    return best[0], scores[best[0]]


def _words(text: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", text.replace("\u2019", "'")).casefold()
    return tuple(_WORD.findall("".join(c for c in plain if not unicodedata.combining(c))))


def _unsaid(said: tuple[str, ...], name: tuple[str, ...]) -> int | None:
    """Letters of a name that words cut from it, in order, leave out; None where they do not fit."""
    left, rest = 0, list(name)
    for word in said:
        while rest and not rest[0].startswith(word):
            left += len(rest.pop(0))
        if not rest:
            return None
        left += len(rest.pop(0)) - len(word)
    return left + sum(map(len, rest))


def _matrices(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    rows = _table(path)
    first, *columns = rows.columns
    at = {name: place for place, name in enumerate(names)}
    pairs = [split_pair(pair, names) for pair in rows[first]]
    a, b = (np.array([at[pair[side]] for pair in pairs]) for side in (0, 1))
    if len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise CorpusError(f"{path}: expected each pair once")
    found = {}
    for name in columns:
        numbers = pd.to_numeric(rows[name].replace("", None), errors="coerce")
        if bad := rows[name][numbers.isna() & (rows[name] != "")].tolist():
            raise CorpusError(f"{path}: expected numbers in {name!r}, got {shown(bad[0])}")
        matrix = np.full((len(names), len(names)), np.nan)
        matrix[a, b] = matrix[b, a] = numbers.to_numpy(dtype=float)
        found[str(name)] = matrix
    return found


def _table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise CorpusError(f"cannot read {path}: {error}") from None
