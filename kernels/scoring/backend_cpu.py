"""Scores on the CPU: one radix sort of each neuron serves every class.

A row of activations becomes words ``key | class``, sorted by two passes of 8 bits (16-bit floats)
or three of 11 (float32). One walk from the lowest activation up then meets each sentence with
everything its class needs: the sentences at or above it (the end of its run of ties) and those of
its own class (a running count). The cost does not depend on the number of classes. Rows are
independent, so neither do results on the number of threads, which is ``torch.get_num_threads()``.

The sort is stable and starts from sentences grouped by class: inside a run of ties those of a class
stand side by side, and "same word as before" is all it takes to recognise them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..common.grouping import Grouping
from ..common.keys import FORMATS, FloatFormat
from ..common.numba_jit import compiled, reassociated
from ..common.radix_sort import (
    Array,
    TaggedSentences,
    contiguous,
    flip,
    sort16,
    sort32,
    tag_sentences,
    tiles,
    value,
)
from ..common.threads import first_bad
from .ranks_cpu import ends_type, ranks
from .table import ScoreTable, rest_moments

_u32 = np.uint32


def fill(table: ScoreTable, rows: Float[Tensor, "neuron sentence"], grouping: Grouping) -> int:
    """Score every row into ``table``; return the first row that is not finite, or -1.

    Any strides: rows of contiguous sentences are read in slot, others through a tile that fits the
    cache.
    """
    (bits, step), arrays = tiles(rows), table.numpy()
    form, offsets = FORMATS[rows.dtype], grouping.offsets
    tagged = tag_sentences(grouping.order, grouping.classes, form)
    score_tile = _score16 if form.width == 16 else _score32

    def run(first: int) -> int:
        tile = contiguous(bits[first : first + step])
        runs = np.empty(rows.shape[1], ends_type(rows.shape[1]))
        return int(score_tile(tile, first, tagged, offsets, runs, arrays))

    starts = range(0, len(bits), step)
    return first_bad(run, starts)


@compiled
def _score16(  # noqa: PLR0917
    tile: Array,
    first: int,
    tagged: TaggedSentences,
    offsets: Array,
    runs: Array,
    table: ScoreTable,
) -> int:
    n = len(tagged.sentences)
    words, spare = np.empty(n, np.uint32), np.empty(n, np.uint32)
    hits = np.empty(n, np.uint32)
    for row in range(len(tile)):
        if not sort16(tile[row], tagged, words, spare):
            return first + row
        at = first + row
        ranks(words, runs, hits, offsets, table.ap[:, at], table.auroc[:, at])
        if table.mean.size:
            _keys_by_class(words, spare, offsets)
            _medians(spare, offsets, tagged.form, first + row, table)
            _moments(_decoded(tile[row], tagged), offsets, first + row, table)
    return -1


@compiled
def _score32(  # noqa: PLR0917
    tile: Array,
    first: int,
    tagged: TaggedSentences,
    offsets: Array,
    runs: Array,
    table: ScoreTable,
) -> int:
    n = len(tagged.sentences)
    words, spare = np.empty(n, np.uint64), np.empty(n, np.uint64)
    hits = np.empty(n, np.uint32)
    for row in range(len(tile)):
        if not sort32(tile[row], tagged, words, spare):
            return first + row
        at = first + row
        ranks(words, runs, hits, offsets, table.ap[:, at], table.auroc[:, at])
        if table.mean.size:
            _keys_by_class(words, spare, offsets)
            _medians(spare, offsets, tagged.form, first + row, table)
            _moments(_decoded(tile[row], tagged), offsets, first + row, table)
    return -1


@compiled
def _keys_by_class(words: Array, by_class: Array, offsets: Array) -> None:
    """The sorted keys of each class, side by side."""
    shift = words.dtype.type(4 * words.itemsize)
    mask = (words.dtype.type(1) << shift) - words.dtype.type(1)
    slots = offsets[:-1].astype(np.uint32)
    for i in range(len(words)):
        c = words[i] & mask
        by_class[slots[c]] = words[i] >> shift
        slots[c] += _u32(1)


@reassociated
def _spread(values: Array) -> tuple[float, float]:
    """Mean and sum of squared deviations, in two passes over float64."""
    total, squares = 0.0, 0.0
    for i in range(len(values)):
        total += np.float64(values[i])
    mean = total / len(values)
    for i in range(len(values)):
        squares += (np.float64(values[i]) - mean) ** 2
    return mean, squares


_rest_moments = compiled(rest_moments)


@compiled
def _decoded(bits: Array, tagged: TaggedSentences) -> Array:
    values = np.empty(len(tagged.sentences), np.float32)
    for i in range(len(values)):
        values[i] = value(_u32(bits[tagged.sentences[i]]), tagged.form)
    return values


@compiled
def _moments(values: Array, offsets: Array, row: int, table: ScoreTable) -> None:
    n, n_classes = len(values), len(offsets) - 1
    sizes, means, squares = np.empty(n_classes), np.empty(n_classes), np.empty(n_classes)
    for c in range(n_classes):
        sizes[c] = offsets[c + 1] - offsets[c]
        means[c], squares[c] = _spread(values[offsets[c] : offsets[c + 1]])
        table.mean[c, row] = means[c]
        table.std[c, row] = np.sqrt(squares[c] / (sizes[c] - 1))
    rest_means, rest_squares = np.empty(n_classes), np.empty(n_classes)
    _rest_moments(sizes, means, squares, rest_means, rest_squares)
    for c in range(n_classes):
        table.rest_mean[c, row] = rest_means[c]
        table.rest_std[c, row] = np.sqrt(rest_squares[c] / (n - sizes[c] - 1))


@compiled
def _medians(by_class: Array, offsets: Array, form: FloatFormat, row: int, table: Any) -> None:
    for c in range(len(offsets) - 1):
        total = 0.0
        for middle in ((offsets[c] + offsets[c + 1] - 1) // 2, (offsets[c] + offsets[c + 1]) // 2):
            total += np.float64(value(flip(by_class[middle], form), form))
        table.median[c, row] = total / 2
