"""By how much each translation beats its rivals, both ways, by cosine and by margin scores.

One float32 product of two languages serves both directions and every rule built on it. Where its
rounding could decide, the few scores in question are taken again in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mechsteer.analysis.similarity import Directions
from mechsteer.kernels import LocalScaling, mean_of_nearest

# A float32 dot product of unit vectors is off by at most 6e-7 (measured, d from 64 to 16384, worst
# for embeddings that share a large offset), a difference of two by twice that: four times as much.
_NOISE = 5e-6


def gold_margins(scores: Float[Tensor, "sentence sentence"]) -> Float[Tensor, "2 sentence"]:
    """Score of each translation minus that of its best rival, source to target and back.

    ``m[0, i] = s_ii - max_{j != i} s_ij`` (query in the rows) and
    ``m[1, i] = s_ii - max_{j != i} s_ji`` (query in the columns).

    >>> gold_margins(torch.tensor([[4.0, 1.0], [3.0, 2.0]]))
    tensor([[ 3., -1.],
            [ 1.,  1.]])
    """
    gold = scores.diagonal().clone()
    scores.fill_diagonal_(-torch.inf)
    margins = torch.stack((gold - scores.amax(1), gold - scores.amax(0)))
    scores.diagonal().copy_(gold)
    return margins


@dataclass(frozen=True)
class Pair:
    """Two languages side by side, and the cosines of all their sentences."""

    x: Directions
    y: Directions

    @cached_property
    def cosine(self) -> Float[Tensor, "source target"]:
        """The float32 product."""
        return self.x.unit @ self.y.unit.T

    @cached_property
    def noise(self) -> float:
        """A margin of cosines below this may have the wrong sign.

        What rounding can do is measured on the diagonal of the product itself, so that products of
        reduced precision (TF32, autocast) end in the same decisions, more slowly.
        """
        drift = self.cosine.diagonal() - (self.x.unit * self.y.unit).sum(1)
        return _NOISE + 8 * float(drift.abs().amax())

    def cosine_margins(self) -> Float[Tensor, "2 sentence"]:
        """`gold_margins` of the cosines, float64, exact wherever rounding could matter."""
        margins = gold_margins(self.cosine).double()
        for side, (query, pool) in enumerate(((self.x, self.y), (self.y, self.x))):
            rows = (margins[side].abs() <= self.noise).nonzero()[:, 0]
            if len(rows):
                cosine = _exact_product(query.exact[rows], pool.exact)
                margins[side, rows] = _rows_margin(cosine, rows)
        return margins

    def scaled_margins(self, k: int) -> Float[Tensor, "2 sentence"]:
        """`gold_margins` of ratio margins over k neighbours; of difference margins without a ratio.

        ``cos / level``, where every ``level = (r_x + r_y) / 2`` of the pair is positive, else
        ``cos - level``; r is the mean cosine to a sentence's k nearest in the other language.
        Float64, exact wherever rounding could matter.
        """
        forth, back = mean_of_nearest(self.cosine, k)
        ratio = bool(forth.amin() + back.amin() > 0)
        score = LocalScaling(ratio, forth, back)(self.cosine)
        margins = gold_margins(score).double()
        gold = score.diagonal()
        sides = ((self.x, self.y, score, forth, back), (self.y, self.x, score.T, back, forth))
        for side, (query, pool, scores, near, far) in enumerate(sides):
            error = torch.full_like(gold, 2 * self.noise)
            if ratio:  # c / r is off by (1 + |c / r|) / r times what c and r are off
                error *= 2 * (1 + gold.abs()) / (near + far.amin())
            rows = (margins[side].abs() <= error).nonzero()[:, 0]
            if len(rows):
                rivals = scores[rows] >= (gold - 2 * error)[rows, None]
                margins[side, rows] = _exact_scaled(query, pool, rows, rivals, k=k, ratio=ratio)
        return margins


def _exact_scaled(
    query: Directions,
    pool: Directions,
    rows: Tensor,
    rivals: Bool[Tensor, "row candidate"],
    *,
    k: int,
    ratio: bool,
) -> Float[Tensor, "row"]:
    """Margins of some rows over the rivals that could win; all others are out of reach."""
    columns = rivals.any(0).nonzero()[:, 0]
    cosine = _exact_product(query.exact[rows], pool.exact)
    forth = cosine.topk(k, dim=1).values.mean(1)
    back = _exact_product(pool.exact[columns], query.exact).topk(k, dim=1).values.mean(1)
    score = torch.full_like(cosine, -torch.inf)
    score[:, columns] = LocalScaling(ratio, forth, back)(cosine[:, columns])
    return _rows_margin(score.masked_fill(~rivals, -torch.inf), rows)


def _exact_product(a: Tensor, b: Tensor) -> Tensor:
    with torch.autocast(a.device.type, enabled=False):
        return a @ b.T


def _rows_margin(scores: Tensor, rows: Tensor) -> Float[Tensor, "row"]:
    each = torch.arange(len(rows), device=rows.device)
    gold = scores[each, rows]
    scores[each, rows] = -torch.inf
    return gold - scores.amax(1)
