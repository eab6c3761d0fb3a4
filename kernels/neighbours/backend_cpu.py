"""Nearest neighbours in plain torch, tile by tile, on any device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..common.precision import full_float32
from .local_scaling import LocalScaling
from .packed_keys import pack, unpack

_ROWS, _COLUMNS = 1024, 8192  # a tile of 32 MB


def search(
    x: Float[Tensor, "query d"],
    y: Float[Tensor, "candidate d"],
    width: int,
    scaling: LocalScaling | None,
) -> tuple[Int[Tensor, "query width"], Float[Tensor, "query width"]]:
    """Multiply tiles and keep the best keys of each row."""
    best = torch.empty(len(x), width, dtype=torch.int64, device=x.device)
    with full_float32(x.device):
        for rows in _tiles(len(x), _ROWS):
            keys = best.new_empty(rows.stop - rows.start, 0)
            for columns in _tiles(len(y), _COLUMNS):
                score = x[rows] @ y[columns].T
                score = score if scaling is None else scaling.part(rows, columns)(score)
                keys = torch.cat([keys, _best_keys(score, columns, width)], 1)
                keys = keys.topk(min(width, keys.shape[1]), dim=1).values
            best[rows] = keys
    return unpack(best)


def _best_keys(
    score: Float[Tensor, "query column"], columns: slice, width: int
) -> Int[Tensor, "query width"]:
    kept = min(width, score.shape[1])
    top = score.topk(min(width + 1, score.shape[1]), dim=1)
    keys = pack(top.values[:, :kept], columns.start + top.indices[:, :kept])
    # torch.topk keeps any of the equal scores at the cut: choose by index in those rows.
    crowded = (top.values[:, kept:] == top.values[:, kept - 1 : kept]).any(1)
    if crowded.any():
        index = torch.arange(columns.start, columns.stop, device=score.device)
        keys[crowded] = pack(score[crowded], index).topk(kept, dim=1).values
    return keys


def _tiles(length: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, length)) for first in range(0, length, size))
