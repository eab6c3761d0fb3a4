"""Characteristics of single languages as predictors of their mean similarity, retrieval, gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mechsteer.crosslingual.similarities.singles import characteristics_of, means_of
from mechsteer.pairwise import explain_languages
from mechsteer.typology import LayerSimilarities, read_published_pairs

COLUMNS = [
    "model", "response", "characteristic", "kind", "r", "r2", "chance", "p", "p_holm", "p_bh",
    "n_languages", "n_groups",
]  # fmt: skip
TEXTS = {
    "Script": "script",
    "Family": "family",
    "Basic Word Order": "word_order",
    "Polysynthetic?": "polysynthesis",
    "Speakers": "speakers",
    "Total sentences ({})": "training_sentences",
    "Total in-family sentences ({})": "family_sentences",
}


def tested(
    model: str, means: Mapping[str, np.ndarray], known: pd.DataFrame, permutations: int
) -> pd.DataFrame:
    """One row a response and characteristic."""
    found = explain_languages(means, known, permutations=permutations)
    tables = [one.table() for one in found.values()]
    return pd.concat(tables, ignore_index=True).assign(model=model)[COLUMNS]


def of_responses(
    model: str,
    responses: Mapping[str, np.ndarray],
    languages: Sequence[str],
    more: pd.DataFrame | None,
    *,
    data: Path,
    permutations: int,
) -> pd.DataFrame:
    """Means over the pairs of each language; responses that do not vary are left out."""
    if more is not None:
        more = more.set_index("language").loc[list(languages)].reset_index(drop=True)
    known = characteristics_of(languages, more, data)
    means = {name: means_of(matrix) for name, matrix in responses.items()}
    varied = {n: m for n, m in means.items() if np.ptp(m[np.isfinite(m)]) > 0}
    return tested(model, varied, known, permutations)


def of_published(
    held: LayerSimilarities, more: pd.DataFrame | None, *, data: Path, permutations: int
) -> pd.DataFrame:
    """Mean cosine of each language with all others, at every layer."""
    responses = {
        f"layer {layer}": matrix for layer, matrix in zip(held.layers, held.values, strict=True)
    }
    model = held.model.removesuffix("_flores200")
    return of_responses(
        model, responses, held.languages, more, data=data, permutations=permutations
    )


def of_study(folder: Path, permutations: int) -> pd.DataFrame:
    """Mean F1 of each language of xlanalysis5k (one text each) by what the study says of it."""
    pairs = read_published_pairs(folder)
    first = pairs.languages.sort_values("Language").drop_duplicates("ISO 639-3").index.sort_values()
    tables = []
    for model in ("LaBSE", "LASER"):
        matrix = pairs.measures.values[f"F1-score ({model}, average)"][np.ix_(first, first)]
        names = {column.format(model): name for column, name in TEXTS.items()}
        known = pairs.languages.loc[first, list(names)].rename(columns=names)
        for name in ("speakers", "training_sentences", "family_sentences"):
            known[name] = pd.to_numeric(known[name].str.replace(",", ""), errors="coerce")
        known = known.replace({"": None})
        tables.append(tested(model, {"F1-score": means_of(matrix)}, known, permutations))
    return pd.concat(tables, ignore_index=True)
