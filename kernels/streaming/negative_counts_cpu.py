"""Where negatives fall among positives, on the CPU: ranks read off a bitmap.

The highest 16 bits of a key say which of 65,536 places it takes. A row's positives are marked in a
bitmap of them, with the number of marks before each word of 64: two loads and a count of bits
give the number of places above a negative, without a comparison. Keys of 16 bits are then done;
those of 32 are searched among the positives of their place, log2 of them at most.

Laying a row out takes 4 ns a positive and 1 us, once a batch, so batches of at least as many
sentences as positives come close to the cost of their own activations: 6 ns (16 bits) and 12
(float32). All negatives together descending a search tree, which needs gathers, took 60 on a
processor whose gathers are slow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from ..common.keys import FORMATS, FloatFormat, bit_view
from ..common.numba_jit import compiled
from ..common.popcount import popcount
from ..common.radix_sort import Array, contiguous, flip, tiles
from ..common.threads import first_bad

_PLACES = 16  # bits of a key that the bitmap knows
_u32, _u64 = np.uint32, np.uint64


def count(
    positives: Float[Tensor, "neuron positive"],
    counts: Int[Tensor, "neuron gap"],
    ties: Int[Tensor, "neuron"],
    rows: Float[Tensor, "neuron sentence"],
    sign: int,
) -> int:
    """Add ``sign`` for every activation; return the first row that is not finite, or -1.

    All rows are counted even so: the same call with the other sign takes them back.
    """
    bits, step = tiles(rows)
    own, form = bit_view(positives), FORMATS[rows.dtype]

    def run(first: int) -> int:
        part = slice(first, first + step)
        tile = contiguous(bits[part])[:, : bits.shape[1]]  # without the padding
        bad = _count_tile(tile, own[part], counts.numpy()[part], ties.numpy()[part], form, sign)
        return first + int(bad) if bad >= 0 else -1

    return first_bad(run, range(0, len(bits), step))


@compiled
def _count_tile(  # noqa: PLR0917
    tile: Array, positives: Array, counts: Array, ties: Array, form: FloatFormat, sign: int
) -> int:
    n = positives.shape[1]
    keys, marked = np.zeros(2 * n + 1, np.uint32), np.empty((1 << _PLACES) // 64, np.uint64)
    before, starts = np.empty(len(marked), np.uint32), np.empty(n + 1, np.uint32)
    runs = np.zeros(n + 1, np.int32)  # the gap behind the last ties with nothing
    bad = -1
    for row in range(len(tile)):
        _lay_out(positives[row], keys[:n], runs, form)
        longest = _mark(keys[:n], marked, before, starts, _u32(form.width - _PLACES))
        place = (marked, before, starts, longest)
        if form.width == _PLACES:
            finite, tied = _add16(tile[row], place, counts[row], form, sign)
        else:
            finite, tied = _add32(tile[row], keys, runs, place, counts[row], form, sign)
        ties[row] += sign * tied
        if not finite and bad < 0:
            bad = row
    return bad


@compiled
def _lay_out(positives: Array, keys: Array, runs: Array, form: FloatFormat) -> None:
    """Keys in ascending order, and how many from each position on are equal to it."""
    for j in range(len(positives)):
        keys[j] = flip(positives[j], form)
    last = len(positives) - 1
    runs[last] = 1
    for j in range(last - 1, -1, -1):
        runs[j] = runs[j + 1] * (keys[j] == keys[j + 1]) + 1


@compiled
def _mark(keys: Array, marked: Array, before: Array, starts: Array, shift: Any) -> Any:
    """Mark each place taken, note its first positive, and count the marks before each word.

    Returns:
        The most positives of one place.
    """
    marked[:] = 0
    n, last, longest = _u32(0), ~keys[0] >> shift, _u32(0)
    for j in range(len(keys)):
        place = keys[j] >> shift
        starts[n] = j  # stays where the place is new
        n += _u32(place != last)
        longest = max(longest, _u32(j) - starts[n - _u32(1)] + _u32(1))
        last = place
        marked[place >> _u32(6)] |= _u64(1) << _u64(place & _u32(63))
    starts[n] = len(keys)
    total = _u32(0)
    for word in range(len(marked)):
        before[word] = total
        total += _u32(popcount(marked[word]))
    return longest


@compiled
def _above(place: Any, marked: Array, before: Array) -> tuple[Any, Any]:
    """Marks above a place, and whether it is marked itself."""
    word = marked[place >> _u32(6)]
    bit = _u64(1) << _u64(place & _u32(63))
    rank = before[place >> _u32(6)] + _u32(popcount(word & (bit - _u64(1))))
    return rank, _u32((word & bit) != _u64(0))


@compiled
def _key(bits: Any, form: FloatFormat) -> Any:
    b = _u32(bits)
    return flip(b * _u32(b != _u32(form.sign)), form)


@compiled
def _add16(bits: Array, place: Any, counts: Array, form: FloatFormat, sign: int) -> tuple[Any, Any]:
    """Count a row; whether all of it is finite, and the pairs that tie."""
    marked, before, starts, _ = place
    finite, ties, exponent = True, 0, _u32(form.exponent)
    for i in range(len(bits)):
        finite &= (_u32(bits[i]) & exponent) != exponent
        rank, hit = _above(_key(bits[i], form), marked, before)
        at = starts[rank]
        counts[at] += sign
        ties += hit * (starts[rank + hit] - at)
    return finite, ties


@compiled
def _add32(  # noqa: PLR0917
    bits: Array, keys: Array, runs: Array, place: Any, counts: Array, form: FloatFormat, sign: int
) -> tuple[Any, Any]:
    """The same where several positives may share a place: a search among these, without a branch.

    ``keys`` may be read, not used, as far behind its end as it is long.
    """
    marked, before, starts, longest = place
    levels = 0
    while 1 << levels <= longest:
        levels += 1
    finite, ties, exponent = True, 0, _u32(form.exponent)
    for i in range(len(bits)):
        finite &= (bits[i] & exponent) != exponent
        key = _key(bits[i], form)
        rank, hit = _above(key >> _u32(_PLACES), marked, before)
        at, end = starts[rank], starts[rank + hit]
        for level in range(levels - 1, -1, -1):
            last = at + _u32(1 << level) - _u32(1)
            less = (_u64(keys[last]) - _u64(key)) & (_u64(last) - _u64(end))  # sign bits
            at += _u32(less >> _u64(63)) << _u32(level)
        counts[at] += sign
        ties += runs[at] * (keys[at] == key)
    return finite, ties
