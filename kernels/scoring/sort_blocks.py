"""Where sentences wait to be ordered within their class: blocks of a power of two.

A sorting network orders aligned blocks of slots, all at once. Classes share a block as long as
they fit and as their numbers within it still share a 16-bit word with a rank; what is left of a
block is padding. Small classes take small blocks: a network of half the width has fewer stages.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FORMS = ((6, 6), (10, 7), (10, 10), (12, 12), (13, 13))
"""Base-2 logarithms of the slots that one program orders at a time and of their blocks."""


class ClassLayout(NamedTuple):
    """Where every sentence of every class goes.

    ``slots`` is the slot of each sentence, class by class. By slot: ``codes`` are the class numbers
    to add to both ranks of a word, ``stops`` the end of the class within its tile (0 for padding).
    By class: ``starts`` within its tile. ``tiles`` counts the classes before each tile.
    """

    form: tuple[int, int]
    slots: NDArray[np.int32]
    codes: NDArray[np.int32]
    stops: NDArray[np.int32]
    starts: NDArray[np.int32]
    tiles: NDArray[np.int32]


def lay_out(counts: NDArray[np.int64], n_sentences: int) -> ClassLayout:
    """Lay classes of these sizes out in the cheapest form."""
    form = choose(counts, n_sentences)
    tile, block = 1 << form[0], 1 << form[1]
    at, code = _fill(counts, block, _codes(n_sentences))
    n_tiles = int(at[-1]) // tile + 1
    slots = np.repeat(at - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    words = np.full(n_tiles * tile, 0xFFFFFFFF, np.uint32)
    words[slots] = np.repeat(code << _bits(n_sentences), counts) * 0x10001
    stops = np.zeros(n_tiles * tile, np.int32)
    stops[slots] = np.repeat(at % tile + counts, counts)
    tiles = np.searchsorted(at, np.arange(n_tiles + 1) * tile)
    return ClassLayout(
        form,
        slots.astype(np.int32),
        words.view(np.int32),
        stops,
        (at % tile).astype(np.int32),
        tiles.astype(np.int32),
    )


def choose(counts: NDArray[np.int64], n_sentences: int) -> tuple[int, int]:
    """The form that orders classes of these sizes with the fewest instructions.

    >>> choose(np.array([1024] * 4), 4096), choose(np.array([40] * 100), 4000)
    ((10, 10), (10, 7))
    >>> choose(np.array([1000, 3000]), 4000), choose(np.array([20, 20]), 40)
    ((12, 12), (6, 6))
    """
    fitting = [form for form in FORMS if counts.max() <= 1 << form[1]]
    return min(fitting, key=lambda form: _cost(form, counts, n_sentences))


def _cost(form: tuple[int, int], counts: NDArray[np.int64], n_sentences: int) -> float:
    """Instructions: a level of the network takes about 3 a slot, all that follows about 100."""
    tile, block = form
    last = int(_fill(counts, 1 << block, _codes(n_sentences))[0][-1])
    return (last // (1 << tile) + 1) * (1 << tile) * (1.5 * block * (block + 1) + 100)


def _fill(
    counts: NDArray[np.int64], block: int, codes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First slot of every class, and its number within its block."""
    at, code = np.zeros_like(counts), np.zeros_like(counts)
    slot, number = 0, 0
    for c, count in enumerate(counts.tolist()):
        if slot % block + count > block or number == codes:
            slot = -(-slot // block) * block
        if slot % block == 0:
            number = 0
        at[c], code[c] = slot, number
        slot, number = slot + count, number + 1
    return at, code


def _bits(n_sentences: int) -> int:
    return (n_sentences - 1).bit_length()


def _codes(n_sentences: int) -> int:
    return 1 << 16 - _bits(n_sentences)
