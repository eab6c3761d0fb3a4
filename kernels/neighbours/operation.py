"""Nearest neighbours between two sets of embeddings, tile by tile: the full matrix never exists.

Floor: one matrix product, ``2·n·m·d`` operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.backends import DTYPES, Backend, ChosenBackend, choose_backend
from .local_scaling import TIE, LocalScaling
from .rescoring import rescored

__all__ = ["Neighbours", "neighbours"]

Search = Callable[[Tensor, Tensor, int, "LocalScaling | None"], "tuple[Tensor, Tensor]"]
Metric = Literal["cosine", "margin", "difference", "csls"]

_NEIGHBOURHOOD = {"cosine": 0, "margin": 4, "difference": 4, "csls": 10}
_SPARE, _KEPT = 7, 32
"""Candidates kept beyond those asked for, where a kernel has room for them."""
_CACHED, _LAUNCHED = 1 << 17, 1 << 23
"""Elements normalised at a time: what fits the cache of a core, what keeps a GPU busy."""


@dataclass(frozen=True)
class Neighbours:
    """The k best rows of y for each row of x, best first; equal scores by ascending index.

    ``tied`` marks a neighbour whose exact score is within 1e-6 of the next better or next worse
    one, the first that was left out included: its rank is not to be relied on.
    """

    index: Int[Tensor, "query k"]
    score: Float[Tensor, "query k"]
    tied: Bool[Tensor, "query k"]


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

    The search multiplies in float32; what it finds is scored again in float64, and a whole row
    where float32 cannot tell the last of them from the next. So scores are exact scores rounded
    once, and the order is that of float64 with equal scores by index. No gradient passes.

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
    chosen = choose_backend(backend, x)
    search = _backend(chosen)
    dtype = torch.float64 if chosen == "reference" else torch.float32
    sides = _Side(x.detach(), "x", dtype), _Side(y.detach(), "y", dtype)
    scaling = None
    if metric != "cosine":
        scaling = _scaling(*sides, metric, neighbourhood or _NEIGHBOURHOOD[metric], search)
    # One more than asked for, to see whether the last one is tied with it.
    index, score = _search(*sides, min(k + 1, len(y)), scaling, search)
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
    elements = _CACHED if x.device.type == "cpu" else _LAUNCHED
    step = max(1, elements // max(1, x.shape[1]))
    for rows in (slice(first, first + step) for first in range(0, len(x), step)):
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


class _Side:
    """Embeddings as they came, and of unit length as a search takes them."""

    def __init__(self, rows: Float[Tensor, "row d"], name: str, dtype: torch.dtype) -> None:
        self.rows, self.unit = rows, _unit(rows, name, dtype)


def _search(
    x: _Side, y: _Side, k: int, scaling: LocalScaling | None, search: Search
) -> tuple[Int[Tensor, "query k"], Float[Tensor, "query k"]]:
    """Index and float64 score of the best k candidates."""
    width = min(max(k, min(k + _SPARE, _KEPT)), len(y.rows))
    near = scaling if scaling is None or x.unit.dtype == torch.float64 else scaling.rounded()
    return rescored(x.rows, y.rows, search(x.unit, y.unit, width, near), k, scaling)


def _scaling(
    x: _Side, y: _Side, metric: Metric, neighbourhood: int, search: Search
) -> LocalScaling:
    r_x = _search(x, y, neighbourhood, None, search)[1].mean(1)
    r_y = _search(y, x, neighbourhood, None, search)[1].mean(1)
    if metric == "margin" and r_x.min() + r_y.min() <= 0:
        raise ValueError(
            "a margin's denominator (r_x + r_y)/2 must be positive, got "
            f"{float(r_x.min() + r_y.min()) / 2:.3g}: use metric='difference', "
            "as for centred embeddings"
        )
    return LocalScaling(metric == "margin", r_x, r_y)


def _backend(chosen: ChosenBackend) -> Search:
    """What finds the best candidates of each query."""
    if chosen == "triton":
        from .backend_triton import search as search_triton

        return search_triton
    if chosen == "reference":
        from .backend_reference import search as search_reference

        return search_reference
    from .backend_cpu import search

    return search
