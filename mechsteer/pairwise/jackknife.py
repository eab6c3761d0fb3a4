"""How sure a number over pairs is: the languages left out one after another."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

CONFIDENCE = 0.95


def jackknife_errors(left_out: Float[np.ndarray, "language *cell"]) -> Float[np.ndarray, "*cell"]:
    """Standard errors from the values that a statistic takes without each language.

    ``sqrt((n - 1) / n * sum_i (v_i - mean)^2)``. Right where the pairs of a language share an
    effect, up to sqrt(2) too wide where pairs are independent: never too sure.

    Source: Efron and Stein 1981; Snijders and Borgatti 1999 for pairs (their factor is half as
    large, right for independent pairs alone).
    """
    n = len(left_out)
    errors: Float[np.ndarray, "*cell"] = np.sqrt((n - 1) * left_out.var(axis=0))
    return errors


def half_width(
    left_out: Float[np.ndarray, "language *cell"], confidence: float = CONFIDENCE
) -> Float[np.ndarray, "*cell"]:
    """Half the interval of a statistic: Student's t with one degree less than languages."""
    quantile = student.ppf((1 + confidence) / 2, len(left_out) - 1)
    width: Float[np.ndarray, "*cell"] = quantile * jackknife_errors(left_out)
    return width
