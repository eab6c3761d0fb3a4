"""Does one matrix of language pairs follow another? Mantel's test and its partial form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from mechsteer.errors import MechsteerError, shown
from mechsteer.options.likeness import Permuting
from mechsteer.pairwise.covariance import fitted, independent
from mechsteer.pairwise.permuted import fit
from mechsteer.pairwise.results import Correlation
from mechsteer.pairwise.sample import Sample, samples

Method = Literal["pearson", "spearman"]
_METHODS = ("pearson", "spearman")


def mantel(
    response: np.ndarray,
    predictor: np.ndarray,
    *,
    method: Method = "pearson",
    permutations: int = 999,
    seed: int = 0,
    languages: Sequence[str] | None = None,
) -> Correlation:
    """Correlation over pairs, with a p-value from permuted languages.

    Rows and columns of one matrix change places together, so that what pairs of a language share
    stays. Ranks of ``spearman`` are over the pairs used, ties at their mean.

    Args:
        response: Matrix [language, language], NaN unknown, the diagonal ignored; one with values
            on one side of the diagonal alone is symmetric.
        predictor: Likewise.
        method: ``pearson`` or ``spearman``.
        permutations: At least 19.
        seed: Of the draws.
        languages: Their names, for messages.

    Raises:
        MechsteerError: Fewer than five languages with known pairs, a constant matrix, shapes that
            differ, infinities, too few permutations.

    Source: Mantel 1967.
    """
    return partial_mantel(
        response, predictor, {}, method=method, permutations=permutations, seed=seed,
        languages=languages,
    )  # fmt: skip


def partial_mantel(
    response: np.ndarray,
    predictor: np.ndarray,
    controls: Mapping[str, np.ndarray],
    *,
    method: Method = "pearson",
    permutations: int = 999,
    seed: int = 0,
    languages: Sequence[str] | None = None,
) -> Correlation:
    """Partial correlation over pairs, controls held, with a p-value from permuted languages.

    Permuted are the residuals of the response on the controls (Freedman and Lane 1983; Legendre
    2000), their languages' part scaled up for what the controls took of it.

    Raises:
        MechsteerError: As `mantel`, where the predictor follows from the controls, and ranks beside
            more than one control (beside seven, 7 % of nulls come out below 5 %).
    """
    asked = Permuting(permutations=permutations, seed=seed)
    if method not in _METHODS:
        raise MechsteerError(f"expected method pearson or spearman, got {shown(method)}")
    if method == "spearman" and len(controls) > 1:
        raise MechsteerError(
            f"expected one control of ranks, got {len(controls)}: ranks do not add up as values "
            "do, so a test beside several finds too much; take pearson or mrm"
        )
    name = "predictor"
    while name in controls:
        name = f"_{name}"
    (sample,) = samples({"response": response}, {name: predictor, **controls}, languages)
    if method == "spearman":
        sample = _ranked(sample)
    found = fit(
        sample, independent(sample), [fitted(sample, 0)[0]] if controls else [independent(sample)],
        permutations=asked.permutations, seed=asked.seed,
    )  # fmt: skip
    t = float(found.t[0, 0])
    r = t / np.hypot(t, np.sqrt(sample.n_pairs - len(sample.predictors) - 1))
    return Correlation(
        r=float(r),
        p=float(found.p[0, 0]),
        n_pairs=sample.n_pairs,
        n_languages=sample.n_languages,
        symmetric=sample.symmetric,
        permutations=asked.permutations,
        method=method,
        controls=tuple(controls),
    )


def _ranked(sample: Sample) -> Sample:
    return sample.with_values(rankdata(sample.x, axis=0), rankdata(sample.y, axis=0))
