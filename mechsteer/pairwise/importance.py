"""Which predictor explains how much, where predictors overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Float

from mechsteer.errors import MechsteerError
from mechsteer.pairwise.jackknife import half_width
from mechsteer.pairwise.moments import Moments, whole, without_each
from mechsteer.pairwise.results import Importance
from mechsteer.pairwise.sample import Sample, samples

MOST = 12  # predictors: 4,096 regressions


def importance(
    responses: Mapping[str, np.ndarray],
    predictors: Mapping[str, np.ndarray],
    *,
    languages: Sequence[str] | None = None,
) -> dict[str, Importance]:
    """Divide R2 among predictors by their mean gain over all orders of entering.

    ``share_k = mean over sizes s of mean over sets S of s others: R2(S + k) - R2(S)``, all 2^p sets
    from one table of correlations. Intervals leave out languages one after another.

    Args:
        responses: Name to matrix [language, language], NaN unknown, the diagonal ignored.
        predictors: Likewise, up to 12.
        languages: Their names, for messages.

    Raises:
        MechsteerError: More than 12 predictors, or what `mechsteer.pairwise.mrm` refuses.

    Source: Lindeman, Merenda and Gold 1980 (LMG); Azen and Budescu 2003 (general dominance).
    """
    if len(predictors) > MOST:
        raise MechsteerError(f"expected up to {MOST} predictors, got {len(predictors)}")
    found = {}
    for sample in samples(responses, predictors, languages):
        explained = _explained(whole(sample))
        widths = half_width(_shares(_explained(without_each(sample))))
        for place, name in enumerate(sample.responses):
            own = {s: values[:, place : place + 1] for s, values in explained.items()}
            found[name] = _importance(sample, name, own, widths[:, place])
    return {name: found[name] for name in responses}


Explained = dict[frozenset[int], Float[np.ndarray, "set response"]]


def _explained(moments: Moments) -> Explained:
    """R2 of every set of predictors, in each set of pairs."""
    among, with_y = moments.correlations()
    p = among.shape[1]
    found: Explained = {frozenset(): np.zeros((len(among), with_y.shape[2]))}
    for size in range(1, p + 1):
        for chosen in combinations(range(p), size):
            inner = among[:, chosen][:, :, chosen]
            own = with_y[:, chosen]
            solved = np.linalg.pinv(inner, hermitian=True, rcond=1e-10) @ own
            found[frozenset(chosen)] = (own * solved).sum(1)
    return found


def _shares(explained: Explained) -> Float[np.ndarray, "set predictor response"]:
    p = max(len(chosen) for chosen in explained)
    shares = [
        sum(
            (explained[chosen | {k}] - values) / (p * comb(p - 1, len(chosen)))
            for chosen, values in explained.items()
            if k not in chosen
        )
        for k in range(p)
    ]
    return np.stack([np.asarray(share) for share in shares], axis=1)


def _importance(
    sample: Sample, name: str, explained: Explained, widths: Float[np.ndarray, " predictor"]
) -> Importance:
    shares = _shares(explained)[0, :, 0]
    p = len(shares)
    everything = frozenset(range(p))
    r2 = explained[everything].item()
    return Importance(
        response=name,
        predictors=sample.predictors,
        share=tuple(shares.tolist()),
        low=tuple(np.maximum(shares - widths, 0.0).tolist()),
        high=tuple(np.minimum(shares + widths, 1.0).tolist()),
        alone=tuple(explained[frozenset({k})].item() for k in range(p)),
        last=tuple(r2 - explained[everything - {k}].item() for k in range(p)),
        r2=r2,
        n_pairs=sample.n_pairs,
        n_languages=sample.n_languages,
    )
