"""Regression over pairs of languages: matrices on matrices, with and without language effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from mechsteer.options import records, takes
from mechsteer.options.likeness import Permuting
from mechsteer.pairwise.caution import cautious
from mechsteer.pairwise.covariance import Covariance, fitted, independent
from mechsteer.pairwise.jackknife import half_width
from mechsteer.pairwise.moments import without_each
from mechsteer.pairwise.permuted import Fit, fit
from mechsteer.pairwise.results import Effect, Regression
from mechsteer.pairwise.sample import Sample, samples

How = Callable[[Sample, Permuting], dict[str, Regression]]


@takes(Permuting)
def mrm(
    responses: Mapping[str, np.ndarray],
    predictors: Mapping[str, np.ndarray],
    *,
    languages: Sequence[str] | None = None,
    **options: Any,
) -> dict[str, Regression]:
    """Multiple regression on matrices: least squares over pairs, p-values from permuted languages.

    All responses (layers, say) that miss the same pairs share one set of permutations and one
    product each. Intervals leave out languages one after another.

    Args:
        responses: Name to matrix [language, language], NaN unknown, the diagonal ignored.
        predictors: Likewise; a pair is used where all of them and the response are known.
        languages: Their names, for messages.
        **options: how languages are permuted.

    Raises:
        MechsteerError: Fewer than five languages with known pairs (or three more than predictors),
            a constant response or predictor, a predictor that follows from others, shapes that
            differ, infinities, too few permutations.

    Source: Lichstein 2007 (MRM); Krackhardt 1988 (QAP); Freedman and Lane 1983 (one predictor
    beside others).
    """
    return _of_each(_least_squares, responses, predictors, languages, options)


@takes(Permuting)
def crossed(
    responses: Mapping[str, np.ndarray],
    predictors: Mapping[str, np.ndarray],
    *,
    languages: Sequence[str] | None = None,
    **options: Any,
) -> dict[str, Regression]:
    """Regression over pairs with random effects of languages, p-values from permuted languages.

    Symmetric pairs have the effects of both languages (multiple membership), ordered ones of the
    source and of the target (crossed). Variances by restricted maximum likelihood; coefficients by
    generalised least squares, whose permutations keep the covariance where all pairs are known;
    where some are not, p is never below that of ``mechsteer.pairwise.caution``. Intervals leave out
    languages, the variances held. Arguments and refusals as in `mrm`.

    Source: Baayen, Davidson and Bates 2008 (crossed effects); Clarke et al. 2002 (pairs).
    """
    return _of_each(_mixed, responses, predictors, languages, options)


def _of_each(
    how: How,
    responses: Mapping[str, np.ndarray],
    predictors: Mapping[str, np.ndarray],
    languages: Sequence[str] | None,
    options: Mapping[str, Any],
) -> dict[str, Regression]:
    """One regression of each response, in their order; those of one set of pairs together."""
    (asked,) = records(options, Permuting)
    found: dict[str, Regression] = {}
    for sample in samples(responses, predictors, languages):
        found |= how(sample, asked)
    return {name: found[name] for name in responses}


def _least_squares(sample: Sample, asked: Permuting) -> dict[str, Regression]:
    truths = [fitted(sample, place)[0] for place in range(len(sample.responses))]
    plain = independent(sample)
    fits = fit(sample, plain, truths, permutations=asked.permutations, seed=asked.seed)
    widths = half_width(without_each(sample).coefficients())[1:]
    return {
        name: _regression(sample, fits, place, widths[:, place], asked)
        for place, name in enumerate(sample.responses)
    }


def _mixed(sample: Sample, asked: Permuting) -> dict[str, Regression]:
    found = {}
    for own in sample.apart():
        covariance, _ = fitted(own, 0)
        fits = fit(own, covariance, [covariance], permutations=asked.permutations, seed=asked.seed)
        shares, widths = _shares(own, covariance), _widths(own, covariance)
        (name,) = own.responses
        found[name] = _regression(own, cautious(fits, own), 0, widths, asked, shares=shares)
    return found


def _effects(
    sample: Sample, fits: Fit, place: int, widths: Float[np.ndarray, " predictor"]
) -> tuple[Effect, ...]:
    own = fits.coefficients[1:, place]
    scaled = own * sample.x.std(0) / sample.y[:, place].std()
    columns = (own, own - widths, own + widths, scaled, fits.t[:, place], fits.p[:, place])
    rows = zip(sample.predictors, *(column.tolist() for column in columns), strict=True)
    return tuple(Effect(*row) for row in rows)


def _regression(
    sample: Sample,
    fits: Fit,
    place: int,
    widths: Float[np.ndarray, " predictor"],
    asked: Permuting,
    *,
    shares: tuple[tuple[str, float], ...] = (),
) -> Regression:
    y = sample.y[:, place]
    left = y - sample.design @ fits.coefficients[:, place]
    return Regression(
        response=sample.responses[place],
        effects=_effects(sample, fits, place, widths),
        r2=float(1 - (left @ left) / ((y - y.mean()) ** 2).sum()),
        p=float(fits.p_all[place]),
        n_pairs=sample.n_pairs,
        n_languages=sample.n_languages,
        symmetric=sample.symmetric,
        permutations=asked.permutations,
        shares=shares,
    )


def _widths(sample: Sample, covariance: Covariance) -> Float[np.ndarray, " predictor"]:
    """Half intervals of generalised least squares, from fits without each language."""
    columns = np.column_stack([sample.design, sample.y])
    left_out = []
    for language in range(sample.n_languages):
        there = (sample.source != language) & (sample.target != language)
        part = Covariance(covariance.members[there], covariance.ratios)
        solved = columns[there].T @ part.solve(columns[there])
        inner = np.linalg.pinv(solved[:-1, :-1], hermitian=True)
        left_out.append((inner @ solved[:-1, -1])[1:])
    widths: Float[np.ndarray, " predictor"] = half_width(np.stack(left_out))
    return widths


def _shares(sample: Sample, covariance: Covariance) -> tuple[tuple[str, float], ...]:
    """How what predictors leave divides, of one pair's variance."""
    names = ("languages",) if sample.symmetric else ("sources", "targets")
    ratios = [2 * covariance.ratios[0]] if sample.symmetric else list(covariance.ratios)
    total = 1 + sum(ratios)
    return (*((n, r / total) for n, r in zip(names, ratios, strict=True)), ("pairs", 1 / total))
