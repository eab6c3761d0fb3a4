"""Positives in order and where negatives fall among them: the state and its scores."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..common.keys import FORMATS, bit_view, keys

_CHUNK_ELEMENTS = 1 << 20


class NegativeCounts(NamedTuple):
    """The state of every neuron.

    ``positives`` stand from the highest down, -0.0 as +0.0. ``counts[m, j]`` is the number of
    negatives with exactly ``j`` positives above them; ``ties`` the number of pairs that tie.
    """

    positives: Float[Tensor, "neuron positive"]
    counts: Int[Tensor, "neuron gap"]
    ties: Int[Tensor, "neuron"]


def descending(rows: Float[Tensor, "neuron positive"]) -> Float[Tensor, "neuron positive"]:
    """Each row from the highest value down, contiguous, without negative zeros."""
    ordered = torch.empty(rows.shape, dtype=rows.dtype, device=rows.device)
    step = max(1, _CHUNK_ELEMENTS // rows.shape[1])
    for part in (slice(first, first + step) for first in range(0, len(rows), step)):
        if rows.is_cuda:
            ordered[part] = rows[part].sort(dim=1, descending=True).values + 0.0
        else:
            ordered[part] = _sorted_by_key(rows[part])
    return ordered


def _sorted_by_key(rows: Tensor) -> Tensor:
    """Numpy sorts integers many times faster than torch sorts numbers: short ones by radix."""
    form = FORMATS[rows.dtype]
    kind: Literal["stable", "quicksort"] = "stable" if form.width == 16 else "quicksort"
    ordered = np.sort(keys(bit_view(rows.contiguous()), form), axis=1, kind=kind)
    bits = keys(ordered, form)  # the map is its own inverse
    return torch.from_numpy(bits.view(f"i{bits.itemsize}")).view(rows.dtype)


def scores_of_counts(counted: NegativeCounts, n_negatives: int) -> Float[Tensor, "2 neuron"]:
    """AP and AUROC in float64, rounded once, some neurons at a time."""
    step = max(1, _CHUNK_ELEMENTS // counted.positives.shape[1])
    parts = zip(*(torch.split(part, step) for part in counted), strict=True)
    scores = [_scores_of_part(NegativeCounts(*part), n_negatives) for part in parts]
    empty = torch.empty(2, 0, dtype=torch.float32, device=counted.ties.device)
    return torch.cat([empty, *scores], dim=1)


def _scores_of_part(counted: NegativeCounts, n_negatives: int) -> Float[Tensor, "2 neuron"]:
    n_positives = counted.positives.shape[1]
    up = -counted.positives.float()
    hits = torch.searchsorted(up, up, right=True)
    sums = counted.counts.cumsum(1)
    check_totals(sums[:, -1], n_negatives)
    ap = (hits.double() / (hits + sums[:, :-1])).mean(1)
    above = torch.arange(n_positives + 1, device=up.device)
    wins = 2 * (counted.counts * above).sum(1) + counted.ties
    auroc = wins.double() / (2.0 * n_positives * n_negatives)
    return torch.stack([ap, auroc]).float()


def check_totals(totals: Int[Tensor, "neuron"], n_negatives: int) -> None:
    """Refuse counts that do not add up to the number of negatives at every neuron."""
    if (totals != n_negatives).any():
        raise ValueError(
            f"expected counts that add up to {n_negatives} negatives at every neuron, got "
            f"{int(totals.min())} to {int(totals.max())}: an update was interrupted, start again "
            "from a saved state"
        )
