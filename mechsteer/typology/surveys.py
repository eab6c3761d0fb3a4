"""Distances by the features that surveys have observed, nothing imputed: WALS and Grambank."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from mechsteer.typology.catalogue import glottolog
from mechsteer.typology.codes import candidates
from mechsteer.typology.folder import part, table

_BEFORE_FEATURES = 8  # columns of WALS that tell the language
UNKNOWN = -1


def mismatches(
    answers: Int[np.ndarray, "language feature"],
) -> tuple[Float[np.ndarray, "language language"], Float[np.ndarray, "language language"]]:
    """Share of the features known to both that differ (Gower's distance of nominal features).

    Returns the distances, NaN where nothing is known to both, and the share of all features known
    to both.

    >>> distance, share = mismatches(np.array([[0, 1, -1, 2], [0, 2, 1, -1]]))
    >>> float(distance[0, 1]), float(share[0, 1])
    (0.5, 0.5)
    """
    known = (answers != UNKNOWN).astype(float)
    both = known @ known.T
    same = np.zeros(both.shape)
    for value in np.unique(answers[answers != UNKNOWN]):
        has = (answers == value).astype(float)
        same += has @ has.T
    distances = np.divide(both - same, both, out=np.full(both.shape, np.nan), where=both > 0)
    return distances, both / max(answers.shape[1], 1)


def wals(folder: Path, languages: tuple[str, ...]) -> Int[np.ndarray, "language feature"]:
    """Values of WALS's features (Dryer & Haspelmath 2013), numbered; -1 where none is given.

    Of several entries with one ISO code the one with most features is read.

    Raises:
        CorpusError: The file is missing or damaged.
    """
    rows = table(part(folder, "wals/wals_wide.csv.gz"))
    features = rows.columns[_BEFORE_FEATURES:]
    return _numbered(rows[features], rows["ISO"], languages, unknown="")


def grambank(folder: Path, languages: tuple[str, ...]) -> Int[np.ndarray, "language feature"]:
    """Values of Grambank's features (Skirgård et al. 2023), numbered; -1 where none is known.

    Raises:
        CorpusError: A file is missing or damaged.
    """
    rows = table(part(folder, "grambank/gb_lang_feat_vals.csv"))
    named = table(
        part(folder, "grambank/languages.csv.gz"), ("Glottocode", "Language_level_ID")
    ).set_index("Glottocode")["Language_level_ID"]
    codes = rows["Lang_ID"].map(named).where(lambda found: found.fillna("") != "", rows["Lang_ID"])
    entries = glottolog(folder, languages)
    wanted = tuple(entries[name].glottocode if name in entries else "" for name in languages)
    return _numbered(rows.drop(columns="Lang_ID"), codes, wanted, unknown="?")


def _numbered(
    values: pd.DataFrame, codes: pd.Series, languages: tuple[str, ...], *, unknown: str
) -> Int[np.ndarray, "language feature"]:
    known = (values != unknown) & (values != "")
    order = known.sum(axis=1).sort_values(ascending=False, kind="stable").index
    rows = {code: row for row, code in reversed([(row, codes[row]) for row in order]) if code}
    numbers = np.column_stack([pd.factorize(column)[0] for _, column in values.items()])
    numbers = np.where(known.to_numpy(), numbers, UNKNOWN)
    found = np.full((len(languages), values.shape[1]), UNKNOWN)
    for place, language in enumerate(languages):
        if code := next((code for code in candidates(language) if code in rows), None):
            found[place] = numbers[values.index.get_loc(rows[code])]
    return found
