"""Columns of pairs split in what their languages give and what is the pair's own.

Residuals of a regression have less of either than the errors they stand for, and of the languages'
part much less: with 20 languages, seven predictors can take a third of it. Permuted residuals would
then vary too little and tests reject too often. So both parts are scaled up to what is expected of
the errors, which corresponds to the usual division of residuals by the root of what leverage left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mechsteer.pairwise.covariance import Covariance

_LEAST = 0.02  # of the expected sum of squares that residuals must keep to be scaled by it


@dataclass(frozen=True)
class Split:
    """Least squares on languages: ``columns = members @ effects + beyond``.

    Attributes:
        effects: Of each language (of symmetric pairs), or each source and then each target.
        shared: ``members @ effects``, the languages' part.
        beyond: The pairs' own part.
    """

    effects: Float[np.ndarray, "effect column"]
    shared: Float[np.ndarray, "pair column"]
    beyond: Float[np.ndarray, "pair column"]


def split(covariance: Covariance, columns: Float[np.ndarray, "pair column"]) -> Split:
    """Both parts of every column."""
    members = covariance.members
    gram = (members.T @ members).toarray()
    effects = np.linalg.pinv(gram, hermitian=True) @ (members.T @ columns)
    shared = members @ effects
    return Split(effects, shared, columns - shared)


def inflation(
    design: Float[np.ndarray, "pair column"],
    weighted: Float[np.ndarray, "pair column"],
    truth: Covariance,
) -> tuple[float, float]:
    """By what to multiply the languages' part of residuals, and the pairs' own.

    Both are 1 for residuals on the intercept alone, which permuting keeps. With the fit
    ``H = A K B'``, ``B`` the weighted design and ``K = (B'A)^-1``, and ``P`` the
    projection on either part, the expected sum of squares is ``tr(P V)`` of the errors and
    ``tr(P (I - H) V (I - H)') = tr(P V) - 2 tr(K B'V P A) + tr(K A'P A K B'V B)`` of residuals.
    """
    alone = _left(design[:, :1], weighted[:, :1], truth)
    left = _left(design, weighted, truth)
    ratios = [a / max(b, _LEAST * a) for a, b in zip(alone, left, strict=True)]
    return float(np.sqrt(ratios[0])), float(np.sqrt(ratios[1]))


def _left(
    design: Float[np.ndarray, "pair column"],
    weighted: Float[np.ndarray, "pair column"],
    truth: Covariance,
) -> list[float]:
    """Expected sums of squares of the residuals' parts, in units of the residual variance."""
    k, seen = np.linalg.inv(weighted.T @ design), truth.times(weighted)
    parts, both = split(truth, design), seen.T @ weighted
    return [
        whole - 2 * np.trace(k @ (seen.T @ part)) + np.trace(k @ (part.T @ part) @ k @ both)
        for part, whole in zip((parts.shared, parts.beyond), _expected(truth), strict=True)
    ]


def _expected(truth: Covariance) -> tuple[float, float]:
    """``tr(P V)`` of both parts: the languages' part has all of ``Z D Z'`` and its own errors."""
    members = truth.members
    rank = int(np.linalg.matrix_rank((members.T @ members).toarray(), hermitian=True))
    given = float((truth.diagonal * members.power(2).sum(axis=0)).sum())
    return rank + given, float(members.shape[0] - rank)
