"""Nearest neighbours between two sets of embeddings, tile by tile: the full matrix never exists.

Floor: one matrix product, ``2·n·m·d`` operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.backends import DTYPES, Backend, pick_backend

__all__ = ["TIE", "Neighbours", "neighbours"]

Metric = Literal["cosine", "margin", "difference", "csls"]

TIE = 1e-6
"""Scores this close count as tied: float32 cosines are right to about a tenth of it."""

_NEIGHBOURHOOD = {"cosine": 0, "margin": 4, "difference": 4, "csls": 10}
_ROWS, _COLUMNS = 1024, 8192  # a tile of 32 MB
_CACHED = 1 << 17  # elements of float64 that fit the cache of a core


@dataclass(frozen=True)
class Neighbours:
    """The k best rows of y for each row of x, best first; equal scores by ascending index.

    ``tied`` marks a neighbour whose score is within 1e-6 of the next better or next worse one, the
    first that was left out included: its place is not to be relied on.
    """

    index: Int[Tensor, "query k"]
    score: Float[Tensor, "query k"]
    tied: Bool[Tensor, "query k"]


@dataclass(frozen=True)
class Bend:
    """What turns a cosine into a score: the mean cosine of each row's nearest neighbours."""

    ratio: bool
    x: Float[Tensor, "query"]
    y: Float[Tensor, "candidate"]

    def __call__(self, cosine: Tensor, rows: slice, columns: slice) -> Tensor:
        """Score a tile of cosines."""
        level = (self.x[rows, None] + self.y[None, columns]) / 2
        return cosine / level if self.ratio else cosine - level


def neighbours(
    x: Float[Tensor, "query d"],
    y: Float[Tensor, "candidate d"],
    *,
    k: int = 10,
    metric: Metric = "cosine",
    neighbourhood: int | None = None,
    backend: Backend = "auto",
) -> Neighbours:
    r"""Find the k rows of ``y`` nearest to each row of ``x``.

    With $c$ the cosine, $r_x$ the mean cosine of ``x`` to its nearest rows of ``y`` and $r_y$ that
    of ``y`` to its nearest rows of ``x``, ``neighbourhood`` of them, the score is

    $c$ (``cosine``), $c / \frac{r_x + r_y}{2}$ (``margin``), $c - \frac{r_x + r_y}{2}$
    (``difference``, for embeddings whose $r$ may be negative, as after centring) or
    $2c - r_x - r_y$ (``csls``).

    Cosines are float32, right to about 1e-7; the order is that of the exact scores wherever these
    are more than 1e-6 apart (for ``margin``: times the denominator). No gradient passes.

    Args:
        x: Queries, bfloat16, float16 or float32.
        y: Candidates.
        k: Neighbours for each query, up to the number of candidates.
        metric: The score.
        neighbourhood: Neighbours that make $r$: 4 if not given, 10 for ``csls``.
        backend: ``"auto"``, ``"triton"`` (k up to 31, the CPU path's plain torch beyond), ``"cpu"``
            or ``"reference"``.

    Raises:
        ValueError: If a row is zero or not finite (it is named), a margin's denominator is not
            positive, or k, the neighbourhood, a shape or a dtype does not fit.

    Source: margin: Artetxe and Schwenk 2019, section 4; CSLS: Conneau et al. 2018, section 2.3.

    Example:
        >>> found = neighbours(torch.eye(3), torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.1, 0.0]]), k=1)
        >>> found.index.flatten().tolist(), found.tied.flatten().tolist()
        ([1, 0, 0], [False, False, True])
    """
    _check(x, y, k, metric, neighbourhood)
    chosen = pick_backend(backend, x)
    dtype = torch.float64 if chosen == "reference" else torch.float32
    x, y = _unit(x.detach(), "x", dtype), _unit(y.detach(), "y", dtype)
    bend = None if metric == "cosine" else _bend(x, y, metric, neighbourhood, chosen)
    # One more than asked for, to see whether the last one is tied with it.
    index, score = _SEARCH[chosen](x, y, min(k + 1, len(y)), bend)
    score = 2 * score if metric == "csls" else score
    close = score[:, :-1] - score[:, 1:] <= TIE
    no = close.new_zeros(len(x), 1)
    tied = torch.cat([close, no], 1)[:, :k] | torch.cat([no, close], 1)[:, :k]
    return Neighbours(index[:, :k], score[:, :k].float(), tied)


def _check(x: Tensor, y: Tensor, k: int, metric: str, neighbourhood: int | None) -> None:
    for name, z in (("x", x), ("y", y)):
        if z.ndim != 2 or z.dtype not in DTYPES or z.shape[1] != x.shape[1]:
            raise ValueError(
                f"{name} must be [row, d] of bfloat16, float16 or float32, with one d for both, "
                f"got {list(z.shape)} of {z.dtype}"
            )
    if x.device != y.device:
        raise ValueError(f"x and y must be on one device, got {x.device} and {y.device}")
    if metric not in get_args(Metric):
        raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, got {metric!r}")
    if not 0 <= k <= len(y):
        raise ValueError(f"k must be in 0..{len(y)}, the number of candidates, got {k}")
    most = 0 if metric == "cosine" else min(len(x), len(y))
    size = _NEIGHBOURHOOD[metric] if neighbourhood is None else neighbourhood
    if not (metric != "cosine") <= size <= most:
        raise ValueError(
            f"neighbourhood must be in 1..{most} for {metric!r} of {len(x)} queries and {len(y)} "
            f"candidates (and not given for 'cosine'), got {size}"
        )


def _unit(x: Float[Tensor, "row d"], name: str, dtype: torch.dtype) -> Float[Tensor, "row d"]:
    """Divide each row by its norm, in float64, rounded once."""
    unit = torch.empty(x.shape, dtype=dtype, device=x.device)
    norm = torch.empty(len(x), 1, dtype=torch.float64, device=x.device)
    # On a CPU what is widened stays in its cache; a GPU wants few launches.
    elements = _CACHED if x.device.type == "cpu" else _ROWS * _COLUMNS
    for rows in _tiles(len(x), max(1, elements // max(1, x.shape[1]))):
        wide = x[rows].double()
        torch.linalg.vector_norm(wide, dim=1, keepdim=True, out=norm[rows])
        unit[rows] = wide.div_(norm[rows])
    usable = (norm > 0) & norm.isfinite()
    if not usable.all():
        row = int(usable.int().argmin())
        raise ValueError(
            f"row {row} of {name} has norm {float(norm[row])}: "
            "a cosine needs finite rows that are not zero"
        )
    return unit


def _bend(x: Tensor, y: Tensor, metric: str, neighbourhood: int | None, chosen: str) -> Bend:
    size = _NEIGHBOURHOOD[metric] if neighbourhood is None else neighbourhood
    r_x = _SEARCH[chosen](x, y, size, None)[1].mean(1)
    r_y = _SEARCH[chosen](y, x, size, None)[1].mean(1)
    if metric == "margin" and r_x.min() + r_y.min() <= 0:
        raise ValueError(
            "a margin's denominator (r_x + r_y)/2 must be positive, got "
            f"{float(r_x.min() + r_y.min()) / 2:.3g}: use metric='difference', "
            "as for centred embeddings"
        )
    return Bend(ratio=metric == "margin", x=r_x, y=r_y)


def _tiles(length: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, length)) for first in range(0, length, size))


def _search_reference(x: Tensor, y: Tensor, width: int, bend: Bend | None) -> tuple[Tensor, Tensor]:
    """Sort every row of the full matrix, in float64."""
    score = x @ y.T
    if bend is not None:
        score = bend(score, slice(None), slice(None))
    ordered = score.sort(dim=1, descending=True, stable=True)
    return ordered.indices[:, :width], ordered.values[:, :width]


def _search_cpu(x: Tensor, y: Tensor, width: int, bend: Bend | None) -> tuple[Tensor, Tensor]:
    """Multiply tiles and keep the best keys of each row; plain torch, any device."""
    best = torch.empty(len(x), width, dtype=torch.int64, device=x.device)
    with _full_precision():
        for rows in _tiles(len(x), _ROWS):
            keys = best.new_empty(rows.stop - rows.start, 0)
            for columns in _tiles(len(y), _COLUMNS):
                score = x[rows] @ y[columns].T
                score = score if bend is None else bend(score, rows, columns)
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


def _search_triton(x: Tensor, y: Tensor, width: int, bend: Bend | None) -> tuple[Tensor, Tensor]:
    from .backend_triton import MAX_WIDTH, search

    if width > MAX_WIDTH:
        return _search_cpu(x, y, width, bend)
    return unpack(search(x, y, width, bend))


_SEARCH = {"triton": _search_triton, "cpu": _search_cpu, "reference": _search_reference}


@contextmanager
def _full_precision() -> Iterator[None]:
    """Multiply float32 as float32: a caller may have allowed TF32 or bfloat16 for speed."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def pack(score: Float[Tensor, "*shape"], index: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """One int64 that sorts as (score, descending index); -0.0 becomes +0.0."""
    bits = (score + 0.0).view(torch.int32).long()
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)) << 32 | (0xFFFFFFFF - index)


def unpack(key: Int[Tensor, "*shape"]) -> tuple[Int[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Index and score of packed keys."""
    bits = key >> 32
    score = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).int().view(torch.float32)
    return 0xFFFFFFFF - (key & 0xFFFFFFFF), score
