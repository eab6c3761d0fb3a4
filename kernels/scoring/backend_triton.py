"""Scores in Triton, whatever the number of classes: one sort of all, one within the classes.

Every sentence is first ranked among all (``ranks_triton.py``) and its ranks put where its class
waits (``sort_blocks.py``). Ordering the ranks of a class then tells how many of its sentences lie
at or above each, and differences of running sums are its totals. Sums run in float64 and counts in
integers, and nothing is atomic: every run gives the same bits.

Floor: one read of the activations. Predicted from compiled code for 4,096 sentences of 16 bits:
about 32 times that for any number of classes (see ``benchmarks/results/predictions_h200.csv``);
not measured on a device yet.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..common.grouping import Grouping
from ..common.scratch import cached_bytes, pieces
from ..common.triton_launch import Launch, jit, tl
from ..common.triton_sorting import half, pair, reciprocal, run_starts, sort_network
from . import ranks_triton, torch_sort
from .moments_triton import fill_moments
from .ranks_triton import rank
from .sort_blocks import FORMS, ClassLayout, lay_out
from .table import ScoreTable

__all__ = ["LAUNCHES", "fill", "fill_ranks"]


@jit
def _gather64(x: tl.tensor, index: tl.tensor) -> tl.tensor:
    """Gather float64 in two halves of 24 bits each: no more shared memory than float32 takes."""
    high = x.to(tl.float32)
    low = (x - high.to(tl.float64)).to(tl.float32)
    return tl.gather(high, index, 0).to(tl.float64) + tl.gather(low, index, 0).to(tl.float64)


@jit
def _counts(at: tl.tensor, stops: tl.tensor) -> tl.tensor:
    """The ranks that wait in a tile; nothing in its padding."""
    return tl.load(at, mask=tl.load(stops) > 0, other=0).to(tl.uint32, bitcast=True)


@jit
def _classes_kernel(  # noqa: PLR0917
    ranks_ptr: tl.tensor,
    sorted_ptr: tl.tensor,
    codes_ptr: tl.tensor,
    stops_ptr: tl.tensor,
    tiles_ptr: tl.tensor,
    starts_ptr: tl.tensor,
    sizes_ptr: tl.tensor,
    ap_ptr: tl.tensor,
    auroc_ptr: tl.tensor,
    median_ptr: tl.tensor,
    n_rows: tl.tensor,
    n_sentences: tl.tensor,
    n_tiles: tl.tensor,
    rank_mask: tl.tensor,
    stride_ranks: tl.tensor,
    stride_sorted: tl.tensor,
    stride_out: tl.tensor,
    LOG: tl.constexpr,
    STAGES: tl.constexpr,
    CLASSES: tl.constexpr,
) -> None:
    """AP, AUROC and, where sorted activations were kept, median of two neurons for every class."""
    BLOCK: tl.constexpr = 1 << LOG
    m = tl.program_id(0).to(tl.int64) * 2
    second = tl.minimum(m + 1, n_rows - 1)
    i = tl.arange(0, BLOCK)
    for tile in range(n_tiles):
        at = ranks_ptr + tile * BLOCK + i
        stops = stops_ptr + tile * BLOCK + i
        c0 = tl.load(tiles_ptr + tile)
        c1 = tl.load(tiles_ptr + tile + 1)
        for side in tl.static_range(2):
            row = m if side == 0 else second
            counts = _counts(at + row * stride_ranks, stops)
            rank_sums = tl.cumsum((half(counts, 0) + half(counts, 16)).to(tl.int32), 0)
            for first in range(c0, c1, CLASSES):
                c = first + tl.arange(0, CLASSES)
                start = tl.load(starts_ptr + c, mask=c < c1, other=0)
                size = tl.load(sizes_ptr + c, mask=c < c1, other=1)
                total = tl.gather(rank_sums, start + size - 1, 0)
                total -= tl.where(start > 0, tl.gather(rank_sums, tl.maximum(start - 1, 0), 0), 0)
                pairs = 2.0 * size.to(tl.float64) * (n_sentences - size).to(tl.float64)
                auroc = ((total - size * size).to(tl.float64) / pairs).to(tl.float32)
                tl.store(auroc_ptr + c.to(tl.int64) * stride_out + row, auroc, mask=c < c1)
        # Read anew: nothing but the words need live through the sort.
        words = pair(
            half(_counts(at + m * stride_ranks, stops), 0),
            half(_counts(at + second * stride_ranks, stops), 0),
        )
        words |= tl.load(codes_ptr + tile * BLOCK + i).to(tl.uint32, bitcast=True)
        words = sort_network(words, LOG, STAGES, True)
        own = run_starts(words, i)
        for side in tl.static_range(2):
            row = m if side == 0 else second
            below = half(words, 16 * side).to(tl.int32) & rank_mask
            hits = tl.maximum(tl.load(stops) - half(own, 16 * side).to(tl.int32), 0)  # padding: 0
            share = reciprocal(tl.maximum(n_sentences - below, 1))
            precision = tl.cumsum(hits.to(tl.float64) * share, 0)
            for first in range(c0, c1, CLASSES):
                c = first + tl.arange(0, CLASSES)
                inside = c < c1
                start = tl.load(starts_ptr + c, mask=inside, other=0)
                size = tl.load(sizes_ptr + c, mask=inside, other=1)
                ap = _gather64(precision, start + size - 1)
                ap -= tl.where(start > 0, _gather64(precision, tl.maximum(start - 1, 0)), 0.0)
                out = c.to(tl.int64) * stride_out + row
                tl.store(ap_ptr + out, (ap / size.to(tl.float64)).to(tl.float32), mask=inside)
                if stride_sorted > 0:
                    ordered = sorted_ptr + row * stride_sorted
                    lower = tl.load(ordered + tl.gather(below, start + (size - 1) // 2, 0))
                    upper = tl.load(ordered + tl.gather(below, start + size // 2, 0))
                    median = lower.to(tl.float32).to(tl.float64)
                    median = (median + upper.to(tl.float32).to(tl.float64)) / 2
                    tl.store(median_ptr + out, median.to(tl.float32), mask=inside)


_WARPS = {(6, 6): 1, (10, 7): 4, (10, 10): 2, (12, 12): 8, (13, 13): 16}
LAUNCHES: dict[object, Launch] = {
    form: Launch(
        kernel=_classes_kernel,
        pointers={
            "ranks_ptr": "*i32",
            "sorted_ptr": "*x",
            "codes_ptr": "*i32",
            "stops_ptr": "*i32",
            "tiles_ptr": "*i32",
            "starts_ptr": "*i32",
            "sizes_ptr": "*i32",
            "ap_ptr": "*fp32",
            "auroc_ptr": "*fp32",
            "median_ptr": "*fp32",
        },
        constants={"LOG": form[0], "STAGES": form[1], "CLASSES": 32},
        hot=form[0] < 13,  # classes of over 4,096 sentences: one instruction in a hundred spills
        num_warps=_WARPS[form],
    )
    for form in FORMS
}


def fill(table: ScoreTable, rows: Tensor, grouping: Grouping) -> int:
    """Score every row into ``table``; return the first row that is not finite, or -1."""
    ap, auroc, mean, median, std, rest_mean, rest_std = table
    bad = fill_ranks((ap, auroc, median), rows, grouping.order, grouping.counts)
    if bad < 0 and mean.numel():
        for at, piece in pieces(rows, rows.shape[1] * rows.element_size()):
            fill_moments(tuple(t[:, at] for t in (mean, std, rest_mean, rest_std)), piece, grouping)
    return bad


def fill_ranks(
    tables: tuple[Tensor, Tensor, Tensor],
    rows: Tensor,
    order: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """AP, AUROC and median of groups of sentences against all others; groups may overlap.

    ``order`` lists the sentences group by group, ``counts`` their numbers. An empty table of
    medians is left alone. Returns the first row that is not finite, or -1.
    """
    m, n = rows.shape
    if n > ranks_triton.MAX_SENTENCES:
        return torch_sort.fill_ranks(tables, rows, order, counts)
    device = rows.device
    layout = lay_out(counts, n)
    laid = [torch.from_numpy(array).to(device) for array in layout[1:]]
    sizes = torch.from_numpy(counts.astype(np.int32)).to(device)
    listed = torch.from_numpy(order.astype(np.int32)).to(device)
    finite = torch.empty(m, dtype=torch.int32, device=device)
    # What ranks leave for the classes to read should not leave the cache.
    row_bytes = 4 * len(layout.codes) + (1 + bool(tables[2].numel())) * n * rows.element_size()
    for at, piece in pieces(rows, row_bytes, most=cached_bytes(device)):
        ranks = torch.empty(len(piece), len(layout.codes), dtype=torch.int32, device=device)
        ordered = torch.empty_like(piece if tables[2].numel() else piece[:, :0])
        rank(piece, listed, laid[0], ranks, ordered, finite[at])
        _score(tuple(table[:, at] for table in tables), ranks, ordered, layout, laid, sizes, n)
    return -1 if finite.all() else int(finite.argmin())


def _score(  # noqa: PLR0917
    tables: tuple[Tensor, ...],
    ranks: Tensor,
    ordered: Tensor,
    layout: ClassLayout,
    laid: list[Tensor],
    sizes: Tensor,
    n: int,
) -> None:
    ap, auroc, median = tables
    _, codes, stops, starts, tiles = laid
    mask = (1 << (n - 1).bit_length()) - 1
    LAUNCHES[layout.form].run(
        (-(-len(ranks) // 2),),
        *(ranks, ordered, codes, stops, tiles, starts, sizes, ap, auroc, median),
        *(len(ranks), n, len(tiles) - 1, mask, ranks.stride(0)),
        *(ordered.stride(0) if ordered.shape[1] else 0, ap.stride(0)),
    )
