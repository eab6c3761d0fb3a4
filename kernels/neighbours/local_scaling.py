"""Scores from cosines by local scaling: margins and CSLS, which take hubs their advantage.

A hub is near to everything. Each cosine is therefore compared with the mean cosine of both its
ends to their nearest neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["TIE", "LocalScaling", "mean_of_nearest"]

TIE = 1e-6
"""Scores this close count as tied: float32 cosines are right to about a tenth of it."""


def mean_of_nearest(
    cosine: Float[Tensor, "query candidate"], k: int
) -> tuple[Float[Tensor, "query"], Float[Tensor, "candidate"]]:
    """Mean of the k largest cosines of each row, and of each column; k from 1 to both lengths."""
    return cosine.topk(k, dim=1).values.mean(1), cosine.topk(k, dim=0).values.mean(0)


@dataclass(frozen=True)
class LocalScaling:
    r"""What turns a cosine into a margin, with $l = \frac{r_x + r_y}{2}$.

    $c / l$ where ``ratio``, else $c - l$; CSLS is twice the latter. ``x`` and ``y`` are the mean
    cosines $r$ of each query and each candidate to its nearest neighbours in the other set.

    Source: Artetxe and Schwenk 2019, section 3.1; CSLS: Conneau et al. 2018, section 2.3.

    >>> import torch
    >>> LocalScaling(True, torch.tensor([0.5]), torch.tensor([0.3]))(torch.tensor([[0.6]]))
    tensor([[1.5000]])
    """

    ratio: bool
    x: Float[Tensor, "query"]
    y: Float[Tensor, "*query candidate"]

    def level(self) -> Float[Tensor, "query candidate"]:
        """The mean of both ends' means, for every pair."""
        return (self.x[:, None] + self.y) / 2

    def __call__(
        self, cosine: Float[Tensor, "query candidate"]
    ) -> Float[Tensor, "query candidate"]:
        """Score every pair."""
        return cosine / self.level() if self.ratio else cosine - self.level()

    def part(self, queries: slice, candidates: slice) -> LocalScaling:
        """The scaling of some queries and candidates."""
        return LocalScaling(self.ratio, self.x[queries], self.y[candidates])

    def of(self, queries: slice, index: Int[Tensor, "query kept"]) -> LocalScaling:
        """The scaling of some queries, each with candidates of its own."""
        return LocalScaling(self.ratio, self.x[queries], self.y[index])

    def rounded(self) -> LocalScaling:
        """The same in float32."""
        return LocalScaling(self.ratio, self.x.float(), self.y.float())

    def sensitivity(self) -> float:
        """How far a score moves with its cosine, at most."""
        return 2 / float(self.x.min() + self.y.min()) if self.ratio else 1.0
