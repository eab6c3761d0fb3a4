"""Edges between bins: where they stand, and which bins hold one value only."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..common.checks import check_activations, refuse_not_finite

__all__ = ["linear_edges", "quantile_edges"]


def linear_edges(low: float, high: float, n_bins: int) -> Float[Tensor, "edge"]:
    """Edges of ``n_bins`` bins: equal ones from ``low`` to ``high``, the outer two open; float32.

    Raises:
        ValueError: If low is not below high, one is no float32, or there is no bin.

    >>> linear_edges(0.0, 3.0, 3).tolist()
    [1.0, 2.0]
    """
    largest = torch.finfo(torch.float32).max
    if not -largest <= low < high <= largest or n_bins < 1:
        raise ValueError(
            f"expected float32 numbers low < high and at least one bin, got {low}, {high}, {n_bins}"
        )
    share = torch.arange(1, n_bins, dtype=torch.float64) / n_bins
    return (low + (high - low) * share).float()


def quantile_edges(
    sample: Float[Tensor, "sentence neuron"], n_bins: int
) -> Float[Tensor, "neuron edge"]:
    """Edges of ``n_bins`` bins with equally many of each neuron's sample in each.

    Where a value fills more than one bin, as zeros do behind a ReLU, it gets a bin of its own that
    ends at the next float32, so that its ties are scored exactly. Sampling the smaller class is
    best: its steps are the larger ones.

    Raises:
        ValueError: An empty sample, an unsuitable type or shape, NaN or infinity, no bins.

    >>> quantile_edges(torch.tensor([[4.0], [1.0], [2.0], [3.0]]), 4).tolist()
    [[2.0, 3.0, 4.0]]
    """
    check_activations(sample)
    if not len(sample) or n_bins < 1:
        raise ValueError(
            f"expected a sentence and a bin at least, got a sample of {len(sample)} and {n_bins}"
        )
    refuse_not_finite(sample)
    ordered = sample.detach().T.float().sort(dim=1).values
    cuts = torch.arange(1, n_bins, device=sample.device) * len(sample) // n_bins
    edges = ordered[:, cuts]
    again = torch.zeros_like(edges, dtype=torch.bool)
    again[:, 1:] = edges[:, 1:] == edges[:, :-1]
    # Above the largest float32 there is none: values that fill the last bin need no edge after it.
    return torch.where(again & (edges < torch.finfo(torch.float32).max), _next(edges), edges)


def checked_edges(edges: Tensor, n_neurons: int) -> Float[Tensor, "*neuron edge"]:
    """A float32 copy of edges that ascend and are as many rows as neurons, or one for all."""
    if edges.ndim not in (1, 2) or not edges.is_floating_point():
        raise ValueError(
            f"expected edges [edge] or [neuron, edge] of floating point, got {edges.dtype} of "
            f"shape {tuple(edges.shape)}"
        )
    if edges.ndim == 2 and len(edges) != n_neurons:
        raise ValueError(f"expected edges of {n_neurons} neurons, got {len(edges)}")
    found = edges.detach().float().clone().contiguous()
    if not found.isfinite().all() or (found.diff(dim=-1) < 0).any():
        raise ValueError("expected finite edges in ascending order: sort them")
    return found


def _next(edges: Tensor) -> Tensor:
    return torch.nextafter(edges, torch.full_like(edges, float("inf")))


def single_valued(edges: Float[Tensor, "*neuron edge"]) -> Bool[Tensor, "*neuron bin"]:
    """Which bins hold one float32 only."""
    inner = edges[..., 1:] == _next(edges[..., :-1])
    outer = (1, edges.shape[-1] - inner.shape[-1])
    return torch.nn.functional.pad(inner, outer, value=False)
