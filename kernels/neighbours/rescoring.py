"""What a float32 search found, scored again in float64: the order is that of exact scores.

A product in float32 errs by some 1e-6 where rows are nearly parallel, and gives equal rows unequal
scores in different places of a tile. So a search keeps a few candidates more than asked for, and
where even the last of them may belong among the best, the whole row is scored again.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .local_scaling import TIE, LocalScaling

_ERROR = 4 * TIE
"""No float32 cosine of a search is further from the exact one, by a factor of two."""
_ELEMENTS = 1 << 21  # of a float64 block: 16 MB


def rescored(
    x: Float[Tensor, "query d"],
    y: Float[Tensor, "candidate d"],
    kept: tuple[Int[Tensor, "query width"], Float[Tensor, "query width"]],
    k: int,
    scaling: LocalScaling | None,
) -> tuple[Int[Tensor, "query k"], Float[Tensor, "query k"]]:
    """The best k of each row in float64, equal scores by ascending index.

    Args:
        x: Queries as they came; they are normalised here.
        y: Candidates as they came.
        kept: Index and score of what a search kept, best first.
        k: How many to return, up to the width.
        scaling: Of the search, in float64.
    """
    index, score = kept
    best = index[:, :k].clone()
    exact = torch.empty(best.shape, dtype=torch.float64, device=x.device)
    if not best.numel():
        return best, exact
    norms = _norms(y)
    for rows in _blocks(len(x), index.shape[1] * x.shape[1]):
        near, _ = index[rows].sort(dim=1)
        unit = _unit(x[rows])
        cosine = (unit[:, None] * (y[near].double() / norms[near][..., None])).sum(2)
        found = cosine if scaling is None else scaling.of(rows, near)(cosine)
        best[rows], exact[rows] = _best(near, found, k)
    every = torch.arange(len(y), device=x.device)[None]
    for row in _crowded(score, k, scaling, len(y)).nonzero().flatten().tolist():
        one = slice(row, row + 1)
        cosine = _row(_unit(x[one]), y, norms)
        found = cosine if scaling is None else scaling.of(one, every)(cosine)
        best[one], exact[one] = _best(every, found, k)
    return best, exact


def _crowded(
    score: Float[Tensor, "query width"], k: int, scaling: LocalScaling | None, n: int
) -> Tensor:
    """Rows whose last kept candidate is as good as the k-th, as far as float32 can tell."""
    if score.shape[1] == n:
        return torch.zeros(len(score), dtype=torch.bool)
    error = 2 * _ERROR if scaling is None else 2 * _ERROR * scaling.sensitivity()
    return score[:, k - 1].double() - score[:, -1].double() <= error


def _row(
    unit: Float[Tensor, "1 d"], y: Float[Tensor, "candidate d"], norms: Float[Tensor, "candidate"]
) -> Float[Tensor, "1 candidate"]:
    """Cosines of one query to all candidates, each summed as those of a block are."""
    parts = [
        (unit * (y[rows].double() / norms[rows, None])).sum(1)
        for rows in _blocks(len(y), unit.shape[1])
    ]
    return torch.cat(parts)[None]


def _best(
    index: Int[Tensor, "row width"], score: Float[Tensor, "row width"], k: int
) -> tuple[Int[Tensor, "row k"], Float[Tensor, "row k"]]:
    """The best k; ``index`` ascends, so a stable sort leaves equal scores in its order."""
    order = score.sort(dim=1, descending=True, stable=True)
    return index.gather(1, order.indices[:, :k]), order.values[:, :k]


def _norms(y: Float[Tensor, "row d"]) -> Float[Tensor, "row"]:
    parts = [
        torch.linalg.vector_norm(y[rows].double(), dim=1) for rows in _blocks(len(y), y.shape[1])
    ]
    return torch.cat(parts)


def _unit(x: Float[Tensor, "row d"]) -> Float[Tensor, "row d"]:
    wide = x.double()
    unit: Tensor = wide / torch.linalg.vector_norm(wide, dim=1, keepdim=True)
    return unit


def _blocks(length: int, elements: int) -> Iterator[slice]:
    step = max(1, _ELEMENTS // max(1, elements))
    return (slice(first, min(first + step, length)) for first in range(0, length, step))
