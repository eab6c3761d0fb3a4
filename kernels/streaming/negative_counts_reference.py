"""Where negatives fall among positives, as defined: each is compared with each."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..common.checks import first_not_finite


def count(
    positives: Float[Tensor, "neuron positive"],
    counts: Int[Tensor, "neuron gap"],
    ties: Int[Tensor, "neuron"],
    rows: Float[Tensor, "neuron sentence"],
    sign: int,
) -> int:
    """Add ``sign`` for every activation; return the first row that is not finite, or -1."""
    for neuron, (own, other) in enumerate(zip(positives, rows, strict=True)):
        above = (own[:, None] > other).sum(0)
        counts[neuron] += sign * torch.bincount(above, minlength=len(own) + 1)
        ties[neuron] += sign * (own[:, None] == other).sum()
    return first_not_finite(rows)
