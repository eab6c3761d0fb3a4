"""Where negatives fall among positives, without numba: torch's binary search."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..common.checks import first_not_finite

_CHUNK_ELEMENTS = 1 << 20


def count(
    positives: Float[Tensor, "neuron positive"],
    counts: Int[Tensor, "neuron gap"],
    ties: Int[Tensor, "neuron"],
    rows: Float[Tensor, "neuron sentence"],
    sign: int,
) -> int:
    """Add ``sign`` for every activation; return the first row that is not finite, or -1."""
    n_gaps = counts.shape[1]
    step = max(1, _CHUNK_ELEMENTS // max(n_gaps, rows.shape[1]))
    for part in (slice(first, first + step) for first in range(0, len(rows), step)):
        up, down = -positives[part].float(), -rows[part].float().contiguous()
        above = torch.searchsorted(up, down)
        ties[part] += sign * (torch.searchsorted(up, down, right=True) - above).sum(1)
        above += n_gaps * torch.arange(len(up))[:, None]
        found = torch.bincount(above.flatten(), minlength=n_gaps * len(up))
        counts[part] += sign * found.view(-1, n_gaps)
    return first_not_finite(rows)
