"""Scores in Triton: one program a neuron, two sorts whatever the number of classes.

The first sort orders words ``key | class``: the start of each run of ties is the number of
sentences below it. The second orders ``class | start``: the sentences of a class then stand side by
side, in order, and differences of running sums are its totals. Sums run in float64 and counts in
integers, and nothing is atomic: every run gives the same bits.

Floor: one read of the activations. Predicted from compiled code for 4,096 sentences of 16 bits:
two sorts of about 30 times that, whatever the number of classes; not measured on a device yet.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .grouping import Grouping
from .launch import Launch, jit, tl
from .score_table import rest_moments

__all__ = ["LAUNCHES", "fill"]

_SEGMENT = 256


@jit
def _larger(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return tl.maximum(a, b)


@jit
def _smaller(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return tl.minimum(a, b)


@jit
def _key(x: tl.tensor, WIDE: tl.constexpr) -> tl.tensor:
    """Activations as signed integers of the same order; -0.0 becomes +0.0. See ``keys.py``."""
    if WIDE:
        bits = x.to(tl.int32, bitcast=True)
        bits = tl.where(bits == -2147483648, 0, bits)
        return bits ^ ((bits >> 31) & 0x7FFFFFFF)
    else:  # noqa: RET505  (both branches would be compiled without it)
        bits = x.to(tl.int16, bitcast=True).to(tl.int32)
        bits = tl.where(bits == -32768, 0, bits)
        return bits ^ ((bits >> 31) & 0x7FFF)


@jit
def _value(key: tl.tensor, x_ptr: tl.tensor, WIDE: tl.constexpr) -> tl.tensor:
    if WIDE:
        bits = key ^ ((key >> 31) & 0x7FFFFFFF)
        return bits.to(tl.float32, bitcast=True).to(tl.float64)
    else:  # noqa: RET505
        bits = (key ^ ((key >> 31) & 0x7FFF)).to(tl.int16)
        return bits.to(x_ptr.dtype.element_ty, bitcast=True).to(tl.float32).to(tl.float64)


@jit
def _gather64(x: tl.tensor, index: tl.tensor) -> tl.tensor:
    """Gather float64 in two halves of 24 bits each: no more shared memory than float32 takes."""
    high = x.to(tl.float32)
    low = (x - high.to(tl.float64)).to(tl.float32)
    return tl.gather(high, index, 0).to(tl.float64) + tl.gather(low, index, 0).to(tl.float64)


@jit
def _ranks_kernel(  # noqa: PLR0917
    x_ptr: tl.tensor,
    classes_ptr: tl.tensor,
    offsets_ptr: tl.tensor,
    ap_ptr: tl.tensor,
    auroc_ptr: tl.tensor,
    median_ptr: tl.tensor,
    finite_ptr: tl.tensor,
    n_sentences: tl.tensor,
    n_classes: tl.tensor,
    stride_xm: tl.tensor,
    stride_xn: tl.tensor,
    stride_out: tl.tensor,
    WIDE: tl.constexpr,
    BLOCK: tl.constexpr,
    CLASSES: tl.constexpr,
) -> None:
    """AP, AUROC and median of one neuron for every class."""
    m = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK)
    real = i < n_sentences
    x = tl.load(x_ptr + m * stride_xm + i.to(tl.int64) * stride_xn, mask=real, other=0.0)
    wide = x.to(tl.float32)
    tl.store(finite_ptr + m, tl.min((tl.abs(wide) < float("inf")).to(tl.int32), 0))
    classes = tl.load(classes_ptr + i, mask=real, other=0)
    if WIDE:
        words = (_key(x, WIDE).to(tl.int64) << 16) | classes
        words = tl.sort(tl.where(real, words, 0x7FFFFFFFFFFF))  # padding sorts last
        keys = (words >> 16).to(tl.int32)
        classes = (words & 0xFFFF).to(tl.int32)
    else:
        words = (_key(x, WIDE) << 16) | classes
        words = tl.sort(tl.where(real, words, 0x7FFFFFFF))
        keys = words >> 16
        classes = words & 0xFFFF
    first = (i == 0) | (tl.gather(keys, tl.maximum(i - 1, 0), 0) != keys)
    starts = tl.associative_scan(tl.where(first, i, 0), 0, _larger)
    last = (i >= n_sentences - 1) | (tl.gather(keys, tl.minimum(i + 1, BLOCK - 1), 0) != keys)
    ends = tl.associative_scan(tl.where(last, i + 1, BLOCK), 0, _smaller, reverse=True)
    by_class = tl.sort(tl.where(real, (classes << 16) | starts, 0x7FFFFFFF))
    starts = tl.where(real, by_class & 0xFFFF, 0)
    classes = by_class >> 16
    first = (i == 0) | (tl.gather(by_class, tl.maximum(i - 1, 0), 0) != by_class)
    own = tl.associative_scan(tl.where(first, i, 0), 0, _larger)
    class_end = tl.load(offsets_ptr + classes + 1, mask=real, other=0)
    hits = (class_end - own).to(tl.float64)
    precision = tl.where(real, hits / (n_sentences - starts).to(tl.float64), 0.0)
    precision = tl.cumsum(precision, 0)
    ranks = tl.cumsum(tl.where(real, starts + tl.gather(ends, starts, 0), 0), 0)
    for c0 in range(0, n_classes, CLASSES):
        c = c0 + tl.arange(0, CLASSES)
        inside = c < n_classes
        a = tl.load(offsets_ptr + c, mask=inside, other=0)
        b = tl.load(offsets_ptr + c + 1, mask=inside, other=1)
        size = b - a
        before = tl.maximum(a - 1, 0)
        ap = _gather64(precision, b - 1) - tl.where(a > 0, _gather64(precision, before), 0.0)
        below = tl.gather(ranks, b - 1, 0) - tl.where(a > 0, tl.gather(ranks, before, 0), 0)
        pairs = 2.0 * size.to(tl.float64) * (n_sentences - size).to(tl.float64)
        auroc = (below - size * size).to(tl.float64) / pairs
        low = tl.gather(keys, tl.gather(starts, (a + b - 1) // 2, 0), 0)
        high = tl.gather(keys, tl.gather(starts, (a + b) // 2, 0), 0)
        median = (_value(low, x_ptr, WIDE) + _value(high, x_ptr, WIDE)) / 2
        at = c.to(tl.int64) * stride_out + m
        tl.store(ap_ptr + at, (ap / size.to(tl.float64)).to(tl.float32), mask=inside)
        tl.store(auroc_ptr + at, auroc.to(tl.float32), mask=inside)
        tl.store(median_ptr + at, median.to(tl.float32), mask=inside)


@jit
def _moments_kernel(  # noqa: PLR0917
    x_ptr: tl.tensor,
    order_ptr: tl.tensor,
    offsets_ptr: tl.tensor,
    mean_ptr: tl.tensor,
    squares_ptr: tl.tensor,
    n_classes: tl.tensor,
    stride_xm: tl.tensor,
    stride_xn: tl.tensor,
    stride_out: tl.tensor,
    SEGMENT: tl.constexpr,
) -> None:
    """Mean and sum of squared deviations of one neuron for every class, in two passes."""
    m = tl.program_id(0).to(tl.int64)
    j = tl.arange(0, SEGMENT)
    for c in range(n_classes):
        a = tl.load(offsets_ptr + c)
        b = tl.load(offsets_ptr + c + 1)
        total = tl.zeros([SEGMENT], tl.float64)
        for start in range(a, b, SEGMENT):
            at = tl.load(order_ptr + start + j, mask=start + j < b, other=0).to(tl.int64)
            x = tl.load(x_ptr + m * stride_xm + at * stride_xn, mask=start + j < b, other=0.0)
            total += x.to(tl.float32).to(tl.float64)
        mean = tl.sum(total, 0) / (b - a).to(tl.float64)
        squares = tl.zeros([SEGMENT], tl.float64)
        for start in range(a, b, SEGMENT):
            at = tl.load(order_ptr + start + j, mask=start + j < b, other=0).to(tl.int64)
            x = tl.load(x_ptr + m * stride_xm + at * stride_xn, mask=start + j < b, other=0.0)
            gap = tl.where(start + j < b, x.to(tl.float32).to(tl.float64) - mean, 0.0)
            squares += gap * gap
        tl.store(mean_ptr + m, mean)
        tl.store(squares_ptr + m, tl.sum(squares, 0))
        mean_ptr += stride_out
        squares_ptr += stride_out


_WARPS = {16: 1, 1024: 4, 2048: 8, 4096: 16}  # 8192 would spill
_RANKS: dict[object, Launch] = {
    (wide, block): Launch(
        kernel=_ranks_kernel,
        pointers={
            "x_ptr": "*x",
            "classes_ptr": "*i32",
            "offsets_ptr": "*i32",
            "ap_ptr": "*fp32",
            "auroc_ptr": "*fp32",
            "median_ptr": "*fp32",
            "finite_ptr": "*i32",
        },
        constants={"WIDE": wide, "BLOCK": block, "CLASSES": min(block // 4, 128)},
        num_warps=warps,
        dtypes=("fp32",) if wide else ("bf16", "fp16"),
        unit=("stride_xn",),
    )
    for wide in (False, True)
    for block, warps in _WARPS.items()
}
_MOMENTS = Launch(
    kernel=_moments_kernel,
    pointers={
        "x_ptr": "*x",
        "order_ptr": "*i32",
        "offsets_ptr": "*i32",
        "mean_ptr": "*fp64",
        "squares_ptr": "*fp64",
    },
    constants={"SEGMENT": _SEGMENT},
    num_warps=2,
    unit=("stride_xn",),
)
LAUNCHES = _RANKS | {"moments": _MOMENTS}


def fill(tables: list[Tensor], rows: Tensor, grouping: Grouping) -> int:
    """Score every row into seven tables; return the first row that is not finite, or -1.

    The order of the tables is that of ``ScoreTable``; those of moments may be empty.
    """
    m, n = rows.shape
    ap, auroc, mean, median, std, rest_mean, rest_std = tables
    labels = torch.empty(n, dtype=torch.int64)
    labels[torch.from_numpy(grouping.order)] = torch.from_numpy(grouping.classes)
    offsets = torch.from_numpy(grouping.offsets).to(rows.device, torch.int32)
    finite = torch.empty(m, device=rows.device, dtype=torch.int32)
    middle = median if mean.numel() else torch.empty_like(ap)
    block = next(size for size in _WARPS if size >= n)
    _RANKS[rows.dtype == torch.float32, block].run(
        (m,),
        *(rows, labels.to(rows.device, torch.int32), offsets, ap, auroc, middle, finite),
        *(n, grouping.n_classes, *rows.stride(), ap.stride(0)),
    )
    if not finite.all():
        return int(finite.argmin())
    if mean.numel():
        _fill_moments((mean, std, rest_mean, rest_std), rows, grouping, offsets)
    return -1


def _fill_moments(
    tables: tuple[Tensor, ...], rows: Tensor, grouping: Grouping, offsets: Tensor
) -> None:
    mean, std, rest_mean, rest_std = tables
    means, squares, rest_means, rest_squares = torch.empty(
        4, *mean.shape, dtype=torch.float64, device=rows.device
    )
    order = torch.from_numpy(grouping.order).to(rows.device, torch.int32)
    _MOMENTS.run(
        (len(rows),),
        *(rows, order, offsets, means, squares),
        *(grouping.n_classes, *rows.stride(), means.stride(0)),
    )
    sizes = torch.from_numpy(grouping.counts).to(rows.device, torch.float64)[:, None]
    rest_moments(sizes, means, squares, rest_means, rest_squares)  # tensors index as arrays do
    mean.copy_(means)
    rest_mean.copy_(rest_means)
    std.copy_((squares / (sizes - 1)).sqrt())
    rest_std.copy_((rest_squares / (rows.shape[1] - sizes - 1)).sqrt())
