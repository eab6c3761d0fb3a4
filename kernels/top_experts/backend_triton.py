"""Bounds of average precision in Triton: one program a neuron, two reads of its row, no sort.

The second read comes from the cache; sentence-major rows are turned over first. Two forms of one
bound: ``histogram`` counts in ``BINS`` bins of equal width, by atomics in shared memory from Triton
3.8 on; before, a histogram costs a ballot for each bin, and ``thresholds`` counts the activations
above each of 16 quantiles of the positives instead. Wider bins leave more neurons to score, the
result is the same.

Floor: one read of the activations. Predicted from compiled code (instructions issued on an H200,
4,096 sentences of 16 bits): at least 2.6 times that for ``histogram``, 5 times for ``thresholds``;
not measured on a device yet.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..common.transpose_triton import neuron_major
from ..common.triton_launch import VERSION, Launch, jit, tl
from .bounds import BINS

__all__ = ["LAUNCHES", "bound"]

_SAMPLE, _THRESHOLDS = 64, 16


@jit
def _float32(x: tl.tensor) -> tl.tensor:
    """Convert exactly: the interpreter loses bits of bfloat16 numbers below the normal ones."""
    if x.dtype == tl.bfloat16:
        return (x.to(tl.int16, bitcast=True).to(tl.int32) << 16).to(tl.float32, bitcast=True)
    else:  # noqa: RET505  (both branches would be compiled without it)
        return x.to(tl.float32)


@jit
def _extremes(
    row: tl.tensor,
    member_ptr: tl.tensor,
    n_sentences: tl.tensor,
    stride_xn: tl.tensor,
    BLOCK: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Lowest positive, NaN where an activation is not finite, and highest activation."""
    lowest = tl.full([BLOCK], float("inf"), tl.float32)
    highest = tl.full([BLOCK], float("-inf"), tl.float32)
    magnitude = tl.zeros([BLOCK], tl.float32)
    for start in range(0, n_sentences, BLOCK):
        i = start + tl.arange(0, BLOCK)
        real = i < n_sentences
        x = _float32(tl.load(row + i.to(tl.int64) * stride_xn, mask=real, other=0.0))
        member = tl.load(member_ptr + i, mask=real, other=0)
        lowest = tl.minimum(lowest, tl.where(member != 0, x, float("inf")))
        highest = tl.maximum(highest, tl.where(real, x, float("-inf")))
        magnitude = tl.maximum(magnitude, tl.abs(x), propagate_nan=tl.PropagateNan.ALL)
    finite = tl.min((magnitude < float("inf")).to(tl.int32), 0)
    return tl.where(finite != 0, tl.min(lowest, 0), float("nan")), tl.max(highest, 0)


@jit
def _store(  # noqa: PLR0917
    lo_ptr: tl.tensor,
    hi_ptr: tl.tensor,
    own: tl.tensor,
    hits: tl.tensor,
    rest: tl.tensor,
    misses: tl.tensor,
    lowest: tl.tensor,
) -> None:
    """Bounds from each bin's positives and negatives and from those in it or above; see bounds."""
    own, hits = own.to(tl.float32), hits.to(tl.float32)
    rest, misses = rest.to(tl.float32), misses.to(tl.float32)
    size = tl.max(hits, 0)
    first = (hits - own + 1.0) / (hits - own + 1.0 + misses)
    lo = tl.sum(own / 2 * (first + hits / tl.maximum(hits + misses, 1.0)), 0)
    hi = tl.sum(own * (hits / tl.maximum(hits + misses - rest, 1.0)), 0)
    m = tl.program_id(0)
    tl.store(lo_ptr + m, lo / size + 0.0 * lowest)
    tl.store(hi_ptr + m, hi / size)


@jit
def _histogram_kernel(  # noqa: PLR0917
    x_ptr: tl.tensor,
    member_ptr: tl.tensor,
    lo_ptr: tl.tensor,
    hi_ptr: tl.tensor,
    n_sentences: tl.tensor,
    stride_xm: tl.tensor,
    stride_xn: tl.tensor,
    BLOCK: tl.constexpr,
    BINS: tl.constexpr,
) -> None:
    """Count a row in bins of equal width, the highest first."""
    row = x_ptr + tl.program_id(0).to(tl.int64) * stride_xm
    lowest, highest = _extremes(row, member_ptr, n_sentences, stride_xn, BLOCK)
    top = highest * 0.5
    scale = (BINS - 1) / tl.maximum(top - lowest * 0.5, 1e-36)
    counts = tl.zeros([2 * BINS], tl.int32)
    for start in range(0, n_sentences, BLOCK):
        i = start + tl.arange(0, BLOCK)
        real = i < n_sentences
        x = _float32(tl.load(row + i.to(tl.int64) * stride_xn, mask=real, other=float("-inf")))
        member = tl.load(member_ptr + i, mask=real, other=0)
        at = tl.minimum((top - x * 0.5) * scale, BINS).to(tl.int32)
        counts += tl.histogram(2 * at + member, 2 * BINS, mask=x >= lowest)
    rest, own = tl.split(tl.reshape(counts, [BINS, 2]))
    _store(lo_ptr, hi_ptr, own, tl.cumsum(own, 0), rest, tl.cumsum(rest, 0), lowest)


@jit
def _thresholds_kernel(  # noqa: PLR0917
    x_ptr: tl.tensor,
    member_ptr: tl.tensor,
    sample_ptr: tl.tensor,
    lo_ptr: tl.tensor,
    hi_ptr: tl.tensor,
    n_sentences: tl.tensor,
    stride_xm: tl.tensor,
    stride_xn: tl.tensor,
    BLOCK: tl.constexpr,
    SAMPLE: tl.constexpr,
    THRESHOLDS: tl.constexpr,
) -> None:
    """Count a row above quantiles of a sample of its positives, and above the lowest positive."""
    row = x_ptr + tl.program_id(0).to(tl.int64) * stride_xm
    lowest, _ = _extremes(row, member_ptr, n_sentences, stride_xn, BLOCK)
    slot = tl.arange(0, SAMPLE)
    at = tl.load(sample_ptr + slot).to(tl.int64)
    sample = _float32(tl.load(row + at * stride_xn))
    # NaN would break a sort; such a row is refused whatever its bounds.
    sample = tl.sort(tl.where(tl.abs(lowest) < float("inf"), sample, 0.0))
    b = tl.arange(0, THRESHOLDS)
    hits, misses = tl.zeros([THRESHOLDS], tl.int32), tl.zeros([THRESHOLDS], tl.int32)
    hits_above, misses_above = tl.zeros_like(hits), tl.zeros_like(misses)
    for start in range(0, n_sentences, BLOCK):
        i = start + tl.arange(0, BLOCK)
        real = i < n_sentences
        x = _float32(tl.load(row + i.to(tl.int64) * stride_xn, mask=real, other=0.0))
        member = tl.load(member_ptr + i, mask=real, other=0)
        weight = tl.where(real, (member << 16) | (1 - member), 0)  # a block fits 16 bits
        for t in tl.static_range(THRESHOLDS):
            threshold = lowest
            if t < THRESHOLDS - 1:
                quantile = slot == SAMPLE - (t + 1) * (SAMPLE // THRESHOLDS)
                threshold = tl.sum(tl.where(quantile, sample, 0.0), 0)
            count = tl.sum(tl.where(x >= threshold, weight, 0), 0)
            hits += tl.where(b == t, count >> 16, 0)
            misses += tl.where(b == t, count & 0xFFFF, 0)
            hits_above += tl.where(b == t + 1, count >> 16, 0)
            misses_above += tl.where(b == t + 1, count & 0xFFFF, 0)
    _store(lo_ptr, hi_ptr, hits - hits_above, hits, misses - misses_above, misses, lowest)


_OUT = {"lo_ptr": "*fp32", "hi_ptr": "*fp32"}
LAUNCHES = {
    "histogram": Launch(
        kernel=_histogram_kernel,
        pointers={"x_ptr": "*x", "member_ptr": "*i32"} | _OUT,
        constants={"BLOCK": 1024, "BINS": BINS},
        num_warps=2,
        unit=("stride_xn",),
    ),
    "thresholds": Launch(
        kernel=_thresholds_kernel,
        pointers={"x_ptr": "*x", "member_ptr": "*i32", "sample_ptr": "*i32"} | _OUT,
        constants={"BLOCK": 512, "SAMPLE": _SAMPLE, "THRESHOLDS": _THRESHOLDS},
        num_warps=1,
        unit=("stride_xn",),
    ),
}
FORM = "histogram" if VERSION >= (3, 8) else "thresholds"


def bound(
    lo: Float[Tensor, "neuron"],
    hi: Float[Tensor, "neuron"],
    rows: Float[Tensor, "neuron sentence"],
    positive: Bool[Tensor, "sentence"],
    *,
    form: str = FORM,
) -> int:
    """Fill in the bounds of every row; return the first row that is not finite, or -1."""
    positions = positive.nonzero().flatten()
    evenly = torch.arange(_SAMPLE, device=rows.device) * len(positions) // _SAMPLE
    sample = (positions[evenly].int(),) if form == "thresholds" else ()
    member = positive.int()
    for at, piece in neuron_major(rows):
        LAUNCHES[form].run(
            (len(piece),),
            *(piece, member, *sample, lo[at], hi[at], rows.shape[1], *piece.stride()),
        )
    finite = ~lo.isnan()
    return -1 if finite.all() else int(finite.int().argmin())
