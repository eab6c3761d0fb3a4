"""What p-values of several predictors are worth together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import false_discovery_control

from mechsteer.errors import MechsteerError, shown


def holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Adjusted p-values that control the chance of any false rejection.

    ``p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))`` over the sorted p; dependence may be any.

    Raises:
        MechsteerError: No p-value, or one outside [0, 1] or NaN.

    Source: Holm 1979.

    >>> holm(np.array([0.25, 0.125, 0.25])).tolist()
    [0.5, 0.375, 0.5]
    """
    _check(p)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(stepped)
    return adjusted


def benjamini_hochberg(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Adjusted p-values that control the expected share of false ones among rejections.

    Raises:
        MechsteerError: As in `holm`.

    Source: Benjamini and Hochberg 1995 (independent or positively dependent tests).

    >>> benjamini_hochberg(np.array([0.25, 0.125, 0.5])).tolist()
    [0.375, 0.375, 0.5]
    """
    _check(p)
    adjusted: Float[np.ndarray, " test"] = false_discovery_control(p, method="bh")
    return adjusted


def _check(p: Float[np.ndarray, " test"]) -> None:
    if p.ndim != 1 or not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise MechsteerError(f"expected a vector of p-values from 0 to 1, got {shown(p)}")
