"""Many label sets on the CPU: one radix sort, then every label set advances at once.

Walking from the highest activation down, all label sets' counts move together, in vector registers:
what a run of ties adds is known at its end. The walk reads one membership byte for each sentence
and label set; 1,024 label sets at a time keep the counts in the fastest cache.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from ..common.keys import FORMATS
from ..common.numba_jit import compiled
from ..common.radix_sort import (
    Array,
    TaggedSentences,
    contiguous,
    sort16,
    sort32,
    tag_sentences,
    tiles,
)
from ..common.threads import first_bad

_TOGETHER = 1024


def fill(
    ap: Float[Tensor, "label_set neuron"],
    auroc: Float[Tensor, "label_set neuron"],
    rows: Float[Tensor, "neuron sentence"],
    positive: Bool[Tensor, "label_set sentence"],
) -> int:
    """Score every row for every label set; return the first row that is not finite, or -1."""
    bits, step = tiles(rows)
    every = np.arange(rows.shape[1])
    tagged = tag_sentences(every, every, FORMATS[rows.dtype])
    score_tile = _score16 if FORMATS[rows.dtype].width == 16 else _score32
    blocks = [slice(at, at + _TOGETHER) for at in range(0, len(positive), _TOGETHER)]
    members = [np.ascontiguousarray(positive[at].numpy().T.view(np.uint8)) for at in blocks]

    def run(first: int) -> int:
        tile = contiguous(bits[first : first + step])
        part = np.empty((2, len(positive), len(tile)), np.float32)
        for at, member in zip(blocks, members, strict=True):
            bad = score_tile(tile, tagged, member, member.sum(0, np.int64), part[:, at])
            if bad >= 0:
                return first + int(bad)
        ap.numpy()[:, first : first + step], auroc.numpy()[:, first : first + step] = part
        return -1

    return first_bad(run, range(0, len(bits), step))


@compiled
def _score16(tile: Array, tagged: TaggedSentences, member: Array, sizes: Array, out: Array) -> int:
    words, spare = (
        np.empty(len(tagged.sentences), np.uint32),
        np.empty(len(tagged.sentences), np.uint32),
    )
    for row in range(len(tile)):
        if not sort16(tile[row], tagged, words, spare):
            return row
        _walk(words, member, sizes, out[:, :, row])
    return -1


@compiled
def _score32(tile: Array, tagged: TaggedSentences, member: Array, sizes: Array, out: Array) -> int:
    words, spare = (
        np.empty(len(tagged.sentences), np.uint64),
        np.empty(len(tagged.sentences), np.uint64),
    )
    for row in range(len(tile)):
        if not sort32(tile[row], tagged, words, spare):
            return row
        _walk(words, member, sizes, out[:, :, row])
    return -1


@compiled
def _walk(words: Array, member: Array, sizes: Array, out: Array) -> None:
    n, n_label_sets = member.shape
    shift = words.dtype.type(4 * words.itemsize)
    mask = (words.dtype.type(1) << shift) - words.dtype.type(1)
    hits, fresh = np.zeros(n_label_sets, np.int32), np.zeros(n_label_sets, np.int32)
    precisions, ranks = np.zeros(n_label_sets), np.zeros(n_label_sets)
    start = 0
    for i in range(n):
        _add(fresh, member[np.int64(words[i] & mask)])
        if i + 1 == n or words[i] >> shift != words[i + 1] >> shift:
            _settle(hits, fresh, precisions, ranks, 1.0 / (i + 1), start + i + 1)
            start = i + 1
    for c in range(n_label_sets):
        size = sizes[c]
        out[0, c] = precisions[c] / size
        out[1, c] = ((2 * n - size) * size - ranks[c]) / (2.0 * size * (n - size))


@compiled
def _add(fresh: Array, member: Array) -> None:
    for c in range(len(fresh)):
        fresh[c] += member[c]


@compiled
def _settle(  # noqa: PLR0917
    hits: Array, fresh: Array, precisions: Array, ranks: Array, share: float, twice_rank: int
) -> None:
    """Close a run of ties: its ``fresh`` positives share one threshold."""
    for c in range(len(hits)):
        new = fresh[c]
        hits[c] += new
        precisions[c] += np.float64(new) * (np.float64(hits[c]) * share)
        ranks[c] += np.float64(new) * twice_rank
        fresh[c] = 0
