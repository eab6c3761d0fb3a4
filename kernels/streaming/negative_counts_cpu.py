"""Where negatives fall among positives, on the CPU: ranks read off a bitmap.

The highest 16 bits of a key say which of 65,536 places it takes. A row's positives are marked in a
bitmap of them, with the number of marks before each word of 64: two loads and a count of bits
give the number of places above a negative, without a comparison. Keys of 16 bits are then done;
those of 32 are searched among the positives of their place, log2 of them at most.

Laying a row out takes 2 to 4 ns a positive and 1 us, once a batch, so batches of at least as many
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
from ..common.radix_sort import Array, contiguous, flip, key_of, tiles
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
    keys, ends = np.zeros(2 * n + 1, np.uint32), np.zeros(n + 1, np.uint32)
    marked = np.empty((1 << _PLACES) // 64, np.uint64)
    before, starts = np.empty(len(marked), np.uint32), np.empty(n + 1, np.uint32)
    bad = -1
    for row in range(len(tile)):
        for j in range(n):
            keys[j] = flip(positives[row, j], form)
        longest = _mark(keys[:n], marked, before, starts, _u32(form.width - _PLACES))
        place = (marked, before, starts, longest)
        if form.width == _PLACES:
            finite, tied = _add16(tile[row], place, counts[row], form, sign)
        else:
            _find_ends(keys[:n], ends)
            finite, tied = _add32(tile[row], keys, ends, place, counts[row], form, sign)
        ties[row] += sign * tied
        if not finite and bad < 0:
            bad = row
    return bad


@compiled
def _mark(keys: Array, marked: Array, before: Array, starts: Array, shift: Any) -> Any:
    """Mark each place taken, note its first positive, and count the marks before each word.

    Returns:
        The most positives of one place.
    """
    marked[:] = 0
    n, last, run, longest = _u32(0), ~keys[0] >> shift, _u32(0), _u32(0)
    word = _u64(0)
    for j in range(len(keys)):
        place = keys[j] >> shift
        starts[n] = j  # stays where the place is new
        new = _u32(place != last)
        n += new
        run = run * (_u32(1) - new) + _u32(1)
        longest = max(longest, run)
        # Keys ascend: a word is written again and again until it is whole, and never read.
        word = word * _u64(place >> _u32(6) == last >> _u32(6)) | _u64(1) << _u64(place & _u32(63))
        marked[place >> _u32(6)] = word
        last = place
    starts[n] = len(keys)
    total = _u32(0)
    for i in range(len(marked)):
        before[i] = total
        total += _u32(popcount(marked[i]))
    return longest


@compiled
def _find_ends(keys: Array, ends: Array) -> None:
    """Where the run of ties that each key stands in ends; the gap behind the last has none."""
    end = _u32(len(keys))
    ends[len(keys)] = end
    for j in range(len(keys) - 1, -1, -1):
        end = end if j + 1 < len(keys) and keys[j] == keys[j + 1] else _u32(j + 1)
        ends[j] = end


@compiled
def _above(place: Any, marked: Array, before: Array) -> tuple[Any, Any]:
    """Marks above a place, and whether it is marked itself."""
    word = marked[place >> _u32(6)]
    bit = _u64(1) << _u64(place & _u32(63))
    rank = before[place >> _u32(6)] + _u32(popcount(word & (bit - _u64(1))))
    return rank, _u32((word & bit) != _u64(0))


@compiled
def _add16(bits: Array, place: Any, counts: Array, form: FloatFormat, sign: int) -> tuple[Any, Any]:
    """Count a row; whether all of it is finite, and the pairs that tie."""
    marked, before, starts, _ = place
    finite, ties, exponent = True, 0, _u32(form.exponent)
    for i in range(len(bits)):
        finite &= (_u32(bits[i]) & exponent) != exponent
        rank, hit = _above(key_of(bits[i], form), marked, before)
        at = starts[rank]
        counts[at] += sign
        ties += hit * (starts[rank + hit] - at)
    return finite, ties


@compiled
def _add32(  # noqa: PLR0917
    bits: Array, keys: Array, ends: Array, place: Any, counts: Array, form: FloatFormat, sign: int
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
        key = key_of(bits[i], form)
        rank, hit = _above(key >> _u32(_PLACES), marked, before)
        at, end = starts[rank], starts[rank + hit]
        for level in range(levels - 1, -1, -1):
            last = at + _u32(1 << level) - _u32(1)
            less = (_u64(keys[last]) - _u64(key)) & (_u64(last) - _u64(end))  # sign bits
            at += _u32(less >> _u64(63)) << _u32(level)
        counts[at] += sign
        ties += (ends[at] - at) * (keys[at] == key)
    return finite, ties
