"""Where does the translation rank among all candidates? Beyond top-1: ranks, MRR, a mixed pool.

A candidate within 1e-6 of the translation counts as before it, so a collapsed space ranks it last.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.analysis.similarity import Embeddings, directions
from mechsteer.errors import MechsteerError
from mechsteer.kernels import TIE


def translation_ranks(
    x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"]
) -> Int[Tensor, "2 sentence"]:
    """Rank of each translation by cosine, 1 the best: row 0 for queries in x, row 1 in y.

    ``1 + #{j != i : cos(x_i, y_j) >= cos(x_i, y_i) - 1e-6}``, in float64. Rank 1 is a hit of
    `mechsteer.analysis.top1_hits`.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.

    >>> translation_ranks(torch.eye(3), torch.eye(3)[[0, 2, 1]])
    tensor([[1, 3, 3],
            [1, 3, 3]])
    """
    u, v = directions({"x": x, "y": y})
    cosine = u.exact @ v.exact.T
    reach = cosine.diagonal() - TIE
    return torch.stack(((cosine >= reach[:, None]).sum(1), (cosine >= reach).sum(0)))


def reciprocal_ranks(
    ranks: Int[Tensor, "*direction sentence"],
) -> Float[Tensor, "*direction sentence"]:
    """``1 / rank`` of each sentence, whose mean is the mean reciprocal rank (MRR).

    Raises:
        MechsteerError: no ranks, or one below 1.
    """
    _check_ranks(ranks)
    return 1 / ranks.double()


def hits_at(
    ranks: Int[Tensor, "*direction sentence"], k: int
) -> Bool[Tensor, "*direction sentence"]:
    """Whether the translation is among the k nearest; the mean is recall at k.

    Raises:
        MechsteerError: k below 1, no ranks, or one below 1.
    """
    _check_ranks(ranks)
    if k < 1:
        raise MechsteerError(f"expected k of 1 or more, got {k}")
    return ranks <= k


def mixed_pool_hits(embeddings: Embeddings) -> Bool[Tensor, "source target sentence"]:
    """Whether a translation beats the wrong sentences of *all* languages, the query's own included.

    ``cos(x_i^s, x_i^t) > max_{l, j != i} cos(x_i^s, x_j^l) + 1e-6``: strong alignment, where a
    space in which every language keeps to itself scores 0 although retrieval within one language
    succeeds. Other translations of the sentence are no rivals. The diagonal is False. Float64, one
    product of two languages at a time.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.

    Source: Roy et al. 2020 (LAReQA), section 3; our reading for parallel sentences.
    """
    sides = directions(embeddings)
    hits = torch.zeros(len(sides), len(sides), len(sides[0].unit), dtype=torch.bool)
    for s, query in enumerate(sides):
        gold, rivals = [], []
        for pool in sides:
            cosine = query.exact @ pool.exact.T
            gold.append(cosine.diagonal().clone())
            rivals.append(cosine.fill_diagonal_(-torch.inf).amax(1))
        hits[s] = (torch.stack(gold) > torch.stack(rivals).amax(0) + TIE).cpu()
        hits[s, s] = False
    return hits


def _check_ranks(ranks: Tensor) -> None:
    if ranks.is_floating_point() or not ranks.numel() or int(ranks.min()) < 1:
        raise MechsteerError(
            f"expected whole ranks of 1 or more, got {ranks.dtype} {tuple(ranks.shape)}"
        )
