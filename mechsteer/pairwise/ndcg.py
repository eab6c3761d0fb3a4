"""How good an order is: discounted cumulative gain, exact where scores are equal."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from mechsteer.errors import MechsteerError, shown

BEST = 10.0  # grade of the best item


def ndcg(gains: Float[np.ndarray, " item"], scores: Float[np.ndarray, " item"], k: int) -> float:
    """Expected NDCG@k of items in order of falling scores, equal ones in random order.

    ``DCG@k = sum_{i <= k} gain_i / log2(i + 1)`` over that of the best order. Items with one score
    each have the mean discount of the places that they share, which is the mean over all their
    orders. Scores that are all equal thus give what a random order has on average.

    Args:
        gains: Of each item, 0 or more.
        scores: Larger comes first.
        k: How many places count, 1 or more.

    Raises:
        MechsteerError: k below 1, a value that is not finite, a gain below 0, or no gain at all.

    Source: Järvelin and Kekäläinen 2002; McSherry and Najork 2008 for ties.

    >>> ndcg(np.array([1.0, 0.0]), np.array([5.0, 5.0]), 1)
    0.5
    """
    checked_k(k)
    if gains.shape != scores.shape or not (np.isfinite(gains) & np.isfinite(scores)).all():
        raise MechsteerError("expected a finite gain and a finite score of every item")
    if not ((gains >= 0).all() and gains.any()):
        raise MechsteerError(f"expected gains from 0 up, one of them above 0, got {shown(gains)}")
    place = np.arange(len(gains))
    discounts = np.where(place < k, 1 / np.log2(place + 2), 0.0)
    _, group, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    total = np.concatenate([[0.0], np.cumsum(discounts)])
    shared = (total[ends] - total[ends - counts]) / counts
    return float(gains @ shared[group] / (np.sort(gains)[::-1] @ discounts))


def graded(values: Float[np.ndarray, " item"]) -> Float[np.ndarray, " item"]:
    """Gains by rank: ``2^grade - 1``, the grade 10 for the best, 9 for the next, 0 from the 11th.

    Equal values share the mean of their grades. Values of any sign and unit can be graded.

    Source: Lin et al. 2019 (LangRank).

    >>> graded(np.array([0.5, -1.0, 0.25])).tolist()
    [1023.0, 255.0, 511.0]
    """
    grades = np.maximum(0.0, BEST + 1 - rankdata(-values))
    gains: Float[np.ndarray, " item"] = 2**grades - 1
    return gains


def checked_k(k: int) -> int:
    """A number of places.

    Raises:
        MechsteerError: It is no whole number from 1 up.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise MechsteerError(f"expected k as a whole number of 1 or more, got {shown(k)}")
    return int(k)
