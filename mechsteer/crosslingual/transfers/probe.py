"""A linear probe on frozen embeddings: multinomial logistic regression, as scikit-learn fits it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from torch import Tensor

from mechsteer.errors import MechsteerError

GRID = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Inverse penalties that are tried where one is chosen."""
_STEPS = 2000


@dataclass(frozen=True)
class Learning:
    """How a probe learns.

    Attributes:
        inverse_penalty: C of ``sklearn.linear_model.LogisticRegression``.
        choose: choose C among ``GRID`` instead, by accuracy in 5 folds of the training sentences,
            groups kept together; the smallest of equals.
    """

    inverse_penalty: float = 1.0
    choose: bool = False


@dataclass(frozen=True)
class Probe:
    """Weights of a fitted probe, for embeddings as they are: ``x @ weight + bias``.

    Attributes:
        weight: one column a class.
        bias: one number a class.
    """

    weight: Float[np.ndarray, "d n_classes"]
    bias: Float[np.ndarray, " n_classes"]

    def predict(self, x: Float[Tensor, "sentence d"]) -> Int[np.ndarray, " sentence"]:
        """The class of each sentence; of equal scores the first."""
        scores = x.detach().cpu().double().numpy() @ self.weight + self.bias
        found: Int[np.ndarray, " sentence"] = scores.argmax(1)
        return found


def fit_probe(
    x: Float[Tensor, "sentence d"],
    y: Int[np.ndarray, " sentence"],
    groups: Sequence[int],
    how: Learning,
) -> Probe:
    """Fit on standardised embeddings: mean 0, deviation 1 (ddof 0); constant dimensions are left.

    A penalised fit lies in the span of its sentences; where they are fewer than the dimensions it
    is found in that span, which changes nothing but the time.

    Args:
        x: training sentences in one language.
        y: their classes, 0 to K - 1, each of them there.
        groups: sentences of one number stay together when C is chosen.
        how: the penalty.

    Raises:
        MechsteerError: NaN or infinity, or a fit that does not converge.
    """
    values = x.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        raise MechsteerError("expected finite embeddings to train a probe on, got NaN or infinity")
    mean, scale = values.mean(0), values.std(0)
    scale[scale <= 1e-12 * np.abs(values).max(initial=1e-300)] = 1.0
    z = (values - mean) / scale
    basis = np.linalg.qr(z.T)[0] if z.shape[0] < z.shape[1] else np.eye(z.shape[1])
    inside = z @ basis
    c = _chosen(inside, y, groups) if how.choose else how.inverse_penalty
    weight, bias = _weights(_fitted(inside, y, c))
    outside = (basis @ weight) / scale[:, None]
    return Probe(outside, bias - mean @ outside)


def _fitted(x: np.ndarray, y: np.ndarray, c: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return LogisticRegression(C=c, max_iter=_STEPS).fit(x, y)
        except ConvergenceWarning:
            raise MechsteerError(
                f"the probe did not converge in {_STEPS} steps at C={c:g}: expected a smaller C"
            ) from None


def _weights(model: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """One column a class; of two classes scikit-learn keeps the second alone."""
    weight, bias = model.coef_.T, model.intercept_
    if weight.shape[1] > 1:
        return weight, bias
    return np.hstack([0 * weight, weight]), np.hstack([0 * bias, bias])


def _chosen(x: np.ndarray, y: np.ndarray, groups: Sequence[int]) -> float:
    """The penalty that is right most often in folds; a fold may lack a class."""
    n = min(5, len(set(groups)))
    if n < 2:
        raise MechsteerError("expected two groups of training sentences or more to choose C in")
    right = np.zeros(len(GRID))
    for train, test in GroupKFold(n).split(x, y, groups):
        if len(np.unique(y[train])) < 2:
            continue
        for number, c in enumerate(GRID):
            right[number] += (_fitted(x[train], y[train], c).predict(x[test]) == y[test]).sum()
    return GRID[int(right.argmax())]
