"""Label sets in Triton: a few by themselves, many over one sort of all sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from ..scoring.backend_triton import fill_ranks
from . import one_set_triton

_TOGETHER = 1 << 16  # positives of the label sets that share a sort


def fill(
    ap: Float[Tensor, "label_set neuron"],
    auroc: Float[Tensor, "label_set neuron"],
    rows: Float[Tensor, "neuron sentence"],
    positive: Bool[Tensor, "label_set sentence"],
) -> int:
    """Score every row for every label set; return the first row that is not finite, or -1."""
    counts = positive.sum(1).cpu().numpy()
    most = int(counts.max(initial=0))
    if one_set_triton.serves(rows.dtype, rows.shape[1], len(positive), most):
        return one_set_triton.fill(ap, auroc, rows, positive)
    order = positive.nonzero()[:, 1].cpu().numpy()
    offsets = np.concatenate([[0], counts.cumsum()])
    for part in _parts(offsets):
        listed = order[offsets[part.start] : offsets[part.stop]]
        bad = fill_ranks((ap[part], auroc[part], ap[:0]), rows, listed, counts[part])
        if bad >= 0:
            return bad
    return -1


def _parts(offsets: NDArray[np.int64]) -> Iterator[slice]:
    """Label sets side by side that have few enough positives together, or one that has more."""
    first, last = 0, len(offsets) - 1
    while first < last:
        reach = int(np.searchsorted(offsets, offsets[first] + _TOGETHER, side="right")) - 1
        stop = min(max(reach, first + 1), last)
        yield slice(first, stop)
        first = stop
