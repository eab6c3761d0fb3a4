"""Does a regression over pairs say anything of languages that it has not seen?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from mechsteer.errors import MechsteerError
from mechsteer.pairwise.moments import Moments, touching, whole
from mechsteer.pairwise.results import Prediction
from mechsteer.pairwise.sample import Sample, samples

_CHUNK = 2048  # pairs at a time


def predict_unseen(
    responses: Mapping[str, np.ndarray],
    predictors: Mapping[str, np.ndarray],
    *,
    languages: Sequence[str] | None = None,
) -> dict[str, Prediction]:
    """Predict every pair by a regression on the pairs that have neither of its languages.

    Args:
        responses: Name to matrix [language, language], NaN unknown, the diagonal ignored.
        predictors: Likewise.
        languages: Their names, for messages.

    Raises:
        MechsteerError: What `mechsteer.pairwise.mrm` refuses, or a pair without which fewer pairs
            than predictors and two are left.
    """
    found = {}
    for sample in samples(responses, predictors, languages):
        predicted, means = _predicted(sample)
        errors = ((sample.y - predicted) ** 2).sum(0)
        about = ((sample.y - means) ** 2).sum(0)
        own = whole(sample).coefficients()[0]
        fit_errors = ((sample.y - sample.design @ own) ** 2).sum(0)
        spread = ((sample.y - sample.y.mean(0)) ** 2).sum(0)
        for place, name in enumerate(sample.responses):
            found[name] = Prediction(
                response=name,
                r2=float(1 - errors[place] / about[place]),
                r2_seen=float(1 - fit_errors[place] / spread[place]),
                n_pairs=sample.n_pairs,
                n_languages=sample.n_languages,
            )
    return {name: found[name] for name in responses}


def _predicted(
    sample: Sample,
) -> tuple[Float[np.ndarray, "pair response"], Float[np.ndarray, "pair response"]]:
    """Each pair by the fit and by the mean of pairs that have neither of its languages."""
    total, own = whole(sample), touching(sample)
    design = sample.design
    places = {pair: i for i, pair in enumerate(zip(sample.source, sample.target, strict=True))}
    pairs = np.arange(sample.n_pairs)
    back = np.array([places.get((t, s), -1) for s, t in places]) if not sample.symmetric else None
    predicted, means = np.empty_like(sample.y), np.empty_like(sample.y)
    for start in range(0, sample.n_pairs, _CHUNK):
        at = pairs[start : start + _CHUNK]
        left = _without(total, own, sample, at, None if back is None else back[at])
        if (left.xx[:, 0, 0] < design.shape[1] + 1).any():
            raise MechsteerError(
                f"too few pairs are left without two languages for {len(sample.predictors)} "
                "predictors; give more languages or fewer predictors"
            )
        predicted[at] = np.einsum("pc,pcr->pr", design[at], left.coefficients())
        means[at] = left.xy[:, 0] / left.xx[:, 0, :1]
    return predicted, means


def _without(
    total: Moments,
    own: Moments,
    sample: Sample,
    at: np.ndarray,
    back: np.ndarray | None,
) -> Moments:
    """Moments without both languages of each pair: what both have was taken away twice."""
    source, target = sample.source[at], sample.target[at]
    xx = total.xx - own.xx[source] - own.xx[target]
    xy = total.xy - own.xy[source] - own.xy[target]
    for these, there in ((at, np.ones(len(at))), (back, None if back is None else back >= 0)):
        if these is None or there is None:
            continue
        a = sample.design[these] * np.asarray(there)[:, None]
        xx = xx + a[:, :, None] * a[:, None]
        xy = xy + a[:, :, None] * sample.y[these][:, None]
    return Moments(xx, xy, np.zeros((len(at), sample.y.shape[1])))
