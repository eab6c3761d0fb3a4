"""Sums of squares and products over pairs, whole and by language: fits without some languages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import sparse

from mechsteer.pairwise.sample import Sample

_RANK = 1e-10  # singular values below this share of the largest are none


@dataclass(frozen=True)
class Moments:
    """Products of the design (ones, then predictors) and the responses over sets of pairs.

    Attributes:
        xx: ``A'A`` of each set.
        xy: ``A'y``.
        yy: Sum of squares of each response.
    """

    xx: Float[np.ndarray, "set column column"]
    xy: Float[np.ndarray, "set column response"]
    yy: Float[np.ndarray, "set response"]

    def coefficients(self) -> Float[np.ndarray, "set column response"]:
        """Least squares of each set; of least norm where the set determines no single one."""
        scale = np.sqrt(np.maximum(np.einsum("scc->sc", self.xx), np.finfo(float).tiny))
        inner = self.xx / scale[:, :, None] / scale[:, None]
        solved = np.linalg.pinv(inner, rcond=_RANK, hermitian=True) @ (self.xy / scale[:, :, None])
        found: Float[np.ndarray, "set column response"] = solved / scale[:, :, None]
        return found

    def correlations(
        self,
    ) -> tuple[
        Float[np.ndarray, "set predictor predictor"], Float[np.ndarray, "set predictor response"]
    ]:
        """Correlations among predictors and with responses; 0 with what is constant in a set."""
        n, means = self.xx[:, :1, :1], self.xx[:, 0, 1:]
        centred = self.xx[:, 1:, 1:] - means[:, :, None] * means[:, None] / n
        with_y = self.xy[:, 1:] - means[:, :, None] * self.xy[:, :1] / n
        spread_y = self.yy - self.xy[:, 0] ** 2 / n[:, 0]
        raw = np.einsum("spp->sp", self.xx[:, 1:, 1:])
        inverse = _inverse_root(np.einsum("spp->sp", centred), raw)
        by_y = _inverse_root(spread_y, self.yy)
        return (
            centred * inverse[:, :, None] * inverse[:, None],
            with_y * inverse[:, :, None] * by_y[:, None],
        )


def _inverse_root(
    spread: Float[np.ndarray, "set column"], raw: Float[np.ndarray, "set column"]
) -> Float[np.ndarray, "set column"]:
    flat = spread <= _RANK * raw
    return np.where(flat, 0.0, 1 / np.sqrt(np.where(flat, 1.0, spread)))


def whole(sample: Sample) -> Moments:
    """Moments over all pairs: one set."""
    a, y = sample.design, sample.y
    return Moments((a.T @ a)[None], (a.T @ y)[None], (y * y).sum(0)[None])


def without_each(sample: Sample) -> Moments:
    """Moments over the pairs that do not have a language: one set a language."""
    own = touching(sample)
    total = whole(sample)
    return Moments(total.xx - own.xx, total.xy - own.xy, total.yy - own.yy)


def touching(sample: Sample) -> Moments:
    """Moments over the pairs of each language: one set a language."""
    n, pairs = sample.n_languages, np.arange(sample.n_pairs)
    columns = np.concatenate([sample.source, sample.target])
    has = sparse.csr_array(
        (np.ones(len(columns)), (np.tile(pairs, 2), columns)), shape=(len(pairs), n)
    )
    a, y = sample.design, sample.y
    width, responses = a.shape[1], y.shape[1]
    xx = has.T @ (a[:, :, None] * a[:, None]).reshape(len(pairs), -1)
    xy = has.T @ (a[:, :, None] * y[:, None]).reshape(len(pairs), -1)
    return Moments(xx.reshape(n, width, width), xy.reshape(n, width, responses), has.T @ (y * y))
