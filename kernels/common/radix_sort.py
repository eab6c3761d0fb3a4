"""Radix sort of a neuron's activations with a tag beside each: the heart of the CPU path.

Words are ``key | tag``: 32 bits for 16-bit floats, sorted in two passes of 8 bits, or 64 bits for
float32, in three of 11. The sort is stable and descending, about 4 ns an activation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .keys import FloatFormat, bit_view
from .numba_jit import compiled

Array = NDArray[Any]
_TILE_BYTES = 1 << 20
_u32, _u64 = np.uint32, np.uint64


class TaggedSentences(NamedTuple):
    """What all rows share: the order in which to read sentences, and the tag of each."""

    sentences: Array
    tags: Array
    form: FloatFormat


def tag_sentences(sentences: Array, tags: Array, form: FloatFormat) -> TaggedSentences:
    """Bring tags to the type of the words."""
    return TaggedSentences(
        sentences.astype(np.uint32), tags.astype(np.uint32 if form.width == 16 else np.uint64), form
    )


def tiles(rows: Tensor) -> tuple[Array, int]:
    """Bits of ``[neuron, sentence]`` rows, and how many rows make a tile that fits the cache."""
    bits = bit_view(rows)
    return bits, int(np.clip(_TILE_BYTES // (bits.itemsize * bits.shape[1]), 16, 128))


def contiguous(bits: Array) -> Array:
    """The same rows, contiguous but for their padding."""
    if bits.flags.c_contiguous:
        return bits
    lines = bits.shape[1] * bits.itemsize // 64 + 1
    # An odd number of cache lines a row: the writes of one sentence never share a cache set.
    tile = np.empty((len(bits), (lines | 1) * 64 // bits.itemsize), bits.dtype)
    _copy(bits, tile)
    return tile


@compiled
def _copy(bits: Array, tile: Array) -> None:
    for i in range(bits.shape[1]):
        for row in range(bits.shape[0]):
            tile[row, i] = bits[row, i]


@compiled
def flip(bits: Any, form: FloatFormat) -> Any:
    """Bits to descending key and back. No branch: the sign of an activation is hard to predict."""
    positive = (_u32(bits) >> _u32(form.width - 1)) - _u32(1)
    return _u32(bits) ^ (positive & _u32(form.sign - 1))


@compiled
def key_of(bits: Any, form: FloatFormat) -> Any:
    """Bits to descending key, -0.0 folded onto +0.0."""
    b = _u32(bits)
    return flip(b * _u32(b != _u32(form.sign)), form)


@compiled
def value(bits: Any, form: FloatFormat) -> Any:
    """The number of these bits, as float32."""
    magnitude = (bits & _u32(form.sign - 1)) << _u32(form.shift)
    sign = (bits & _u32(form.sign)) << _u32(32 - form.width)
    return _u32(magnitude | sign).view(np.float32) * np.float32(form.scale)


@compiled
def sort16(bits: Array, tagged: TaggedSentences, words: Array, spare: Array) -> bool:
    """Fill ``words`` in descending order of activation; tell whether all are finite."""
    low, high = np.zeros(256, np.uint32), np.zeros(256, np.uint32)
    finite, exponent = True, _u32(tagged.form.exponent)
    for i in range(len(words)):
        b = _u32(bits[tagged.sentences[i]])
        finite &= (b & exponent) != exponent
        key = flip(b * _u32(b != _u32(0x8000)), tagged.form)
        low[key & _u32(0xFF)] += _u32(1)
        high[key >> _u32(8)] += _u32(1)
        words[i] = key << _u32(16) | tagged.tags[i]
    _scatter(words, spare, low, _u32(16), _u32(0xFF))
    _scatter(spare, words, high, _u32(24), _u32(0xFF))
    return finite


@compiled
def sort32(bits: Array, tagged: TaggedSentences, words: Array, spare: Array) -> bool:
    """The same for float32: three digits, so the words start in ``spare``."""
    low, middle = np.zeros(2048, np.uint32), np.zeros(2048, np.uint32)
    high = np.zeros(1024, np.uint32)
    finite, exponent = True, _u32(tagged.form.exponent)
    for i in range(len(words)):
        b = bits[tagged.sentences[i]]
        finite &= (b & exponent) != exponent
        key = flip(b * _u32(b != _u32(0x80000000)), tagged.form)
        low[key & _u32(0x7FF)] += _u32(1)
        middle[key >> _u32(11) & _u32(0x7FF)] += _u32(1)
        high[key >> _u32(22)] += _u32(1)
        spare[i] = _u64(key) << _u64(32) | tagged.tags[i]
    _scatter(spare, words, low, _u64(32), _u64(0x7FF))
    _scatter(words, spare, middle, _u64(43), _u64(0x7FF))
    _scatter(spare, words, high, _u64(54), _u64(0x3FF))
    return finite


@compiled
def _scatter(source: Array, target: Array, counts: Array, shift: Any, mask: Any) -> None:
    """One stable pass; ``counts`` becomes the position of each digit's next word."""
    start = _u32(0)
    for digit in range(len(counts)):
        count = counts[digit]
        counts[digit] = start
        start += count
    for i in range(len(source)):
        word = source[i]
        digit = word >> shift & mask
        target[counts[digit]] = word
        counts[digit] += _u32(1)
