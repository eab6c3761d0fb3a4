"""Device functions: sort keys, bitonic networks, searches in breadth-first order, runs of ties.

A network that keeps both ends of every comparison in registers needs only minimum and maximum, and
two 16-bit keys fit one register: where the chip has them (compute capability 9.0 and above), one
instruction compares two neurons. Elsewhere, and in the interpreter, plain arithmetic on the halves
gives the same bits.
"""

from __future__ import annotations

from .triton_launch import jit, packs_pairs, tl

__all__ = [
    "float_of",
    "half",
    "key_of",
    "larger_pair",
    "pair",
    "rank_in",
    "reciprocal",
    "run_starts",
    "smaller_pair",
    "sort_network",
    "tree_of",
]


@jit
def key_of(x: tl.tensor) -> tl.tensor:
    """Floats as unsigned integers of the same order, in 32 bits; -0.0 becomes +0.0."""
    if x.dtype.primitive_bitwidth == 16:
        bits = x.to(tl.int16, bitcast=True).to(tl.int32)
        bits = tl.where(bits == -32768, 0, bits)
        return ((bits ^ ((bits >> 31) & 0x7FFF)) + 32768).to(tl.uint32, bitcast=True)
    else:  # noqa: RET505  (both branches would be compiled without it)
        bits = x.to(tl.int32, bitcast=True)
        bits = tl.where(bits == -2147483648, 0, bits)
        return (bits ^ ((bits >> 31) | -2147483648)).to(tl.uint32, bitcast=True)


@jit
def float_of(key: tl.tensor, like: tl.tensor) -> tl.tensor:
    """The floats of these keys, in the type of ``like``."""
    if like.dtype.primitive_bitwidth == 16:
        bits = key.to(tl.int32, bitcast=True) - 32768
        return (bits ^ ((bits >> 31) & 0x7FFF)).to(tl.int16).to(like.dtype, bitcast=True)
    else:  # noqa: RET505
        bits = key.to(tl.int32, bitcast=True)
        return (bits ^ ((~bits >> 31) | -2147483648)).to(tl.float32, bitcast=True)


@jit
def pair(low: tl.tensor, high: tl.tensor) -> tl.tensor:
    """Two 16-bit numbers in one word."""
    return low | (high << 16)


@jit
def half(word: tl.tensor, shift: tl.tensor) -> tl.tensor:
    """The 16-bit number that lies ``shift`` (0 or 16) bits up in a word."""
    return (word >> shift) & 0xFFFF


@jit
def smaller_pair(x: tl.tensor, y: tl.tensor) -> tl.tensor:
    """The smaller of the low halves and of the high halves."""
    if packs_pairs():
        return tl.inline_asm_elementwise(
            "min.u16x2 $0, $1, $2;", "=r,r,r", [x, y], dtype=tl.uint32, is_pure=True, pack=1
        )
    else:  # noqa: RET505
        return tl.minimum(x & 0xFFFF, y & 0xFFFF) | (tl.minimum(x, y) & 0xFFFF0000)


@jit
def larger_pair(x: tl.tensor, y: tl.tensor) -> tl.tensor:
    """The larger of the low halves and of the high halves."""
    if packs_pairs():
        return tl.inline_asm_elementwise(
            "max.u16x2 $0, $1, $2;", "=r,r,r", [x, y], dtype=tl.uint32, is_pure=True, pack=1
        )
    else:  # noqa: RET505
        return tl.maximum(x & 0xFFFF, y & 0xFFFF) | (tl.maximum(x, y) & 0xFFFF0000)


@jit
def _bit(DIMS: tl.constexpr, position: tl.constexpr) -> tl.tensor:
    """Bit ``position`` of the index into a hypercube of ``DIMS`` bits."""
    return tl.reshape(tl.arange(0, 2), [1] * (DIMS - 1 - position) + [2] + [1] * position)


@jit
def sort_network(
    x: tl.tensor, LOG: tl.constexpr, STAGES: tl.constexpr, PAIRS: tl.constexpr
) -> tl.tensor:
    """Sort ``2^LOG`` words in aligned blocks of ``2^STAGES``, ascending; ``PAIRS`` sorts halves.

    Bitonic. Blocks that a stage wants descending are complemented meanwhile, so that a comparison
    between two registers is one minimum and one maximum.
    """
    h = tl.reshape(x, [2] * LOG)
    for stage in tl.static_range(1, STAGES + 1):
        down = tl.zeros([1] * LOG, tl.uint32)
        if stage < STAGES:
            down = down - _bit(LOG, stage).to(tl.uint32)
        h = h ^ down
        for step in tl.static_range(stage):
            upper = _bit(LOG, stage - 1 - step) == 1
            other = tl.sum(h, LOG - stage + step, keep_dims=True) - h
            if PAIRS:
                h = tl.where(upper, larger_pair(h, other), smaller_pair(h, other))
            else:
                h = tl.where(upper, tl.maximum(h, other), tl.minimum(h, other))
        h = h ^ down
    return tl.reshape(h, x.shape)


@jit
def tree_of(ordered: tl.tensor, i: tl.tensor, LOG: tl.constexpr) -> tl.tensor:
    """Sorted words in breadth-first order, where the first levels of a search lie side by side.

    In sorted order they would lie in one bank of shared memory and be read one after the other.
    """
    level = tl.zeros_like(i)
    for bit in tl.static_range(1, LOG):
        level += (i >= (1 << bit)).to(tl.int32)
    position = (2 * (i - (1 << level)) + 1) << (LOG - 1 - level)
    return tl.gather(ordered, tl.maximum(position - 1, 0), 0)


@jit
def rank_in(
    tree: tl.tensor, keys: tl.tensor, shift: tl.tensor, LOG: tl.constexpr, PAIRS: tl.constexpr
) -> tl.tensor:
    """How many of the sorted words (but their last) are smaller than each key."""
    node = tl.full(keys.shape, 1, tl.int32)
    for _ in tl.static_range(LOG):
        found = tl.gather(tree, node, 0)
        if PAIRS:
            found = half(found, shift)
        node = 2 * node + (found < keys).to(tl.int32)
    return node - (1 << LOG)


@jit
def run_starts(words: tl.tensor, i: tl.tensor) -> tl.tensor:
    """Where the run of equal numbers around each index starts, for both halves of sorted words."""
    before = tl.gather(words, tl.maximum(i - 1, 0), 0)
    at = i.to(tl.uint32)
    low = tl.where(half(words, 0) != half(before, 0), at, 0)
    high = tl.where(half(words, 16) != half(before, 16), at, 0)
    return tl.associative_scan(pair(low, high), 0, larger_pair)


@jit
def reciprocal(n: tl.tensor) -> tl.tensor:
    """1/n of positive integers in float64, to 2^-45: one step of Newton's from float32."""
    near = (1.0 / n.to(tl.float32)).to(tl.float64)
    return near * (2.0 - n.to(tl.float64) * near)
