"""Hubs: sentences that are everybody's neighbour, and those that are nobody's."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.analysis.held import pairs
from mechsteer.analysis.similarity import Embeddings, check_languages, check_parallel
from mechsteer.errors import MechsteerError
from mechsteer.kernels import neighbours


def k_occurrence(
    x: Float[Tensor, "query d"], y: Float[Tensor, "candidate d"], *, k: int = 10
) -> Int[Tensor, "candidate"]:
    """In how many queries' k nearest neighbours a candidate is: ``N_k(j)``, by cosine.

    Its mean is ``k n_query / n_candidate`` whatever the space; what tells hubs is its skewness.
    Equal cosines by ascending index.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_languages`; also k outside 1 to
            the number of candidates.

    Source: Radovanovic et al. 2010 (JMLR 11), section 2.
    """
    check_languages({"queries": x, "candidates": y})
    if not 1 <= k <= len(y):
        raise MechsteerError(f"expected k from 1 to {len(y)} candidates, got {k}")
    index = neighbours(x.float(), y.float(), k=k).index
    return torch.bincount(index.flatten().cpu(), minlength=len(y))


def occurrence_histogram(embeddings: Embeddings, *, k: int = 10) -> Int[Tensor, "times"]:
    """How many candidates are among the k nearest of exactly ``0, 1, …, n`` queries.

    `k_occurrence` of all ordered pairs of languages together: the histogram sums to ``L(L-1)n``,
    and its mean is k. With fewer than k sentences k is their number.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.

    >>> occurrence_histogram({"x": torch.eye(3), "y": torch.eye(3)}, k=1)
    tensor([0, 6, 0, 0])
    """
    check_parallel(embeddings)
    n = len(next(iter(embeddings.values())))
    found = torch.zeros(n + 1, dtype=torch.int64)
    for _, _, x, y in pairs(embeddings, lambda x: x, times=2):
        for queries, candidates in ((x, y), (y, x)):
            times = k_occurrence(queries, candidates, k=min(k, n))
            found += torch.bincount(times, minlength=n + 1)
    return found


def skewness(occurrence: Int[Tensor, "candidate"]) -> float:
    """Third standardised moment of ``N_k``; 0 without hubs, above 1 with strong ones.

    Raises:
        MechsteerError: no candidate, or every candidate occurs equally often, which has no
            skewness.
    """
    from scipy.stats import skew

    _require_candidates(occurrence)
    if int(occurrence.min()) == int(occurrence.max()):
        raise MechsteerError("every sentence is a neighbour equally often: no skewness to speak of")
    return float(skew(occurrence.double().numpy()))


def anti_hubs(occurrence: Int[Tensor, "candidate"]) -> float:
    """Share of candidates that are nobody's neighbour: retrieval can never find them.

    Raises:
        MechsteerError: no candidate.

    >>> anti_hubs(torch.tensor([0, 3, 0, 1]))
    0.5
    """
    _require_candidates(occurrence)
    return float((occurrence == 0).double().mean())


def _require_candidates(occurrence: Tensor) -> None:
    if not occurrence.numel():
        raise MechsteerError("expected the occurrence of one candidate or more, got none")
