"""How pairs that share a language hang together, and how to undo it.

``y = A b + Z u + e``: ``Z`` says which languages a pair has. Of symmetric pairs both languages
draw from one set of effects (multiple membership), of ordered pairs the source from one and the
target from another. ``V = I + Z D Z'`` is the covariance in units of the residual variance, ``D``
the ratio of each effect's variance to it. Products with ``V^-1`` cost what those with ``Z`` do:
``V^-1 = I - Z (D^-1 + Z'Z)^-1 Z'`` (Woodbury).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from mechsteer.pairwise.sample import Sample

_NONE = 1e-8  # a ratio below this is none
_BOUNDS = (-9.0, 9.0)  # of the logarithm of a ratio while it is fitted
_STARTS = (-3.0, 0.0, 3.0)


@dataclass(frozen=True)
class Covariance:
    """Covariance of the pairs of a sample, in units of the residual variance.

    Attributes:
        members: ``Z``, 1 where a pair has a language.
        ratios: Variance of each kind of language effect over the residual variance: one number for
            symmetric pairs, those of sources and of targets for ordered ones.
    """

    members: sparse.csr_array
    ratios: tuple[float, ...]

    def solve(self, values: Float[np.ndarray, "pair column"]) -> Float[np.ndarray, "pair column"]:
        """``V^-1 values``."""
        roots = _roots(self.ratios, self.members.shape[1])
        if not roots.any():
            return values
        gram = (self.members.T @ self.members).toarray()
        inner = np.eye(len(roots)) + roots[:, None] * gram * roots
        seen = roots[:, None] * (self.members.T @ values)
        solved: Float[np.ndarray, "pair column"] = values - self.members @ (
            roots[:, None] * cho_solve(cho_factor(inner), seen)
        )
        return solved

    def times(self, values: Float[np.ndarray, "pair column"]) -> Float[np.ndarray, "pair column"]:
        """``V values``."""
        given = self.diagonal[:, None] * (self.members.T @ values)
        product: Float[np.ndarray, "pair column"] = values + self.members @ given
        return product

    @property
    def diagonal(self) -> Float[np.ndarray, " effect"]:
        """Diagonal of ``D``: the ratio of each column of ``members``."""
        return _roots(self.ratios, self.members.shape[1]) ** 2


def independent(sample: Sample) -> Covariance:
    """The covariance of pairs that share nothing: the identity."""
    return Covariance(members_of(sample), (0.0,))


def members_of(sample: Sample) -> sparse.csr_array:
    """``Z`` of a sample: [pair, language], or [pair, source and then target] of ordered pairs."""
    n, pairs = sample.n_languages, np.arange(sample.n_pairs)
    shift = 0 if sample.symmetric else n
    columns = np.concatenate([sample.source, sample.target + shift])
    shape = (sample.n_pairs, n + shift)
    ones = np.ones(2 * sample.n_pairs)
    return sparse.csr_array((ones, (np.tile(pairs, 2), columns)), shape=shape)


def fitted(sample: Sample, response: int) -> tuple[Covariance, float]:
    """The covariance by restricted maximum likelihood, and the residual variance.

    The residual variance has a closed form given the ratios, so one number is searched for
    symmetric pairs and two for ordered ones; each step costs a Cholesky factor of one row a
    language, whatever the number of pairs.

    Source: Patterson and Thompson 1971; Bates et al. 2015, section 3.4 (profiled criterion).
    """
    members = members_of(sample)
    kinds = 1 if sample.symmetric else 2
    data = np.column_stack([sample.design, sample.y[:, response]])
    gram, seen, total = (members.T @ members).toarray(), members.T @ data, data.T @ data

    def criterion(logs: Float[np.ndarray, " kind"]) -> float:
        return _deviance(np.exp(logs), gram, seen, total, sample.n_pairs)[0]

    found = min(
        (
            minimize(criterion, [start] * kinds, method="L-BFGS-B", bounds=[_BOUNDS] * kinds)
            for start in _STARTS
        ),
        key=lambda result: float(result.fun),
    )
    ratios = np.exp(found.x)
    ratios = np.where(found.x <= _BOUNDS[0] + 1e-3, 0.0, ratios)
    variance = _deviance(ratios, gram, seen, total, sample.n_pairs)[1]
    return Covariance(members, tuple(ratios.tolist())), variance


def _deviance(
    ratios: Float[np.ndarray, " kind"],
    gram: Float[np.ndarray, "effect effect"],
    seen: Float[np.ndarray, "effect column"],
    total: Float[np.ndarray, "column column"],
    n_pairs: int,
) -> tuple[float, float]:
    """Minus twice the restricted log-likelihood, but for a constant, and the residual variance."""
    roots = _roots(ratios, len(gram))
    factor = cho_factor(np.eye(len(gram)) + roots[:, None] * gram * roots, lower=True)
    scaled = roots[:, None] * seen
    left = total - scaled.T @ cho_solve(factor, scaled)
    design = cho_factor(left[:-1, :-1], lower=True)
    residual = left[-1, -1] - left[:-1, -1] @ cho_solve(design, left[:-1, -1])
    free = n_pairs - len(left) + 1
    variance = max(float(residual), np.finfo(float).tiny) / free
    logs = [2 * np.log(np.diag(half[0])).sum() for half in (factor, design)]
    return free * float(np.log(variance)) + float(sum(logs)), variance


def _roots(
    ratios: Sequence[float] | Float[np.ndarray, " kind"], effects: int
) -> Float[np.ndarray, " effect"]:
    """Square root of the ratio of each column of ``Z``."""
    known = np.asarray(ratios, dtype=float)
    return np.repeat(np.sqrt(np.where(known < _NONE, 0.0, known)), effects // len(known))
