"""Counts per key on the CPU: rows go to threads, and each counts in its own pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.keys import FORMATS, FloatFormat
from ..common.numba_jit import compiled
from ..common.radix_sort import Array, contiguous, key_of, tiles
from ..common.threads import in_threads

_u32 = np.uint32


def touched(wanted: Bool[Tensor, "neuron page"], rows: Float[Tensor, "neuron sentence"]) -> int:
    """Mark the pages that rows need; return the first row that is not finite, or -1."""
    form, marks = FORMATS[rows.dtype], wanted.numpy()

    def run(first: int, tile: Array) -> int:
        bad = int(_touched(tile, marks[first : first + len(tile)], form))
        return first + bad if bad >= 0 else -1

    return next((bad for bad in _by_tile(run, rows) if bad >= 0), -1)


def count(
    pages: Int[Tensor, "used_page key class"],
    table: Int[Tensor, "neuron page"],
    rows: Float[Tensor, "neuron sentence"],
    labels: Int[Tensor, "sentence"],
) -> None:
    """Add one for every activation at its key and class; its page must exist."""
    form, counts, at, classes = FORMATS[rows.dtype], pages.numpy(), table.numpy(), labels.numpy()

    def run(first: int, tile: Array) -> None:
        _count(tile, at[first : first + len(tile)], classes, counts, form)

    _by_tile(run, rows)


def score(
    pages: Int[Tensor, "used_page key class"],
    table: Int[Tensor, "neuron page"],
    sizes: Int[Tensor, "class"],
) -> tuple[Float[Tensor, "2 class neuron"], bool]:
    """AP and AUROC of every class, and whether every neuron's counts add up."""
    found = torch.empty(2, len(sizes), len(table), dtype=torch.float32)
    scores, counts, at = found.numpy(), pages.numpy(), table.numpy()

    def run(part: Any) -> bool:
        return bool(_score(counts, at[part], sizes.numpy(), scores[:, :, part]))

    return found, all(in_threads(run, [slice(m, m + 64) for m in range(0, len(at), 64)]))


def _by_tile(run: Callable[[int, Array], Any], rows: Tensor) -> list[Any]:
    bits, step = tiles(rows)

    def tile(first: int) -> Any:
        return run(first, contiguous(bits[first : first + step])[:, : bits.shape[1]])

    return in_threads(tile, range(0, len(bits), step))


@compiled
def _touched(tile: Array, wanted: Array, form: FloatFormat) -> int:
    exponent = _u32(form.exponent)
    for row in range(len(tile)):
        finite = True
        for i in range(tile.shape[1]):
            finite &= (_u32(tile[row, i]) & exponent) != exponent
            wanted[row, key_of(tile[row, i], form) >> _u32(7)] = True
        if not finite:
            return row
    return -1


@compiled
def _count(tile: Array, table: Array, labels: Array, pages: Array, form: FloatFormat) -> None:
    for row in range(len(tile)):
        for i in range(tile.shape[1]):
            key = key_of(tile[row, i], form)
            pages[table[row, key >> _u32(7)], key & _u32(127), labels[i]] += 1


@compiled
def _score(pages: Array, table: Array, sizes: Array, scores: Array) -> bool:
    n, n_classes = sizes.sum(), len(sizes)
    for row in range(len(table)):
        hits, seen = np.zeros(n_classes, np.int64), 0
        precisions, wins = np.zeros(n_classes), np.zeros(n_classes, np.int64)
        for page in table[row]:
            if page < 0:
                continue
            for key in range(pages.shape[1]):
                own = pages[page, key]
                here = own.sum()
                if here:
                    seen += here
                    _settle(own, here, seen, sizes, hits, precisions, wins)
        if seen != n:
            return False
        for c in range(n_classes):
            scores[0, c, row] = precisions[c] / sizes[c]
            scores[1, c, row] = wins[c] / (2.0 * sizes[c] * (n - sizes[c]))
    return True


@compiled
def _settle(  # noqa: PLR0917
    own: Array, here: int, seen: int, sizes: Array, hits: Array, precisions: Array, wins: Array
) -> None:
    """Close one key. Half wins: two for each negative below, one for each that ties."""
    below = 2 * (sizes.sum() - seen) + here
    for c in range(len(sizes)):
        hits[c] += own[c]
        precisions[c] += own[c] * (hits[c] / seen)
        wins[c] += own[c] * (below - 2 * (sizes[c] - hits[c]) - own[c])
