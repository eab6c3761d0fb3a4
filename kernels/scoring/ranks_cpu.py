"""AP and AUROC of every class from a neuron's sorted words, on the CPU.

One walk from the highest activation down finds where each run of ties starts, one from the lowest
up where it ends, and both ends of a sentence's run are scattered to its class in one word. Within a
class they stand in descending order: equal words share a threshold, sums run in vector registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.numba_jit import compiled, reassociated
from ..common.radix_sort import Array

_u32, _i32, _i64 = np.uint32, np.int32, np.int64


def ends_type(n_sentences: int) -> type[np.unsignedinteger[Any]]:
    """The smallest word that holds the start and the end of a run of ties side by side."""
    return np.uint32 if n_sentences < 1 << 16 else np.uint64


@compiled
def ranks(  # noqa: PLR0917
    words: Array, runs: Array, hits: Array, offsets: Array, ap: Array, auroc: Array
) -> None:
    """Fill ``[class]`` scores of one neuron; ``runs`` ``[sentence]`` and ``hits`` are scratch.

    ``words`` are ``key | class`` in descending order of activation.
    """
    n = len(words)
    _scatter_runs(words, runs, hits, offsets)
    for c in range(len(offsets) - 1):
        size = offsets[c + 1] - offsets[c]
        own = runs[offsets[c] : offsets[c + 1]]
        _ends_of_ties(own, hits)
        precisions, both_ends = _sums(own, hits)
        ap[c] = precisions / size
        auroc[c] = ((2 * n - size) * size - both_ends) / (2.0 * size * (n - size))


@compiled
def _scatter_runs(words: Array, runs: Array, starts: Array, offsets: Array) -> None:
    """``start << half | end`` of the run of ties around each sentence, grouped by class."""
    n, shift = len(words), words.dtype.type(4 * words.itemsize)
    mask = (words.dtype.type(1) << shift) - words.dtype.type(1)
    word, half = runs.dtype.type, runs.dtype.type(4 * runs.itemsize)
    start = _u32(0)
    starts[0] = start
    for i in range(1, n):
        start = start if words[i] >> shift == words[i - 1] >> shift else _u32(i)
        starts[i] = start
    slots = offsets[1:].astype(np.uint32)
    end, below = word(n), ~words[n - 1]
    for i in range(n - 1, -1, -1):
        key = words[i] >> shift
        c = words[i] & mask
        end = end if key == below >> shift else word(i + 1)
        below = words[i]
        slots[c] -= _u32(1)
        runs[slots[c]] = word(starts[i]) << half | end


@compiled
def _ends_of_ties(own: Array, hits: Array) -> None:
    """Sentences of the class at or above each of them."""
    end = _u32(len(own))
    hits[len(own) - 1] = end
    for j in range(len(own) - 2, -1, -1):
        end = end if own[j] == own[j + 1] else _u32(j + 1)
        hits[j] = end


@reassociated
def _sums(own: Array, hits: Array) -> tuple[Any, Any]:
    """Sum of the precisions, and of both ends of all runs (twice the mid-ranks)."""
    half = own.dtype.type(4 * own.itemsize)
    mask = (own.dtype.type(1) << half) - own.dtype.type(1)
    precisions, both_ends = 0.0, _i64(0)
    for j in range(len(own)):
        end = own[j] & mask
        # Signed 32-bit numbers become float64 in one vector instruction.
        precisions += np.float64(_i32(hits[j])) / np.float64(_i32(end))
        both_ends += _i64((own[j] >> half) + end)
    return precisions, both_ends
