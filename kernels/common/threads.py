"""Rows are independent: pieces of them run on as many threads as torch has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


def in_threads(run: Callable[[_Piece], _Result], pieces: Sequence[_Piece]) -> list[_Result]:
    """``run`` of every piece, in order; ``run`` releases the GIL, as compiled kernels do.

    One thread, or one piece, needs no pool: starting one takes as long as scoring a hundred rows.
    """
    threads = min(torch.get_num_threads(), len(pieces))
    if threads < 2:
        return [run(piece) for piece in pieces]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, pieces))


def first_bad(run: Callable[[_Piece], int], pieces: Sequence[_Piece]) -> int:
    """``run`` every piece; the first row that any of them complains of, or -1."""
    return next((bad for bad in in_threads(run, pieces) if bad >= 0), -1)
