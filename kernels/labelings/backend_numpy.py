"""Many label sets without numba: sort a neuron once, then cumulate all of them in its order."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

_BLOCK = 64


def fill(
    ap: Float[Tensor, "label_set neuron"],
    auroc: Float[Tensor, "label_set neuron"],
    rows: Float[Tensor, "neuron sentence"],
    positive: Bool[Tensor, "label_set sentence"],
) -> int:
    """Score every row for every label set; return the first row that is not finite, or -1."""
    for neuron, row in enumerate(rows):
        values = row.float().numpy()
        if not np.isfinite(values).all():
            return neuron
        order = np.argsort(-values, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)
        for first in range(0, len(positive), _BLOCK):
            member = positive[first : first + _BLOCK].numpy()[:, order]
            found = _scores(member, ends)
            ap.numpy()[first : first + _BLOCK, neuron] = found[0]
            auroc.numpy()[first : first + _BLOCK, neuron] = found[1]
    return -1


def _scores(member: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AP and AUROC from sorted memberships and the last position of each run of ties."""
    n = member.shape[1]
    hits = member.cumsum(1)[:, ends]
    fresh = np.diff(hits, axis=1, prepend=0)
    size = hits[:, -1]
    precision = (fresh * hits / (ends + 1)).sum(1) / size
    twice_ranks = np.append(0, ends[:-1] + 1) + ends + 1
    return precision, ((2 * n - size) * size - fresh @ twice_ranks) / (2.0 * size * (n - size))
