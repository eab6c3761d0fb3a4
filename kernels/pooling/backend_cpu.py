"""Pooling in plain torch, on any device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def pool(
    z: Float[Tensor, "batch token neuron"],
    mask: Bool[Tensor, "batch token"],
    outs: Mapping[str, Tensor],
) -> None:
    """Reduce the columns that are real in every sentence as they stand, and mask only the rest.

    Batches hold sentences of similar length, so the masked copy is small.
    """
    columns = _columns(mask)
    real = mask.to(z.device)
    for how, out in outs.items():
        if how == "max":
            pooled = _reduce(z, real, columns, (torch.amax, torch.maximum, -torch.inf))
        elif how == "mean":
            pooled = _mean(z, real, columns, torch.float32)
            if not (finite := pooled.isfinite()).all():  # a sum may overflow where no mean does
                pooled = pooled.where(finite, _mean(z, real, columns, torch.float64).float())
        else:
            last = mask.shape[1] - 1 - real.flip(1).int().argmax(1)
            pooled = z[torch.arange(len(z), device=z.device), last]
        out.copy_(pooled.T)


def _columns(mask: Tensor) -> tuple[slice, tuple[slice, ...]]:
    """A run of columns real in every sentence (maybe empty), and the other columns in use."""
    everywhere, somewhere = mask.all(0).tolist(), mask.any(0).tolist()
    first, last = somewhere.index(True), len(somewhere) - somewhere[::-1].index(True)
    start = everywhere.index(True) if True in everywhere else first
    stop = start
    while stop < last and everywhere[stop]:
        stop += 1
    edges = tuple(slice(*edge) for edge in ((first, start), (stop, last)) if edge[0] < edge[1])
    return slice(start, stop), edges


def _reduce(
    z: Tensor,
    real: Tensor,
    columns: tuple[slice, tuple[slice, ...]],
    fold: tuple[Callable[[Tensor, int], Tensor], Callable[[Tensor, Tensor], Tensor], float],
) -> Tensor:
    (core, edges), (reduce, join, neutral) = columns, fold
    parts = [reduce(z[:, core], 1)] if core.start < core.stop else []
    parts += [reduce(torch.where(real[:, e, None], z[:, e], neutral), 1) for e in edges]
    return functools.reduce(join, parts)


def _mean(
    z: Tensor, real: Tensor, columns: tuple[slice, tuple[slice, ...]], dtype: torch.dtype
) -> Tensor:
    total = _reduce(z, real, columns, (functools.partial(torch.sum, dtype=dtype), torch.add, 0.0))
    return total / real.sum(1, dtype=dtype)[:, None]
