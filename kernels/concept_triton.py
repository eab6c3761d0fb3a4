"""One concept against the rest in Triton: its sentences are sorted, all others only searched for.

A program takes two neurons, sorts the positives of both at once and counts, for each negative, how
many positives lie at or below it. These counts tell the false positives above every threshold, and
the ties of negatives with positives the half points of AUROC. A negative costs a search and one
atomic addition in shared memory, which ``tl.histogram`` is from Triton 3.8 on. Sums run in float64
and counts in integers: every run gives the same bits.

Floor: one read of the activations. Predicted from compiled code in
``benchmarks/results/predictions_h200.csv``; not measured on a device yet.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .launch import VERSION, Launch, jit, tl
from .scoring_torch import pieces
from .sorting_device import (
    half,
    key_of,
    larger_pair,
    pair,
    rank_in,
    reciprocal,
    run_starts,
    sort_network,
    tree_of,
)

__all__ = ["LAUNCHES", "fill", "serves"]

_LABELINGS = 2  # from the third on, one sort of all sentences costs less


@jit
def _magnitudes(x: tl.tensor, y: tl.tensor) -> tl.tensor:
    """The bits but the sign of two neurons' 16-bit activations."""
    low = x.to(tl.uint16, bitcast=True).to(tl.uint32)
    high = y.to(tl.uint16, bitcast=True).to(tl.uint32)
    return pair(low, high) & 0x7FFF7FFF


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
    row0 = x_ptr + m * stride_x
    row1 = x_ptr + second * stride_x
    i = tl.arange(0, SIZE)
    real = i < n_positives
    sentence = tl.load(positives_ptr + i, mask=real, other=0)
    x = tl.load(row0 + sentence, mask=real, other=0.0)
    y = tl.load(row1 + sentence, mask=real, other=0.0)
    largest = tl.reduce(_magnitudes(x, y), 0, larger_pair)
    words = tl.where(real, pair(key_of(x), key_of(y)), 0xFFFFFFFF)  # padding sorts last
    words = sort_network(words, LOG, LOG, True)
    tree = tree_of(words, i, LOG)
    starts = run_starts(words, i)
    # A neuron's keys and where their runs start.
    own0 = pair(half(words, 0), half(starts, 0))
    own1 = pair(half(words, 16), half(starts, 16))
    found0 = tl.zeros([SIZE], tl.int32)
    found1 = tl.zeros([SIZE], tl.int32)
    ties0 = tl.zeros([], tl.int64)
    ties1 = tl.zeros([], tl.int64)
    for first in range(0, n_negatives, TILE):
        j = first + tl.arange(0, TILE)
        inside = j < n_negatives
        negative = tl.load(negatives_ptr + j, mask=inside, other=0)
        low = tl.load(row0 + negative, mask=inside, other=0.0)
        high = tl.load(row1 + negative, mask=inside, other=0.0)
        magnitudes = tl.reduce(_magnitudes(low, high), 0, larger_pair)
        largest = larger_pair(largest, magnitudes)
        for side in tl.static_range(2):
            keys = tl.where(inside, key_of(low if side == 0 else high), 0)  # no activation's key is 0
            upto = rank_in(tree, keys + 1, 16 * side, LOG, True)
            last = tl.gather(own0 if side == 0 else own1, tl.maximum(upto - 1, 0), 0)
            run = tl.where(half(last, 0) == keys, upto - half(last, 16).to(tl.int32), 0)
            if side == 0:
                found0 += tl.histogram(upto, SIZE, mask=inside)
                ties0 += tl.sum(run, 0)
            else:
                found1 += tl.histogram(upto, SIZE, mask=inside)
                ties1 += tl.sum(run, 0)
    for side in tl.static_range(2):
        row = m if side == 0 else second
        below = tl.cumsum(found0 if side == 0 else found1, 0)
        hits = tl.maximum(n_positives - half(own0 if side == 0 else own1, 16).to(tl.int32), 0)
        share = reciprocal(tl.maximum(hits + n_negatives - below, 1))
        ap = tl.sum(tl.where(real, hits.to(tl.float64) * share, 0.0), 0)
        tl.store(ap_ptr + row, (ap / n_positives.to(tl.float64)).to(tl.float32))
        won = 2 * tl.sum(tl.where(real, below, 0).to(tl.int64), 0) + (ties0 if side == 0 else ties1)
        pairs = 2.0 * n_positives.to(tl.float64) * n_negatives.to(tl.float64)
        tl.store(auroc_ptr + row, (won.to(tl.float64) / pairs).to(tl.float32))
        tl.store(largest_ptr + row, half(largest, 16 * side).to(tl.int32))


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
        constants={"LOG": log, "TILE": tile},
        num_warps=warps,
        dtypes=("bf16", "fp16"),
    )
    for log, warps, tile in ((10, 2, 1024), (11, 4, 2048))
}


def serves(
    dtype: torch.dtype,
    n_labelings: int,
    most_positives: int,
    version: tuple[int, ...] = VERSION,
) -> bool:
    """Whether scoring each of these labelings by itself is possible and costs less than one sort.

    >>> serves(torch.bfloat16, 1, 1000, (3, 8)), serves(torch.bfloat16, 1, 1000, (3, 7))
    (True, False)
    """
    fits = dtype != torch.float32 and most_positives < 1 << max(LAUNCHES)
    return version >= (3, 8) and n_labelings <= _LABELINGS and fits


def fill(
    ap: Float[Tensor, "labeling neuron"],
    auroc: Float[Tensor, "labeling neuron"],
    rows: Float[Tensor, "neuron sentence"],
    positive: Bool[Tensor, "labeling sentence"],
) -> int:
    """Score every row of 16 bits for each labeling; return the first row not finite, or -1."""
    places = [(p.nonzero().flatten().int(), (~p).nonzero().flatten().int()) for p in positive]
    infinity = int(torch.tensor(torch.inf, dtype=rows.dtype).view(torch.int16))
    largest = torch.empty(len(rows), dtype=torch.int32, device=rows.device)
    for at, piece in pieces(rows, rows.shape[1] * rows.element_size()):
        for scores, areas, listed in zip(ap[:, at], auroc[:, at], places, strict=True):
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
