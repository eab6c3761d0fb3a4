"""Nearest neighbours in Triton: a tile of cosines stays in registers, a row keeps its best."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..common.triton_launch import Launch, jit, tl
from . import backend_cpu
from .local_scaling import LocalScaling
from .packed_keys import unpack

__all__ = ["LAUNCHES", "search"]

MAX_WIDTH = 32
_PROGRAMS = 1024  # enough to fill any GPU several times over


@jit
def _key(score: tl.tensor, index: tl.tensor) -> tl.tensor:
    """The int64 of ``packed_keys.pack``."""
    bits = (score + 0.0).to(tl.int32, bitcast=True)
    ordered = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.int64)
    return (ordered << 32) | (0xFFFFFFFF - index.to(tl.int64))


@jit
def _score(key: tl.tensor) -> tl.tensor:
    bits = (key >> 32).to(tl.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True)


@jit
def _search_kernel(  # noqa: PLR0917
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    level_x_ptr: tl.tensor,
    level_y_ptr: tl.tensor,
    key_ptr: tl.tensor,
    n_query: tl.tensor,
    n_candidate: tl.tensor,
    d: tl.tensor,
    width: tl.tensor,
    n_split: tl.tensor,
    per_split: tl.tensor,
    SCALING: tl.constexpr,
    KEEP: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> None:
    """Search a share of the candidates for ROWS queries. SCALING: 0 none, 1 difference, 2 ratio."""
    split = tl.program_id(1)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    x_row = x_ptr + row.to(tl.int64)[:, None] * d
    # Distinct keys: -inf in the slots to fill, +inf in those beyond, which nothing replaces.
    slot = tl.arange(0, KEEP)[None, :]
    empty = tl.where(slot < width, float("-inf"), float("inf"))
    best = _key(tl.broadcast_to(empty, [ROWS, KEEP]), slot)
    worst = tl.min(best, 1)
    stop = tl.minimum((split + 1) * per_split, n_candidate)
    for start in range(split * per_split, stop, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        y_row = y_ptr + column.to(tl.int64)[None, :] * d
        score = tl.zeros([ROWS, COLUMNS], tl.float32)
        for depth in range(0, d, DEPTH):
            e = depth + tl.arange(0, DEPTH)
            here = (row < n_query)[:, None] & (e < d)[None, :]
            there = (column < stop)[None, :] & (e < d)[:, None]
            a = tl.load(x_row + e[None, :], mask=here, other=0.0)
            b = tl.load(y_row + e[:, None], mask=there, other=0.0)
            score = tl.dot(a, b, score, input_precision="ieee")
        if SCALING > 0:
            level_x = tl.load(level_x_ptr + row, mask=row < n_query, other=1.0)
            level_y = tl.load(level_y_ptr + column, mask=column < stop, other=1.0)
            level = (level_x[:, None] + level_y[None, :]) / 2
            score = score - level if SCALING == 1 else score / level
        score = tl.where((column < stop)[None, :], score, float("-inf"))
        # Most tiles hold nothing better than what is kept. What is comes out one a row at a time;
        # columns ascend, so a later score that is only equal loses to the earlier index.
        top = tl.max(score, 1)
        while tl.max((top > _score(worst)).to(tl.int32), 0) > 0:
            at = tl.min(tl.where(score == top[:, None], column[None, :], 0x7FFFFFFF), 1)
            key = tl.where(top > _score(worst), _key(top, at), worst)
            best = tl.where(best == worst[:, None], key[:, None], best)
            worst = tl.min(best, 1)
            score = tl.where(column[None, :] == at[:, None], float("-inf"), score)
            top = tl.max(score, 1)
    out = (row.to(tl.int64) * n_split + split)[:, None] * width + slot
    tl.store(key_ptr + out, best, mask=(row < n_query)[:, None] & (slot < width))


_TILE = {"KEEP": MAX_WIDTH, "ROWS": 32, "COLUMNS": 128, "DEPTH": 16}
LAUNCHES = {
    scaling: Launch(
        kernel=_search_kernel,
        pointers={
            "x_ptr": "*fp32",
            "y_ptr": "*fp32",
            "level_x_ptr": "*fp32",
            "level_y_ptr": "*fp32",
            "key_ptr": "*i64",
        },
        constants={"SCALING": scaling} | _TILE,
        num_warps=8,
        dtypes=("fp32",),
    )
    for scaling in (0, 1, 2)
}


def search(
    x: Float[Tensor, "query d"],
    y: Float[Tensor, "candidate d"],
    width: int,
    scaling: LocalScaling | None,
) -> tuple[Int[Tensor, "query width"], Float[Tensor, "query width"]]:
    """Index and score of the best ``width`` candidates of each query, best first.

    More than ``MAX_WIDTH`` are not kept in registers: the CPU path's plain torch finds those.
    """
    if width > MAX_WIDTH:
        return backend_cpu.search(x, y, width, scaling)
    return unpack(_keys(x, y, width, scaling))


def _keys(
    x: Tensor, y: Tensor, width: int, scaling: LocalScaling | None
) -> Int[Tensor, "query width"]:
    """Packed keys, descending; shares of the candidates are merged after."""
    if not (len(x) and width):
        return torch.empty(len(x), width, dtype=torch.int64, device=x.device)
    tiles, columns = -(-len(x) // _TILE["ROWS"]), -(-len(y) // _TILE["COLUMNS"])
    per_split = -(-columns // max(1, _PROGRAMS // tiles)) * _TILE["COLUMNS"]
    splits = -(-len(y) // per_split)
    keys = torch.empty(len(x), splits * width, dtype=torch.int64, device=x.device)
    kind, level_x, level_y = (
        (0, x, y) if scaling is None else (1 + scaling.ratio, scaling.x, scaling.y)
    )
    LAUNCHES[kind].run(
        (tiles, splits),
        *(x, y, level_x.contiguous(), level_y.contiguous(), keys),
        *(len(x), len(y), x.shape[1], width, splits, per_split),
    )
    return keys.topk(width, dim=1).values
