"""Ranks in Triton: how many sentences lie below, and not above, each activation of a neuron.

Every score follows from these two counts. One program sorts a neuron's keys alone, no label or
index beside them, so that 16-bit activations are sorted two neurons at a time; then the sentences
to be ranked, in any order and number, are searched for in what was sorted.
"""

from __future__ import annotations

from torch import Tensor

from ..common.triton_launch import Launch, jit, tl
from ..common.triton_sorting import (
    float_of,
    half,
    key_of,
    pair,
    rank_in,
    smaller_pair,
    sort_network,
    tree_of,
)

__all__ = ["LAUNCHES", "MAX_SENTENCES", "rank"]

MAX_SENTENCES = 8192
"""Sorted by one program."""


@jit
def _smaller(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return tl.minimum(a, b)


@jit
def _finite(x: tl.tensor) -> tl.tensor:
    return tl.min((tl.abs(x.to(tl.float32)) < float("inf")).to(tl.int32), 0)


@jit
def _run_ends(words: tl.tensor, i: tl.tensor, n: tl.tensor, PAIRS: tl.constexpr) -> tl.tensor:
    """Where the run of equal numbers around each position of the first ``n`` sorted words ends."""
    following = tl.gather(words, tl.minimum(i + 1, words.shape[0] - 1), 0)
    last = i >= n - 1
    end = tl.minimum(i + 1, n).to(tl.uint32)
    if PAIRS:
        low = tl.where(last | (half(words, 0) != half(following, 0)), end, 0xFFFF)
        high = tl.where(last | (half(words, 16) != half(following, 16)), end, 0xFFFF)
        return tl.associative_scan(pair(low, high), 0, smaller_pair, reverse=True)
    else:  # noqa: RET505  (both branches would be compiled without it)
        ends = tl.where(last | (words != following), end, 0xFFFF)
        return tl.associative_scan(ends, 0, _smaller, reverse=True)


@jit
def _ranks_kernel(  # noqa: PLR0917
    x_ptr: tl.tensor,
    order_ptr: tl.tensor,
    slots_ptr: tl.tensor,
    ranks_ptr: tl.tensor,
    sorted_ptr: tl.tensor,
    finite_ptr: tl.tensor,
    n_rows: tl.tensor,
    n_sentences: tl.tensor,
    n_ranked: tl.tensor,
    stride_x: tl.tensor,
    stride_ranks: tl.tensor,
    stride_sorted: tl.tensor,
    PAIRS: tl.constexpr,
    LOG: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Rank sentence ``order[j]`` of one neuron, or of two, into slot ``slots[j]``.

    A slot holds ``below | not above << 16``. The sorted activations are kept unless their stride
    is 0.
    """
    ROWS: tl.constexpr = 2 if PAIRS else 1
    m = tl.program_id(0).to(tl.int64) * ROWS
    i = tl.arange(0, 1 << LOG)
    real = i < n_sentences
    x = tl.load(x_ptr + m * stride_x + i, mask=real, other=0.0)
    tl.store(finite_ptr + m, _finite(x))
    words = key_of(x)
    if PAIRS:
        second = tl.minimum(m + 1, n_rows - 1)
        y = tl.load(x_ptr + second * stride_x + i, mask=real, other=0.0)
        tl.store(finite_ptr + second, _finite(y))
        words = pair(words, key_of(y))
    words = tl.where(real, words, 0xFFFFFFFF)  # padding sorts last
    words = sort_network(words, LOG, LOG, PAIRS)
    if stride_sorted > 0:
        for side in tl.static_range(ROWS):
            own = half(words, 16 * side) if PAIRS else words
            kept = i < tl.where(m + side < n_rows, n_sentences, 0)
            tl.store(sorted_ptr + (m + side) * stride_sorted + i, float_of(own, x), mask=kept)
    ends = _run_ends(words, i, n_sentences, PAIRS)
    tree = tree_of(words, i, LOG)
    query = tl.arange(0, TILE * ROWS)
    side = query // TILE
    shift = (side * 16).to(tl.uint32)
    row = tl.minimum(m + side, n_rows - 1)
    for first in range(0, n_ranked, TILE):
        j = first + query % TILE
        inside = j < n_ranked
        sentence = tl.load(order_ptr + j, mask=inside, other=0)
        keys = key_of(tl.load(x_ptr + row * stride_x + sentence))
        below = rank_in(tree, keys, shift, LOG, PAIRS)
        upto = tl.gather(ends, below, 0)
        if PAIRS:
            upto = half(upto, shift)
        slot = tl.load(slots_ptr + j, mask=inside, other=0)
        counts = pair(below.to(tl.uint32), upto).to(tl.int32, bitcast=True)
        tl.store(ranks_ptr + row * stride_ranks + slot, counts, mask=inside)


_SIZES = {6: (1, 64), 10: (2, 512), 11: (4, 1024), 12: (8, 2048), 13: (16, 2048)}  # warps, tile
LAUNCHES: dict[tuple[int, int], Launch] = {
    (width, 1 << log): Launch(
        kernel=_ranks_kernel,
        pointers={
            "x_ptr": "*x",
            "order_ptr": "*i32",
            "slots_ptr": "*i32",
            "ranks_ptr": "*i32",
            "sorted_ptr": "*x",
            "finite_ptr": "*i32",
        },
        constants={"PAIRS": width == 16, "LOG": log, "TILE": tile},
        num_warps=warps,
        dtypes=("fp32",) if width == 32 else ("bf16", "fp16"),
    )
    for width in (16, 32)
    for log, (warps, tile) in _SIZES.items()
    if (width, log) != (32, 11)
}


def rank(  # noqa: PLR0917
    rows: Tensor, order: Tensor, slots: Tensor, ranks: Tensor, ordered: Tensor, finite: Tensor
) -> None:
    """Rank the sentences ``order`` of every row ``[neuron, sentence]`` into their ``slots``.

    ``ordered`` receives the sorted rows unless it has no columns; sentences must be contiguous.
    """
    m, n = rows.shape
    width = 8 * rows.element_size()
    block = min(size for bits, size in LAUNCHES if bits == width and size >= n)
    LAUNCHES[width, block].run(
        (-(-m // 2) if width == 16 else m,),
        *(rows, order, slots, ranks, ordered, finite),
        *(m, n, len(order), rows.stride(0), ranks.stride(0)),
        ordered.stride(0) if ordered.shape[1] else 0,
    )
