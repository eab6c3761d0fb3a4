"""Bounds on AP and AUROC from counts in bins: opt-in, mergeable, for any number of sentences.

Memory is one count per neuron, bin and class. Floor of an update: one read of the batch, log2(bins)
comparisons and one count changed for each activation. Plain torch on any device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.checks import check_activations, check_state, class_of_each, refuse_not_finite
from .bin_edges import checked_edges, single_valued

__all__ = ["BinnedResult", "BinnedScores", "Bounds"]

_CHUNK_ELEMENTS = 1 << 18
_MAX_SENTENCES = 2**31 - 1  # of a bin: products of two counts fit 64 bits


@dataclass(frozen=True)
class Bounds:
    """Where the exact scores lie, float64, for every class (rows) and neuron (columns)."""

    low: Float[Tensor, "class neuron"]
    high: Float[Tensor, "class neuron"]

    @property
    def estimate(self) -> Float[Tensor, "class neuron"]:
        """The middle of the bounds."""
        return (self.low + self.high) / 2

    @property
    def error(self) -> Float[Tensor, "class neuron"]:
        """How far the exact score can be from the estimate: half the gap."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class BinnedResult:
    """Bounds of both scores."""

    ap: Bounds
    auroc: Bounds


class BinnedScores:
    r"""Lower and upper bounds on the AP and AUROC of every class, from counts in bins.

    From the highest bin down, let a bin hold ``n`` positives and ``m`` negatives, with ``a``
    positives and ``b`` negatives in the bins above it. Its positives add to ``P`` times the AP

    .. math:: n - (b + m) \log\Big(1 + \frac{n}{a + \frac12 + b + m}\Big)
              \;\le\; \sum_i \frac{TP(i)}{TP(i) + FP(i)} \;\le\; n \frac{a + n}{a + n + b}.

    Proof. ``x / (x + F)`` grows with ``x`` and falls with ``F``; ``TP(i) <= a + n`` and
    ``FP(i) >= b`` give the right side, all positives tied at the top of the bin. ``FP(i) <= b + m``
    and ``TP(i) >= a + i`` for the i-th, i = 1 to n, give ``sum (a + i) / (a + i + F)``, F = b + m;
    concave in ``x``, each term is at least its mean over ``a + i ± 1/2``: the integral on the left.

    AUROC lies between none and all of the ``n * m`` pairs within each bin. Where the next float32
    follows an edge as an edge, the bin between them holds one value: all tie, and its bounds meet.
    Bounds hold for any data, up to float64 rounding of about 1e-13; more bins narrow them. Values
    beyond the edges fall into the first and last bin, which have no outer end.

    Args:
        edges: Ascending boundaries between bins, the same for all neurons or each neuron's own: see
            ``quantile_edges`` and ``linear_edges``. A value equal to an edge is above it. They are
            kept as float32.
        n_neurons: Columns of every batch.
        n_classes: Labels are 0 to ``n_classes - 1``.

    >>> scores = BinnedScores(torch.tensor([0.0, 1.0]), n_neurons=1, n_classes=2)
    >>> scores.update(torch.tensor([[2.0], [0.5], [-1.0]]), torch.tensor([0, 1, 1]))
    >>> scores.result().auroc.estimate.tolist()
    [[1.0], [0.0]]
    """

    def __init__(
        self,
        edges: Float[Tensor, "edge"] | Float[Tensor, "neuron edge"],
        *,
        n_neurons: int,
        n_classes: int,
    ) -> None:
        self._edges = checked_edges(edges, n_neurons)
        if n_neurons < 1 or n_classes < 2:
            raise ValueError(
                f"expected at least one neuron and two classes, got {n_neurons} and {n_classes}"
            )
        shape = (n_neurons, self.n_bins, n_classes)
        self._counts = torch.zeros(shape, dtype=torch.int64, device=edges.device)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> BinnedScores:
        """Go on from what ``state`` returned, on the device of its tensors.

        Raises:
            ValueError: Tensors that are missing or do not fit each other.
        """
        check_state(state, ("counts", "edges"))
        counts, edges = state["counts"], state["edges"]
        if counts.ndim != 3 or counts.dtype != torch.int64 or counts.device != edges.device:
            raise ValueError(
                "expected counts [neuron, bin, class] of int64 beside the edges, got "
                f"{tuple(counts.shape)} of {counts.dtype} on {counts.device}"
            )
        made = cls(edges, n_neurons=counts.shape[0], n_classes=counts.shape[2])
        if made._counts.shape != counts.shape:
            raise ValueError(
                f"expected counts of shape {tuple(made._counts.shape)} for edges "
                f"{tuple(edges.shape)}, got {tuple(counts.shape)}"
            )
        totals = counts.sum(1)
        if (counts < 0).any() or (counts > _MAX_SENTENCES).any() or (totals != totals[:1]).any():
            raise ValueError(
                "expected counts of 0 and above that add up to as many sentences of each class at "
                "every neuron, got others: start again from a saved state"
            )
        made._counts.copy_(counts)
        return made

    @staticmethod
    def memory(n_neurons: int, n_bins: int, n_classes: int, *, shared_edges: bool = False) -> int:
        """Bytes of the state.

        >>> BinnedScores.memory(1, 64, 12)
        6396
        """
        edges = (1 if shared_edges else n_neurons) * 4 * (n_bins - 1)
        return 8 * n_neurons * n_bins * n_classes + edges

    @property
    def n_bins(self) -> int:
        """One more than edges."""
        return self._edges.shape[-1] + 1

    @property
    def n_sentences(self) -> int:
        """Sentences counted so far, in all merged parts."""
        return int(self._counts[0].sum())

    @property
    def nbytes(self) -> int:
        """Bytes of the state, the number that ``memory`` foretells."""
        return self._counts.nbytes + self._edges.nbytes

    def update(self, x: Float[Tensor, "sentence neuron"], labels: Int[Tensor, "sentence"]) -> None:
        """Count a batch of any size and strides, on the device of the edges.

        Raises:
            ValueError: NaN or infinity (the column is named), a dtype but bfloat16, float16 and
                float32, another number of neurons, labels that are no integers from 0 to
                ``n_classes - 1``. Nothing is counted then.
        """
        n_neurons, n_bins, n_classes = self._counts.shape
        check_activations(x, n_neurons=n_neurons)
        found = class_of_each(labels, n_sentences=len(x), n_classes=n_classes)
        refuse_not_finite(x)
        rows, found = x.detach().to(self._counts.device).T, found.to(self._counts.device)
        step = max(1, _CHUNK_ELEMENTS // max(1, len(x), n_bins * n_classes))
        for first in range(0, n_neurons, step):
            part = slice(first, first + step)
            counts = self._counts[part]
            edges = self._edges if self._edges.ndim == 1 else self._edges[part]
            at = torch.searchsorted(edges, rows[part].float().contiguous(), right=True)
            at += n_bins * torch.arange(len(counts), device=at.device)[:, None]
            at = (at * n_classes + found).flatten()
            counts += torch.bincount(at, minlength=counts.numel()).view_as(counts)

    def merge(self, other: BinnedScores) -> None:
        """Add what ``other`` has counted, on any device, to this state.

        Raises:
            ValueError: Another number of neurons, bins or classes, or other edges.
        """
        if self._counts.shape != other._counts.shape:
            raise ValueError(
                f"expected [neuron, bin, class] {tuple(self._counts.shape)} to merge, got "
                f"{tuple(other._counts.shape)}"
            )
        edges = other._edges.to(self._edges.device)
        if not torch.equal(self._edges, edges):
            raise ValueError(
                "expected equal edges to merge, got others: counts of different bins do not add"
            )
        self._counts.add_(other._counts.to(self._counts.device))

    def state(self) -> dict[str, Tensor]:
        """The state as plain tensors, not copied: save them and go on with ``from_state``."""
        return {"counts": self._counts, "edges": self._edges}

    def result(self) -> BinnedResult:
        """Bounds ``[class, neuron]`` from all sentences so far, on the device of the state.

        Raises:
            ValueError: A class without sentences.
        """
        empty = (self._counts[0].sum(0) == 0).nonzero().flatten().tolist()
        if empty:
            raise ValueError(
                f"class {empty[0]} of {self._counts.shape[2]} has no sentence yet: a score needs "
                "at least one positive and one negative"
            )
        step = max(1, _CHUNK_ELEMENTS // self._counts[0].numel())
        single = single_valued(self._edges).expand(len(self._counts), -1)
        pieces = zip(torch.split(self._counts, step), torch.split(single, step), strict=True)
        parts = [_bounds(counts.flip(1), alone.flip(1)[..., None]) for counts, alone in pieces]
        lows, highs, fewest, most = torch.cat(parts, dim=1).transpose(1, 2)
        return BinnedResult(Bounds(lows, highs), Bounds(fewest, most))


def _bounds(
    n: Int[Tensor, "neuron bin class"], single: Bool[Tensor, "neuron bin 1"]
) -> Float[Tensor, "4 neuron class"]:
    """Lower and upper bounds of AP, then of AUROC; bins come from the highest down."""
    m = n.sum(2, keepdim=True) - n
    a, b = n.cumsum(1) - n, m.cumsum(1) - m
    positives, negatives = n.sum(1), m.sum(1)
    top = (a + n).double()
    tied = n * top / (top + b + m).clamp(min=1)
    false = (b + m).double()
    low = torch.where(single, tied, n - false * torch.log1p(n / (false + a + 0.5)))
    high = torch.where(single, tied, n * top / (top + b).clamp(min=1))
    pairs = positives.double() * negatives
    wins = (n * (negatives[:, None] - b - m)).sum(1)
    inside = (n * m).double()
    fewest = torch.where(single, inside / 2, 0.0).sum(1) + wins
    most = torch.where(single, inside / 2, inside).sum(1) + wins
    ap = [part.sum(1) / positives for part in (low, high)]
    return torch.stack([*ap, fewest / pairs, most / pairs])
