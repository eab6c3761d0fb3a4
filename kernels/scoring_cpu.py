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

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from .grouping import Grouping
from .jit import compiled, reassociated
from .keys import FORMATS, FloatFormat, bit_view
from .score_table import ScoreTable, rest_moments

_Array = NDArray[Any]
_TILE_BYTES = 1 << 20
_u32, _u64 = np.uint32, np.uint64


class _Plan(NamedTuple):
    """What all rows share: see ``Grouping``; ``classes`` in the type of the words."""

    order: _Array
    classes: _Array
    offsets: _Array
    form: FloatFormat


def fill(table: ScoreTable, rows: Float[Tensor, "neuron sentence"], grouping: Grouping) -> int:
    """Score every row into ``table``; return the first row that is not finite, or -1.

    Any strides: rows of contiguous sentences are read in place, others through a tile that fits the
    cache.
    """
    bits, form = bit_view(rows), FORMATS[rows.dtype]
    score_tile, word = (_score16, _u32) if form.width == 16 else (_score32, _u64)
    plan = _Plan(grouping.order, grouping.classes.astype(word), grouping.offsets, form)
    step = int(np.clip(_TILE_BYTES // (bits.itemsize * bits.shape[1]), 16, 128))

    def run(first: int) -> int:
        return int(score_tile(_tile(bits[first : first + step]), first, plan, table))

    starts = range(0, len(bits), step)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return next((bad for bad in pool.map(run, starts) if bad >= 0), -1)


def _tile(bits: _Array) -> _Array:
    """The same rows, contiguous but for their padding."""
    if bits.flags.c_contiguous:
        return bits
    lines = bits.shape[1] * bits.itemsize // 64 + 1
    # An odd number of cache lines a row: the writes of one sentence never share a cache set.
    tile = np.empty((len(bits), (lines | 1) * 64 // bits.itemsize), bits.dtype)
    _copy(bits, tile)
    return tile


@compiled
def _copy(bits: _Array, tile: _Array) -> None:
    for i in range(bits.shape[1]):
        for row in range(bits.shape[0]):
            tile[row, i] = bits[row, i]


@compiled
def _score16(tile: _Array, first: int, plan: _Plan, table: ScoreTable) -> int:
    n = len(plan.order)
    words, spare = np.empty(n, np.uint32), np.empty(n, np.uint32)
    for row in range(len(tile)):
        if not _sort16(tile[row], plan, words, spare):
            return first + row
        _ranks(words, spare, plan.offsets, first + row, table)
        if table.mean.size:
            _moments(tile[row], spare, plan, first + row, table)
    return -1


@compiled
def _score32(tile: _Array, first: int, plan: _Plan, table: ScoreTable) -> int:
    n = len(plan.order)
    words, spare = np.empty(n, np.uint64), np.empty(n, np.uint64)
    for row in range(len(tile)):
        if not _sort32(tile[row], plan, words, spare):
            return first + row
        _ranks(words, spare, plan.offsets, first + row, table)
        if table.mean.size:
            _moments(tile[row], spare, plan, first + row, table)
    return -1


@compiled
def _sort16(bits: _Array, plan: _Plan, words: _Array, spare: _Array) -> bool:
    """Fill ``words`` in descending order of activation; tell whether all are finite."""
    low, high = np.zeros(256, np.uint32), np.zeros(256, np.uint32)
    finite, exponent = True, _u32(plan.form.exponent)
    for i in range(len(words)):
        b = _u32(bits[plan.order[i]])
        finite &= (b & exponent) != exponent
        key = _flip(b * _u32(b != _u32(0x8000)), plan.form)
        low[key & _u32(0xFF)] += _u32(1)
        high[key >> _u32(8)] += _u32(1)
        words[i] = key << _u32(16) | plan.classes[i]
    _scatter(words, spare, low, _u32(16), _u32(0xFF))
    _scatter(spare, words, high, _u32(24), _u32(0xFF))
    return finite


@compiled
def _sort32(bits: _Array, plan: _Plan, words: _Array, spare: _Array) -> bool:
    """The same for float32: three digits, so the words start in ``spare``."""
    low, middle = np.zeros(2048, np.uint32), np.zeros(2048, np.uint32)
    high = np.zeros(1024, np.uint32)
    finite, exponent = True, _u32(plan.form.exponent)
    for i in range(len(words)):
        b = bits[plan.order[i]]
        finite &= (b & exponent) != exponent
        key = _flip(b * _u32(b != _u32(0x80000000)), plan.form)
        low[key & _u32(0x7FF)] += _u32(1)
        middle[key >> _u32(11) & _u32(0x7FF)] += _u32(1)
        high[key >> _u32(22)] += _u32(1)
        spare[i] = _u64(key) << _u64(32) | plan.classes[i]
    _scatter(spare, words, low, _u64(32), _u64(0x7FF))
    _scatter(words, spare, middle, _u64(43), _u64(0x7FF))
    _scatter(spare, words, high, _u64(54), _u64(0x3FF))
    return finite


@compiled
def _scatter(source: _Array, target: _Array, counts: _Array, shift: Any, mask: Any) -> None:
    """One stable pass; ``counts`` becomes the place of each digit's next word."""
    start = _u32(0)
    for digit in range(len(counts)):
        count = counts[digit]
        counts[digit] = start
        start += count
    for i in range(len(source)):
        word = source[i]
        digit = word >> shift & mask
        target[counts[digit]] = word
        counts[digit] += _u32(1)


@compiled
def _ranks(words: _Array, by_class: _Array, offsets: _Array, row: int, table: ScoreTable) -> None:
    """AP and AUROC of every class; ``by_class`` is left with the sorted keys of each class."""
    n, n_classes = len(words), len(offsets) - 1
    shift = words.dtype.type(4 * words.itemsize)
    mask = (words.dtype.type(1) << shift) - words.dtype.type(1)
    starts = np.empty(n, np.int64)
    starts[0] = 0
    for i in range(1, n):
        starts[i] = starts[i - 1] if words[i] >> shift == words[i - 1] >> shift else i
    next_place = offsets[1:].copy()
    precisions, ranks = np.zeros(n_classes), np.zeros(n_classes, np.int64)
    end, hits, above = n, 0, ~words[n - 1]
    for i in range(n - 1, -1, -1):
        word = words[i]
        c = word & mask
        place = next_place[c] - 1
        own = place - offsets[c] + 1
        end = end if word >> shift == above >> shift else i + 1
        hits = hits if word == above else own
        above = word
        next_place[c] = place
        by_class[place] = word >> shift
        precisions[c] += hits / end
        ranks[c] += starts[i] + end
    for c in range(n_classes):
        size = offsets[c + 1] - offsets[c]
        table.ap[c, row] = precisions[c] / size
        table.auroc[c, row] = ((2 * n - size) * size - ranks[c]) / (2.0 * size * (n - size))


@compiled
def _flip(bits: Any, form: FloatFormat) -> Any:
    """Bits to descending key and back. No branch: the sign of an activation is hard to predict."""
    positive = (_u32(bits) >> _u32(form.width - 1)) - _u32(1)
    return _u32(bits) ^ (positive & _u32(form.sign - 1))


@compiled
def _value(bits: Any, form: FloatFormat) -> Any:
    magnitude = (bits & _u32(form.sign - 1)) << _u32(form.shift)
    sign = (bits & _u32(form.sign)) << _u32(32 - form.width)
    return _u32(magnitude | sign).view(np.float32) * np.float32(form.scale)


@reassociated
def _spread(values: _Array) -> tuple[float, float]:
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
def _moments(bits: _Array, by_class: _Array, plan: _Plan, row: int, table: ScoreTable) -> None:
    n, n_classes, offsets = len(by_class), len(plan.offsets) - 1, plan.offsets
    values = np.empty(n, np.float32)
    for i in range(n):
        values[i] = _value(_u32(bits[plan.order[i]]), plan.form)
    sizes, means, squares = np.empty(n_classes), np.empty(n_classes), np.empty(n_classes)
    for c in range(n_classes):
        sizes[c] = offsets[c + 1] - offsets[c]
        means[c], squares[c] = _spread(values[offsets[c] : offsets[c + 1]])
        table.median[c, row] = _median(by_class[offsets[c] : offsets[c + 1]], plan.form)
        table.mean[c, row] = means[c]
        table.std[c, row] = np.sqrt(squares[c] / (sizes[c] - 1))
    rest_means, rest_squares = np.empty(n_classes), np.empty(n_classes)
    _rest_moments(sizes, means, squares, rest_means, rest_squares)
    for c in range(n_classes):
        table.rest_mean[c, row] = rest_means[c]
        table.rest_std[c, row] = np.sqrt(rest_squares[c] / (n - sizes[c] - 1))


@compiled
def _median(sorted_keys: _Array, form: FloatFormat) -> float:
    n, total = len(sorted_keys), 0.0
    for middle in ((n - 1) // 2, n // 2):
        total += np.float64(_value(_flip(sorted_keys[middle], form), form))
    return total / 2
