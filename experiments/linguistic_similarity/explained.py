"""A similarity of languages, explained by distances: effects, their p-values and importance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t

from mechsteer.pairwise import importance, mrm

Matrices = Mapping[str, np.ndarray]
LEVEL = 0.05


def explained(
    responses: Matrices,
    predictors: Matrices,
    languages: Sequence[str],
    *,
    permutations: int,
) -> pd.DataFrame:
    """One row for each response and predictor.

    ``standardised`` and ``p`` are of the regression on all predictors with permuted languages,
    ``p_holm`` and ``p_bh`` are corrected over its predictors; ``share`` is the predictor's part of
    ``r2`` (dominance) with its interval, ``alone`` its R2 by itself; ``naive_p`` is what the same
    regression says when pairs are taken to be independent.
    """
    fits = mrm(responses, predictors, permutations=permutations, languages=languages)
    shares = importance(responses, predictors, languages=languages)
    tables = []
    for name, fit in fits.items():
        columns = ["response", "predictor", "standardised", "t", "p", "p_holm", "p_bh"]
        own = fit.table()[columns]
        free = fit.n_pairs - len(predictors) - 1
        own = own.assign(naive_p=2 * t.sf(own["t"].abs(), free)).drop(columns="t")
        divided = shares[name].table().drop(columns="response")
        tables.append(own.merge(divided, on="predictor", validate="1:1"))
    return pd.concat(tables, ignore_index=True)


def ranked(matrix: np.ndarray) -> np.ndarray:
    """A symmetric matrix with ranks in place of values; NaN stays."""
    upper = np.triu_indices(len(matrix), 1)
    values = matrix[upper]
    known = np.isfinite(values)
    values[known] = rankdata(values[known]) / known.sum()
    ranks = np.full(matrix.shape, np.nan)
    ranks[upper] = values
    return np.where(np.isnan(ranks), ranks.T, ranks)
