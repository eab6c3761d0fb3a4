"""A saved state of streaming scores, which anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..common.checks import check_activations, check_state, refuse_not_finite
from .negative_counts import NegativeCounts, check_totals


def checked_state(state: Mapping[str, Tensor]) -> tuple[NegativeCounts, int]:
    """The counts of a state and the number of negatives.

    Raises:
        ValueError: Tensors that are missing, do not fit each other, or no activations give.
    """
    check_state(state, (*NegativeCounts._fields, "n_negatives"))
    counted = NegativeCounts(*(state[name] for name in NegativeCounts._fields))
    total = state["n_negatives"]
    check_activations(counted.positives)
    n_neurons, n_positives = counted.positives.shape
    shapes = [tuple(part.shape) for part in (counted.counts, counted.ties, total)]
    types = [part.dtype for part in (counted.counts, counted.ties, total)]
    right = [(n_neurons, n_positives + 1), (n_neurons,), ()]
    if not n_positives or shapes != right or types != [torch.int32, torch.int64, torch.int64]:
        raise ValueError(
            f"expected counts ({n_neurons}, {n_positives + 1}) of int32, ties ({n_neurons},) "
            f"and n_negatives () of int64 beside positives {tuple(counted.positives.shape)}, "
            f"got shapes {shapes} of {types}"
        )
    refuse_not_finite(counted.positives.T)
    ordered = (counted.positives[:, 1:] <= counted.positives[:, :-1]).all()
    if not ordered or (counted.counts < 0).any() or (counted.ties < 0).any():
        raise ValueError("expected descending positives and counts of 0 and above, got others")
    check_totals(counted.counts.sum(1), int(total))
    _check_possible(counted)
    return counted, int(total)


def _check_possible(counted: NegativeCounts) -> None:
    """Refuse counts that no negatives give: inside a run of ties, or fewer than the pairs that tie.

    A negative with ``j`` positives above it ties with the run of equal ones that starts there.
    """
    positives, counts = counted.positives.float(), counted.counts.long()
    starts = torch.ones_like(counts, dtype=torch.bool)
    starts[:, 1:-1] = positives[:, 1:] < positives[:, :-1]
    places = torch.arange(counts.shape[1], device=counts.device).expand_as(counts)
    later = torch.where(starts, places, counts.shape[1] - 1)[:, 1:].flip(1).cummin(1).values.flip(1)
    runs = later - places[:, :-1]
    if ((counts > 0) & ~starts).any() or (counted.ties > (counts[:, :-1] * runs).sum(1)).any():
        raise ValueError(
            "expected negatives between runs of equal positives, and ties of those alone, got "
            "counts that no activations give: start again from a saved state"
        )
