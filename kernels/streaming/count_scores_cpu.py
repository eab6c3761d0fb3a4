"""Scores of counted negatives on the CPU: one pass over a row's positives and counts.

The positives are sorted, so the end of a run of ties is found by walking upwards; the sums of the
counts by walking down. Only the division of the two is floating point, and it runs in vector
registers: 3 to 5 ns a positive and neuron.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..common.keys import bit_view
from ..common.numba_jit import compiled, reassociated
from ..common.radix_sort import Array
from ..common.threads import first_bad
from .negative_counts import NegativeCounts, check_totals

_TILE = 64
_i64 = np.int64


def scores(counted: NegativeCounts, n_negatives: int) -> Float[Tensor, "2 neuron"]:
    """AP and AUROC in float64, rounded once.

    Raises:
        ValueError: Counts that do not add up to ``n_negatives`` at every neuron.
    """
    positives, counts = bit_view(counted.positives), counted.counts.numpy()
    ties, table = counted.ties.numpy(), np.empty((2, len(counts)), np.float32)

    def run(first: int) -> int:
        part = slice(first, first + _TILE)
        tile = positives[part], counts[part], ties[part]
        return int(_score_tile(*tile, n_negatives, table[:, part]))

    if first_bad(run, range(0, len(counts), _TILE)) >= 0:
        check_totals(counted.counts.sum(1), n_negatives)
    return torch.from_numpy(table)


@compiled
def _score_tile(
    positives: Array, counts: Array, ties: Array, n_negatives: int, table: Array
) -> int:
    """Fill ``table``; return the first row whose counts do not add up, or -1."""
    size = positives.shape[1]
    hits, ends = np.empty(size, np.int32), np.empty(size, np.float64)
    for row in range(len(positives)):
        _run_ends(positives[row], hits)
        total, wins = _add_up(counts[row], hits, ends)
        if total != n_negatives:
            return row
        table[0, row] = _mean_ratio(hits, ends)
        table[1, row] = (2 * wins + ties[row]) / (2.0 * size * n_negatives)
    return -1


@compiled
def _run_ends(positives: Array, hits: Array) -> None:
    """Positives at or above each: the end of its run of ties."""
    end = len(positives)
    hits[end - 1] = end
    for i in range(len(positives) - 2, -1, -1):
        end = end if positives[i] == positives[i + 1] else i + 1
        hits[i] = end


@compiled
def _add_up(counts: Array, hits: Array, ends: Array) -> tuple[Any, Any]:
    """Sentences at or above each positive into ``ends``; returns negatives, and pairs won."""
    size, above, wins = len(hits), _i64(0), _i64(0)
    for i in range(size):
        above += counts[i]
        ends[i] = hits[i] + above
        wins += _i64(i) * counts[i]
    return above + counts[size], wins + _i64(size) * counts[size]


@reassociated
def _mean_ratio(hits: Array, ends: Array) -> float:
    total = 0.0
    for i in range(len(hits)):
        total += np.float64(hits[i]) / ends[i]
    return total / len(hits)
