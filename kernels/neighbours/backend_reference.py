"""Nearest neighbours by sorting every row of the full matrix, in float64."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from .local_scaling import LocalScaling


def search(
    x: Float[Tensor, "query d"],
    y: Float[Tensor, "candidate d"],
    width: int,
    scaling: LocalScaling | None,
) -> tuple[Int[Tensor, "query width"], Float[Tensor, "query width"]]:
    """Index and score of the best ``width`` candidates of each query, best first."""
    cosine = x @ y.T
    score = cosine if scaling is None else scaling(cosine)
    ordered = score.sort(dim=1, descending=True, stable=True)
    return ordered.indices[:, :width], ordered.values[:, :width]
