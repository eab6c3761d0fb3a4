"""Ranks and scores by plain tensor operations: any device, any number of sentences.

What one Triton program cannot sort goes through here: each neuron's sentences are sorted, told how
many lie below and not above each, and sorted once more within their groups. Exact; sums run in
float64, counts in integers. Memory beyond the input is bounded by working in pieces of rows.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from ..common.scratch import pieces

__all__ = ["fill_ranks"]

_BYTES_OF_A_RANK = 80  # sorted values, their indices, both ranks, words and sums


def fill_ranks(
    tables: tuple[Tensor, Tensor, Tensor],
    rows: Float[Tensor, "neuron sentence"],
    order: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """AP, AUROC and median of groups of sentences against all others; groups may overlap.

    ``order`` lists the sentences group by group, ``counts`` their numbers. An empty table of
    medians is left alone. Returns the first row that is not finite, or -1.
    """
    listed, sizes = (torch.from_numpy(array).to(rows.device) for array in (order, counts))
    for at, piece in pieces(rows, _BYTES_OF_A_RANK * (rows.shape[1] + len(order))):
        finite = piece.isfinite().all(1)
        if not finite.all():
            return int(at.start) + int(finite.int().argmin())
        ordered, below, upto = _ranked(piece)
        found = _scored(ordered, below[:, listed], upto[:, listed], sizes)
        for table, values in zip(tables, found, strict=True):
            if table.numel():
                table[:, at] = values.T
    return -1


def _ranked(
    rows: Float[Tensor, "neuron sentence"],
) -> tuple[
    Float[Tensor, "neuron sentence"], Int[Tensor, "neuron sentence"], Int[Tensor, "neuron sentence"]
]:
    """Sorted rows; how many sentences lie below each sentence, and how many not above it."""
    ordered, index = rows.sort(dim=1)
    first = torch.ones_like(index, dtype=torch.bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    last = torch.ones_like(first)
    last[:, :-1] = first[:, 1:]
    n = rows.shape[1]
    position = torch.arange(n, device=rows.device)
    start = torch.where(first, position, 0).cummax(1).values
    end = torch.where(last, position + 1, n).flip(1).cummin(1).values.flip(1)
    below, upto = (torch.empty_like(index).scatter_(1, index, rank) for rank in (start, end))
    return ordered, below, upto


def _scored(
    ordered: Float[Tensor, "neuron sentence"],
    below: Int[Tensor, "neuron listed"],
    upto: Int[Tensor, "neuron listed"],
    sizes: Int[Tensor, "group"],
) -> tuple[Tensor, Tensor, Tensor]:
    """AP, AUROC and median ``[neuron, group]``, in float64."""
    n, ends = ordered.shape[1], sizes.cumsum(0)
    starts = ends - sizes
    group = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
    words = (group << 32 | below).sort(dim=1).values
    first = torch.ones_like(words, dtype=torch.bool)
    first[:, 1:] = words[:, 1:] != words[:, :-1]
    position = torch.arange(len(group), device=sizes.device)
    hits = ends[group] - torch.where(first, position, 0).cummax(1).values
    under = words & 0xFFFFFFFF
    ap = _sums(hits.double() / (n - under), starts, ends) / sizes
    totals = _sums(below + upto, starts, ends)
    auroc = (totals - sizes**2).double() / (2 * sizes * (n - sizes)).double()
    middles = [
        ordered.gather(1, under[:, starts + half]).double()
        for half in ((sizes - 1) // 2, sizes // 2)
    ]
    return ap, auroc, (middles[0] + middles[1]) / 2


def _sums(values: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """Sum of each group's columns."""
    sums = torch.nn.functional.pad(values.cumsum(1), (1, 0))
    return sums[:, ends] - sums[:, starts]
