"""Do a few sentences answer every query? How often each one is among the nearest of the others."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.analysis.similarity import Embeddings, check_parallel
from mechsteer.errors import MechsteerError
from mechsteer.kernels import neighbours


def occurrences(embeddings: Embeddings, *, k: int = 10) -> Int[Tensor, " occurrence"]:
    """How many candidates are among the k nearest of exactly ``0, 1, …, n`` queries.

    ``N_k(y) = #{x : y is one of the k candidates of highest cosine to x}``, queries in one language
    and candidates in another; counted over all ordered pairs of languages, so that the histogram
    sums to ``L(L-1)n`` and every pair has mean k. Equal cosines are taken in the order of the
    sentences. With fewer than k sentences k is their number.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`; k below 1.

    Source: Radovanovic, Nanopoulos and Ivanovic 2010, Hubs in Space (JMLR 11), section 3.1.

    >>> occurrences({"x": torch.eye(3), "y": torch.eye(3)}, k=1)
    tensor([0, 6, 0, 0])
    """
    check_parallel(embeddings)
    if k < 1:
        raise MechsteerError(f"expected k of at least 1, got {k}")
    x = {language: rows.float() for language, rows in embeddings.items()}
    n = len(next(iter(x.values())))
    found = torch.zeros(n + 1, dtype=torch.int64)
    for source, target in permutations(x, 2):
        nearest = neighbours(x[source], x[target], k=min(k, n)).index
        times = torch.bincount(nearest.flatten().cpu(), minlength=n)
        found += torch.bincount(times, minlength=n + 1)
    return found


def skewness(histogram: Int[Tensor, " occurrence"] | Float[Tensor, " occurrence"]) -> float:
    """Skewness of the counts a histogram holds: hubs make it large, even neighbourhoods about 0.

    ``E[(N - μ)³] / σ³`` in float64; 0 where all counts are equal.

    Source: Radovanovic et al. 2010, equation 1.

    >>> round(skewness(torch.tensor([3, 0, 0, 1])), 3)
    1.155
    """
    weight = histogram.double().numpy()
    value = np.arange(len(weight))
    mean = np.average(value, weights=weight)
    variance = np.average((value - mean) ** 2, weights=weight)
    third = np.average((value - mean) ** 3, weights=weight)
    return float(third / variance**1.5) if variance > 0 else 0.0
