"""From the activations of a sentence's tokens to one value a neuron, over the real tokens alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mechsteer.errors import MechsteerError

Pooling = Literal["max", "mean", "last"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


@dataclass(frozen=True)
class RealTokens:
    """Which tokens of a batch are real, and which columns can be pooled without asking.

    Batches hold sentences of similar length, so nearly every column is real in every sentence.
    Reducing that core as it stands, and masking only its ragged edges, spares the copy of the whole
    activation that a masked reduction makes.

    ``core`` is a run of columns in which every sentence has a real token (maybe empty), ``edges``
    the other columns in which some sentence has one.
    """

    mask: Bool[Tensor, "sentence token"]
    core: slice
    edges: tuple[slice, ...]

    @classmethod
    def of(cls, mask: Bool[Tensor, "sentence token"]) -> RealTokens:
        """Find the core and the edges of a mask on the CPU."""
        everywhere, somewhere = mask.all(0).tolist(), mask.any(0).tolist()
        first, last = somewhere.index(True), len(somewhere) - somewhere[::-1].index(True)
        start = everywhere.index(True) if True in everywhere else first
        stop = start
        while stop < last and everywhere[stop]:
            stop += 1
        edges = tuple(slice(*edge) for edge in ((first, start), (stop, last)) if edge[0] < edge[1])
        return cls(mask, slice(start, stop), edges)

    def to(self, device: torch.device) -> RealTokens:
        """The same on another device."""
        return RealTokens(self.mask.to(device), self.core, self.edges)


def pool(
    z: Float[Tensor, "sentence token neuron"], real: RealTokens, how: Pooling
) -> Shaped[Tensor, "sentence neuron"]:
    """Pool activations over the real tokens of each sentence.

    ``max`` and ``last`` (the last real token) keep the dtype, so they lose nothing; ``mean`` is
    summed and returned in float32. What stands at other tokens never enters, be it NaN.

    Raises:
        MechsteerError: unknown pooling.
    """
    real = real.to(z.device)
    if how == "max":
        return _reduce(z, real, torch.amax, torch.maximum, -torch.inf)
    if how == "mean":
        return (
            _reduce(z, real, _sum, torch.add, 0.0) / real.mask.sum(1, dtype=torch.float32)[:, None]
        )
    if how == "last":
        last = real.mask.shape[1] - 1 - real.mask.flip(1).int().argmax(1)
        return z[torch.arange(len(z), device=z.device), last]
    raise MechsteerError(f"unknown pooling {how!r}: expected one of {', '.join(POOLINGS)}")


def _reduce(
    z: Tensor,
    real: RealTokens,
    reduce: Callable[[Tensor, int], Tensor],
    join: Callable[[Tensor, Tensor], Tensor],
    neutral: float,
) -> Tensor:
    parts = [] if real.core.start == real.core.stop else [reduce(z[:, real.core], 1)]
    for edge in real.edges:
        filled = torch.where(real.mask[:, edge, None], z[:, edge], neutral)
        parts.append(reduce(filled, 1))
    whole = parts[0]
    for part in parts[1:]:
        whole = join(whole, part)
    return whole


def _sum(z: Tensor, dim: int) -> Tensor:
    return z.sum(dim, dtype=torch.float32)
