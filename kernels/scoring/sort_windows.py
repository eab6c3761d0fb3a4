"""Where sentences wait to be ordered within their class: windows of a power of two.

A sorting network orders aligned windows of slots, all at once. Classes share a window as long as
they fit and as their numbers within it still share a 16-bit word with a rank; what is left of a
window is padding. Small classes take small windows: a network of half the width has fewer stages.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FORMS = ((6, 6), (10, 7), (10, 10), (12, 12), (13, 13))
"""Base-2 logarithms of the slots that one program orders at a time and of their windows."""


class Windows(NamedTuple):
    """Classes laid out in windows.

    ``slots`` places the sentences, class by class. By slot: ``codes`` are the class numbers to add
    to both ranks of a word, ``stops`` the end of the class within its tile (0 for padding). By
    class: ``starts`` within its tile. ``tiles`` counts the classes before each tile.
    """

    form: tuple[int, int]
    slots: NDArray[np.int32]
    codes: NDArray[np.int32]
    stops: NDArray[np.int32]
    starts: NDArray[np.int32]
    tiles: NDArray[np.int32]


def lay_out(counts: NDArray[np.int64], n_sentences: int) -> Windows:
    """Lay classes of these sizes out in the cheapest form."""
    form = choose(counts, n_sentences)
    tile, window = 1 << form[0], 1 << form[1]
    at, code = _fill(counts, window, _codes(n_sentences))
    n_tiles = int(at[-1]) // tile + 1
    slots = np.repeat(at - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    words = np.full(n_tiles * tile, 0xFFFFFFFF, np.uint32)
    words[slots] = np.repeat(code << _bits(n_sentences), counts) * 0x10001
    stops = np.zeros(n_tiles * tile, np.int32)
    stops[slots] = np.repeat(at % tile + counts, counts)
    tiles = np.searchsorted(at, np.arange(n_tiles + 1) * tile)
    return Windows(
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
    tile, window = form
    last = int(_fill(counts, 1 << window, _codes(n_sentences))[0][-1])
    return (last // (1 << tile) + 1) * (1 << tile) * (1.5 * window * (window + 1) + 100)


def _fill(
    counts: NDArray[np.int64], window: int, codes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First slot of every class, and its number within its window."""
    at, code = np.zeros_like(counts), np.zeros_like(counts)
    place, number = 0, 0
    for c, count in enumerate(counts.tolist()):
        if place % window + count > window or number == codes:
            place = -(-place // window) * window
        if place % window == 0:
            number = 0
        at[c], code[c] = place, number
        place, number = place + count, number + 1
    return at, code


def _bits(n_sentences: int) -> int:
    return (n_sentences - 1).bit_length()


def _codes(n_sentences: int) -> int:
    return 1 << 16 - _bits(n_sentences)
