"""Scores on the CPU without numba: two integer sorts of packed words, then array arithmetic.

The first sort orders ``key | class`` and gives each sentence the end of its run of ties, that is
the number of sentences at or above it. The second orders ``class | end``: each class then fills the
same columns of every row, in descending order, and sums become ``np.add.reduceat``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ..common.grouping import Grouping
from ..common.keys import FORMATS, bit_view, keys, values
from .table import ScoreTable, rest_moments

_Array = NDArray[Any]
_CHUNK_ELEMENTS = 1 << 19


def fill(table: ScoreTable, rows: Float[Tensor, "neuron sentence"], grouping: Grouping) -> int:
    """Score every row into ``table``; return the first row that is not finite, or -1."""
    arrays, step = table.numpy(), max(1, _CHUNK_ELEMENTS // rows.shape[1])
    for first in range(0, len(rows), step):
        chunk = rows[first : first + step, torch.from_numpy(grouping.order)]
        finite = torch.isfinite(chunk).all(1)
        if not finite.all():
            return first + int(finite.int().argmin())
        part = arrays.neurons(slice(first, first + len(chunk)))
        ordered, classes = _sorted_rows(chunk, grouping.classes)
        medians = _ranks(part, ordered, classes, grouping)
        if part.mean.size:
            form = FORMATS.get(rows.dtype)
            # 0 / 0: one sentence has no deviation. What overflows the operation refuses.
            with np.errstate(invalid="ignore", over="ignore"):
                part.median[:] = (medians if form is None else values(medians, form)).mean(0)
                _moments(part, chunk.double().numpy(), grouping)
    return -1


def _sorted_rows(chunk: Tensor, classes: _Array) -> tuple[_Array, _Array]:
    """Keys (or values, for float64) of each row from the highest activation down; their classes."""
    form = FORMATS.get(chunk.dtype)
    if form is None:
        down = np.argsort(-chunk.numpy(), axis=1, kind="stable")
        return np.take_along_axis(chunk.numpy(), down, axis=1), classes[down]
    word: Any = np.uint32 if form.width == 16 else np.uint64
    words = keys(bit_view(chunk), form).astype(word) << word(form.width)
    words |= classes.astype(word)
    words.sort(axis=1)
    found = words & word((1 << form.width) - 1)
    words >>= word(form.width)
    return words.astype(f"u{form.width // 8}"), found


def _ranks(part: ScoreTable, ordered: _Array, classes: _Array, grouping: Grouping) -> _Array:
    """Fill AP and AUROC; return the two middle keys of every class, ``[2, class, row]``."""
    n, offsets = ordered.shape[1], grouping.offsets
    starts, ends = _tie_runs(ordered)
    word: Any = np.uint32 if n < 1 << 16 else np.uint64
    packed = classes.astype(word) << word(8 * word().itemsize // 2) | ends.astype(word)
    packed.sort(axis=1)
    same_or_above = _tie_runs(packed)[1] - offsets[:-1].repeat(grouping.counts)
    ends = (packed & word((1 << 4 * word().itemsize) - 1)).astype(np.int64)
    sizes = grouping.counts[:, None]
    part.ap[:] = np.add.reduceat(same_or_above / ends, offsets[:-1], axis=1).T / sizes
    ranks = np.take_along_axis(starts, ends - 1, axis=1) + ends
    totals = np.add.reduceat(ranks, offsets[:-1], axis=1).T
    part.auroc[:] = ((2 * n - sizes) * sizes - totals) / (2.0 * sizes * (n - sizes))
    middles = np.stack([offsets[:-1] + offsets[1:] - 1, offsets[:-1] + offsets[1:]]) // 2
    return np.stack([np.take_along_axis(ordered, ends[:, m] - 1, axis=1).T for m in middles])


def _tie_runs(ordered: _Array) -> tuple[_Array, _Array]:
    """First index and end of the run of equal values around each position of sorted rows."""
    n = ordered.shape[1]
    change = np.ones((len(ordered), n + 1), bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=change[:, 1:-1])
    starts = np.maximum.accumulate(np.where(change[:, :-1], np.arange(n), 0), axis=1)
    ends = np.where(change[:, 1:], np.arange(1, n + 1), n)[:, ::-1]
    return starts, np.minimum.accumulate(ends, axis=1)[:, ::-1]


def _moments(part: ScoreTable, activations: _Array, grouping: Grouping) -> None:
    n, offsets = activations.shape[1], grouping.offsets
    sizes = grouping.counts.astype(np.float64)[:, None]
    means = np.add.reduceat(activations, offsets[:-1], axis=1) / sizes.T
    activations -= means.repeat(grouping.counts, axis=1)
    squares = np.add.reduceat(activations**2, offsets[:-1], axis=1).T
    rest_means, rest_squares = np.empty_like(squares), np.empty_like(squares)
    rest_moments(sizes, means.T, squares, rest_means, rest_squares)
    part.mean[:], part.rest_mean[:] = means.T, rest_means
    part.std[:] = np.sqrt(squares / (sizes - 1))
    part.rest_std[:] = np.sqrt(rest_squares / (n - sizes - 1))
