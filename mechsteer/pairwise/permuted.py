"""The engine of every test: what a regression over pairs says when languages change places.

Permuting languages keeps what pairs of one language share, which permuting pairs would destroy.
For the coefficient of one predictor the residuals of the response on the *other* predictors are
permuted and the full regression is fitted again (Freedman and Lane 1983). All of that is linear in
the permuted columns, so that each permutation costs one product for all predictors and responses:
``C = A' V^-1 W_pi``, ``A`` the design, ``W = [A, y]``.

Where pairs are missing, the permuted columns have values in places where nothing is known. Those
are filled by their languages' effects and the deviation of another, randomly drawn, known pair;
what is observed is never filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mechsteer.pairwise.covariance import Covariance
from mechsteer.pairwise.sample import Sample
from mechsteer.pairwise.shares import inflation, split

_BATCH = 64  # permutations in memory at a time
_TIE = 1e-9  # statistics this close, as a share, are equal


@dataclass(frozen=True)
class Fit:
    """Generalised least squares of every response on the predictors, with permutation p-values.

    Attributes:
        coefficients: Intercept first.
        errors: Standard errors under the covariance given.
        t: Coefficients over their errors.
        p: Two-sided, of each predictor: ``(1 + #{|t*| >= |t|}) / (1 + permutations)``.
        p_all: Of all predictors together, by their share of explained variation.
        f_all: That share as Fisher's F: over what is left, each by its degrees of freedom.
    """

    coefficients: Float[np.ndarray, "column response"]
    errors: Float[np.ndarray, "column response"]
    t: Float[np.ndarray, "predictor response"]
    p: Float[np.ndarray, "predictor response"]
    p_all: Float[np.ndarray, " response"]
    f_all: Float[np.ndarray, " response"]


def fit(
    sample: Sample,
    covariance: Covariance,
    truths: Sequence[Covariance],
    *,
    permutations: int,
    seed: int,
) -> Fit:
    """Fit, then count how often permuted languages give as much.

    Args:
        sample: The pairs.
        covariance: That of the fit.
        truths: What the errors of each response are taken to be when residuals are scaled.
        permutations: How many.
        seed: Of the draws.
    """
    design = sample.design
    columns = _Columns.of(sample, covariance, np.column_stack([design, sample.y]))
    nulls = _Nulls.of(columns, truths)
    t, explained = nulls.observed()
    beaten, all_beaten = np.zeros(t.shape), np.zeros(explained.shape)
    for crossed, grams in _draws(sample, columns, permutations, seed):
        t_null, explained_null = nulls.statistics(crossed, grams)
        beaten += (np.abs(t_null) >= np.abs(t) * (1 - _TIE)).sum(0)
        all_beaten += (explained_null >= explained * (1 - _TIE)).sum(0)
    return Fit(
        coefficients=nulls.coefficients,
        errors=np.sqrt(np.outer(np.diag(nulls.inverse), nulls.residual / nulls.free)),
        t=t,
        p=(1 + beaten) / (1 + permutations),
        p_all=(1 + all_beaten) / (1 + permutations),
        f_all=nulls.free / len(t) * explained / np.maximum(1 - explained, np.finfo(float).eps),
    )


@dataclass(frozen=True)
class _Columns:
    """Design and responses, whole and in their two parts (languages', pairs' own).

    Attributes:
        covariance: That of the fit.
        width: Columns of the design, which come first.
        whole: The columns.
        parts: The languages' part of each, then the pairs' own part of each.
        effects: Of languages, that make the former.
        weighted: ``V^-1 A``.
        gram: ``[A, y]' V^-1 [A, y]`` as observed.
    """

    covariance: Covariance
    width: int
    whole: Float[np.ndarray, "pair both"]
    parts: Float[np.ndarray, "pair twice"]
    effects: Float[np.ndarray, "effect both"]
    weighted: Float[np.ndarray, "pair column"]
    gram: Float[np.ndarray, "both both"]

    @classmethod
    def of(
        cls, sample: Sample, covariance: Covariance, whole: Float[np.ndarray, "pair both"]
    ) -> _Columns:
        width = len(sample.predictors) + 1
        found, solved = split(covariance, whole), covariance.solve(whole)
        parts = np.column_stack([found.shared, found.beyond])
        return cls(
            covariance, width, whole, parts, found.effects, solved[:, :width], whole.T @ solved
        )


@dataclass(frozen=True)
class _Nulls:
    """How residuals on the other predictors are made from the two parts of the columns.

    Attributes:
        inverse: ``(A' V^-1 A)^-1``.
        gram: ``[A, y]' V^-1 [A, y]`` as observed.
        free: Degrees of freedom of the residual.
        recipes: For each predictor the residuals' coefficients on the parts; last, those of the
            response on the intercept alone.
    """

    inverse: Float[np.ndarray, "column column"]
    gram: Float[np.ndarray, "both both"]
    free: int
    recipes: Float[np.ndarray, "test twice response"]

    @classmethod
    def of(cls, columns: _Columns, truths: Sequence[Covariance]) -> _Nulls:
        width, gram = columns.width, columns.gram
        responses = len(gram) - width
        recipes = np.zeros((width, 2, width + responses, responses))
        kept = [[c for c in range(width) if c != k] for k in range(1, width)] + [[0]]
        for test, others in enumerate(kept):
            plain = np.zeros((width + responses, responses))
            plain[width:] = np.eye(responses)
            plain[others] = -np.linalg.solve(gram[np.ix_(others, others)], gram[others, width:])
            design, weighted = columns.whole[:, others], columns.weighted[:, others]
            factors = np.array([inflation(design, weighted, truth) for truth in truths]).T
            recipes[test] = factors[:, None] * plain
        free = len(columns.whole) - width
        inverse = np.linalg.inv(gram[:width, :width])
        return cls(inverse, gram, free, recipes.reshape(width, -1, responses))

    @property
    def coefficients(self) -> Float[np.ndarray, "column response"]:
        """Of the observed responses on the design."""
        width = len(self.inverse)
        found: Float[np.ndarray, "column response"] = self.inverse @ self.gram[:width, width:]
        return found

    @property
    def residual(self) -> Float[np.ndarray, " response"]:
        """Weighted sum of squared residuals of the responses on all predictors."""
        width = len(self.inverse)
        own = self.gram[:width, width:]
        fitted = (own * self.coefficients).sum(0)
        left = np.diag(self.gram)[width:] - fitted
        least: Float[np.ndarray, " response"] = np.maximum(left, np.finfo(float).tiny)
        return least

    def observed(
        self,
    ) -> tuple[Float[np.ndarray, "predictor response"], Float[np.ndarray, " response"]]:
        """Statistic t of every predictor, and the share that all explain."""
        width = len(self.inverse)
        seen, total = self.gram[:width, width:], np.diag(self.gram)[width:]
        error = np.sqrt(np.outer(np.diag(self.inverse), self.residual / self.free))
        return (self.coefficients / error)[1:], self._explained(seen[None], total[None])[0]

    def statistics(
        self,
        crossed: Float[np.ndarray, "draw column twice"],
        grams: Float[np.ndarray, "#draw twice twice"],
    ) -> tuple[Float[np.ndarray, "draw predictor response"], Float[np.ndarray, "draw response"]]:
        """The same of each draw, of the permuted residuals that each test is about."""
        seen = np.einsum("dct,ktr->kdcr", crossed, self.recipes, optimize=True)
        total = np.stack(
            [(recipe * (grams @ recipe)).sum(1) for recipe in self.recipes]
        )  # [test, draw, response]
        solved = self.inverse @ seen[:-1]
        left = np.maximum(total[:-1] - (seen[:-1] * solved).sum(2), np.finfo(float).tiny)
        own = np.stack([of_test[:, k + 1] for k, of_test in enumerate(solved)])
        error = np.sqrt(np.diag(self.inverse)[1:, None, None] * left / self.free)
        return (own / error).swapaxes(0, 1), self._explained(seen[-1], total[-1])

    def _explained(
        self,
        seen: Float[np.ndarray, "draw column response"],
        total: Float[np.ndarray, "#draw response"],
    ) -> Float[np.ndarray, "draw response"]:
        mean = seen[:, 0] ** 2 / self.gram[0, 0]
        fitted = (seen * (self.inverse @ seen)).sum(1)
        share: Float[np.ndarray, "draw response"] = (fitted - mean) / (total - mean)
        return share


def _draws(
    sample: Sample, columns: _Columns, permutations: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of ``A' V^-1 W_pi`` and ``W_pi' V^-1 W_pi``; the latter stays when all pairs do."""
    n, weighted = sample.n_languages, columns.weighted
    grid, rng = _grid(sample, columns, seed), np.random.default_rng(seed)
    gram = columns.parts.T @ columns.covariance.solve(columns.parts)
    for start in range(0, permutations, _BATCH):
        size = min(_BATCH, permutations - start)
        crossed = np.empty((size, weighted.shape[1], grid.shape[1]))
        grams = np.empty((size if not sample.complete else 1, *gram.shape))
        grams[:] = gram
        for place in range(size):
            order = rng.permutation(n)
            moved = grid.take(order[sample.source] * n + order[sample.target], axis=0)
            crossed[place] = weighted.T @ moved
            if not sample.complete:
                grams[place] = moved.T @ columns.covariance.solve(moved)
        yield crossed, grams


def _grid(sample: Sample, columns: _Columns, seed: int) -> Float[np.ndarray, "cell twice"]:
    """Both parts of every column at every ordered pair of languages, unknown ones filled.

    One drawn pair serves all columns, so that the filling is linear in them.
    """
    n, both = sample.n_languages, columns.whole.shape[1]
    shift = 0 if sample.symmetric else n
    effects, beyond = columns.effects, columns.parts[:, both:]
    drawn = np.random.default_rng([seed, 1]).integers(sample.n_pairs, size=(n, n))
    drawn[sample.source, sample.target] = np.arange(sample.n_pairs)
    if sample.symmetric:  # each pair stands above the diagonal
        drawn = np.triu(drawn) + np.triu(drawn, 1).T
    shared = effects[:n, None] + effects[None, shift : shift + n]
    return np.concatenate([shared, beyond[drawn]], axis=2).reshape(n * n, -1)
