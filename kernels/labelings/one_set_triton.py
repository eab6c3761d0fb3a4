"""One concept against the rest in Triton: its sentences are sorted, all others only searched for.

A program takes two neurons, sorts the positives of both at once and counts, for each negative, how
many positives lie at or below it. These counts tell the false positives above every threshold, and
the ties of negatives with positives the half points of AUROC. A negative costs a search and one
atomic addition in shared memory, which ``tl.histogram`` is from Triton 3.8 on. Sums run in float64
and counts in integers: every run gives the same bits.

Floor: one read of the activations. Predicted from compiled code for 4,096 sentences of 16 bits, of
which 1,000 are positive: 9.2 times that (see ``benchmarks/results/predictions_h200.csv``); not
measured on a device yet.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..common.scratch import pieces
from ..common.triton_launch import VERSION, Launch, jit, tl
from ..common.triton_sorting import (
    half,
    key_of,
    pair,
    rank_in,
    reciprocal,
    run_starts,
    sort_network,
    tree_of,
)

__all__ = ["LAUNCHES", "fill", "serves"]


@jit
def _largest(x: tl.tensor, COUNT: tl.constexpr) -> tl.tensor:
    """The largest magnitude of each neuron's 16-bit activations, as the bits of it."""
    bits = x.to(tl.int16, bitcast=True).to(tl.int32) & 0x7FFF
    return tl.max(tl.reshape(bits, [2, COUNT]), 1)


@jit
def _concept_kernel(  # noqa: PLR0917
    x_ptr: tl.tensor,
    positives_ptr: tl.tensor,
    negatives_ptr: tl.tensor,
    ap_ptr: tl.tensor,
    auroc_ptr: tl.tensor,
    largest_ptr: tl.tensor,
    n_rows: tl.tensor,
    n_positives: tl.tensor,
    n_negatives: tl.tensor,
    stride_x: tl.tensor,
    LOG: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """AP, AUROC and largest magnitude (its bits) of two neurons; fewer than ``2^LOG`` positives."""
    SIZE: tl.constexpr = 1 << LOG
    m = tl.program_id(0).to(tl.int64) * 2
    second = tl.minimum(m + 1, n_rows - 1)
    i = tl.arange(0, SIZE)
    real = i < n_positives
    sentence = tl.load(positives_ptr + i, mask=real, other=0)
    x = tl.load(x_ptr + m * stride_x + sentence)
    y = tl.load(x_ptr + second * stride_x + sentence)
    words = tl.where(real, pair(key_of(x), key_of(y)), 0xFFFFFFFF)  # padding sorts last
    words = sort_network(words, LOG, LOG, True)
    tree = tree_of(words, i, LOG)
    starts = run_starts(words, i)
    # Both neurons side by side, so that what is searched is put in shared memory once for both.
    query = tl.arange(0, 2 * TILE)
    side = query // TILE
    shift = (side * 16).to(tl.uint32)
    row = x_ptr + tl.minimum(m + side, n_rows - 1) * stride_x
    found = tl.zeros([2 * SIZE], tl.int32)
    ties = tl.zeros([2], tl.int64)
    largest = _largest(tl.permute(tl.join(x, y), [1, 0]), SIZE)
    for first in range(0, n_negatives, TILE):
        j = first + query % TILE
        inside = j < n_negatives
        negative = tl.load(negatives_ptr + j, mask=inside, other=0)
        z = tl.load(row + negative)
        largest = tl.maximum(largest, _largest(z, TILE))
        keys = tl.where(inside, key_of(z), 0)  # no activation's key is 0
        upto = rank_in(tree, keys + 1, shift, LOG, True)
        found += tl.histogram(upto + side * SIZE, 2 * SIZE, mask=inside)
        last = tl.maximum(upto - 1, 0)
        start = half(tl.gather(starts, last, 0), shift).to(tl.int32)
        tied = half(tl.gather(words, last, 0), shift) == keys
        ties += tl.sum(tl.reshape(tl.where(tied, upto - start, 0), [2, TILE]), 1)
    b = tl.arange(0, 2)
    below = tl.cumsum(tl.reshape(found, [2, SIZE]), 1)
    start = half(starts[None, :], (b * 16).to(tl.uint32)[:, None]).to(tl.int32)
    hits = tl.maximum(n_positives - start, 0)
    share = reciprocal(tl.maximum(hits + n_negatives - below, 1))
    counted = tl.broadcast_to(real[None, :], [2, SIZE])
    ap = tl.sum(tl.where(counted, hits.to(tl.float64) * share, 0.0), 1)
    won = 2 * tl.sum(tl.where(counted, below, 0).to(tl.int64), 1) + ties
    size = tl.cast(n_positives, tl.float64)  # a launch with one positive makes it a constant
    pairs = 2.0 * size * tl.cast(n_negatives, tl.float64)
    out = tl.minimum(m + b, n_rows - 1)
    tl.store(ap_ptr + out, (ap / size).to(tl.float32))
    tl.store(auroc_ptr + out, (won.to(tl.float64) / pairs).to(tl.float32))
    tl.store(largest_ptr + out, largest)


LAUNCHES: dict[int, Launch] = {
    log: Launch(
        kernel=_concept_kernel,
        pointers={
            "x_ptr": "*x",
            "positives_ptr": "*i32",
            "negatives_ptr": "*i32",
            "ap_ptr": "*fp32",
            "auroc_ptr": "*fp32",
            "largest_ptr": "*i32",
        },
        constants={"LOG": log, "TILE": 512},
        num_warps=4,
        dtypes=("bf16", "fp16"),
    )
    for log in (10, 11)
}


def serves(
    dtype: torch.dtype,
    n_sentences: int,
    n_label_sets: int,
    most_positives: int,
    version: tuple[int, ...] = VERSION,
) -> bool:
    """Whether scoring each of these label sets by itself is possible and costs less than one sort.

    By predictions from compiled code, as long as no device has measured both.

    >>> serves(torch.bfloat16, 4096, 1, 1000, (3, 8)), serves(torch.bfloat16, 4096, 1, 1000, (3, 7))
    (True, False)
    """
    fits = dtype != torch.float32 and most_positives < 1 << max(LAUNCHES)
    pays = n_label_sets <= 2 and n_sentences > 1024 * n_label_sets
    return fits and pays and version >= (3, 8)


def fill(
    ap: Float[Tensor, "label_set neuron"],
    auroc: Float[Tensor, "label_set neuron"],
    rows: Float[Tensor, "neuron sentence"],
    positive: Bool[Tensor, "label_set sentence"],
) -> int:
    """Score every row of 16 bits for each label set; return the first row not finite, or -1."""
    members = [(p.nonzero().flatten().int(), (~p).nonzero().flatten().int()) for p in positive]
    infinity = int(torch.tensor(torch.inf, dtype=rows.dtype).view(torch.int16))
    largest = torch.empty(len(rows), dtype=torch.int32, device=rows.device)
    for at, piece in pieces(rows, rows.shape[1] * rows.element_size()):
        for scores, areas, listed in zip(ap[:, at], auroc[:, at], members, strict=True):
            _score(scores, areas, piece, *listed, largest[at])
    finite = largest < infinity
    return -1 if finite.all() else int(finite.int().argmin())


def _score(  # noqa: PLR0917
    ap: Tensor, auroc: Tensor, rows: Tensor, positives: Tensor, negatives: Tensor, largest: Tensor
) -> None:
    log = min(log for log in LAUNCHES if len(positives) < 1 << log)
    LAUNCHES[log].run(
        (-(-len(rows) // 2),),
        *(rows, positives, negatives, ap, auroc, largest),
        *(len(rows), len(positives), len(negatives), rows.stride(0)),
    )
