"""P-values of generalised least squares where pairs are missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import f as fisher
from scipy.stats import t as student

from mechsteer.pairwise.permuted import Fit
from mechsteer.pairwise.sample import Sample


def cautious(fits: Fit, sample: Sample) -> Fit:
    """The same fit, its p-values bounded from below where some pairs are missing.

    Of a complete sample permuting keeps the covariance. Of an incomplete one it does not, and the
    fitted covariance, which permutations take for granted, depends on few languages. There no p is
    smaller than Student's (of all predictors Fisher's) with ``languages - predictors - 1`` degrees
    of freedom: as if each language were one observation.
    """
    if sample.complete:
        return fits
    p = len(sample.predictors)
    free = sample.n_languages - p - 1
    alone = 2 * student.sf(np.abs(fits.t), free)
    together = fisher.sf(fits.f_all, p, free)
    return replace(fits, p=np.maximum(fits.p, alone), p_all=np.maximum(fits.p_all, together))
