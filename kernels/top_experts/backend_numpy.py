"""Bounds of average precision without numba: the same bins, counted for many rows at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from .bounds import BINS, bin_scale

_CHUNK_ELEMENTS = 1 << 19
_Counts = NDArray[np.floating[Any]]


def bound(
    lo: Float[Tensor, "neuron"],
    hi: Float[Tensor, "neuron"],
    rows: Float[Tensor, "neuron sentence"],
    positive: Bool[Tensor, "sentence"],
) -> int:
    """Fill in the bounds of every row; return the first row that is not finite, or -1."""
    step = max(1, _CHUNK_ELEMENTS // rows.shape[1])
    for first in range(0, len(rows), step):
        chunk = rows[first : first + step].float()
        finite = torch.isfinite(chunk).all(1)
        if not finite.all():
            return first + int(finite.int().argmin())
        below, above = _sums(*_counts(chunk.numpy() * np.float32(0.5), positive.numpy()))
        size = int(positive.sum())
        lo.numpy()[first : first + step] = below / size
        hi.numpy()[first : first + step] = above / size
    return -1


def _counts(half: NDArray[np.float32], member: NDArray[np.bool_]) -> tuple[_Counts, _Counts]:
    """Positives and negatives in each bin ``[row, bin]``, the highest bin first."""
    floor = half[:, member].min(1)
    span = half.max(1) - floor
    scale = np.array([bin_scale(float(width)) for width in span], np.float32)
    above = half - floor[:, None]
    at = np.minimum((np.maximum(above, 0) * scale[:, None]).astype(np.int64), BINS - 1)
    flat = (BINS - 1 - at) + BINS * np.arange(len(half))[:, None]

    def table(kept: NDArray[np.bool_]) -> _Counts:
        return np.bincount(flat[kept], minlength=half.shape[0] * BINS).reshape(-1, BINS) * 1.0

    return table((above >= 0) & member), table((above >= 0) & ~member)


def _sums(own: _Counts, rest: _Counts) -> tuple[_Counts, _Counts]:
    """Lower and upper bound of the sum over positives."""
    hits, misses = own.cumsum(1), rest.cumsum(1)
    first = (hits - own + 1) / (hits - own + 1 + misses)
    last = hits / np.maximum(hits + misses, 1)
    best = hits / np.maximum(hits + misses - rest, 1)
    return (own / 2 * (first + last)).sum(1), (own * best).sum(1)
