"""The definitions, in float64, one column and one class at a time: slow, obvious, the truth."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..common.grouping import Grouping
from .table import ScoreTable


def fill(table: ScoreTable, rows: Float[Tensor, "neuron sentence"], grouping: Grouping) -> int:
    """Score every row into ``table``; return the first row that is not finite, or -1."""
    labels = torch.empty(grouping.n_sentences, dtype=torch.long)
    labels[torch.from_numpy(grouping.order)] = torch.from_numpy(grouping.classes)
    for neuron, values in enumerate(rows):
        if not values.isfinite().all():
            return neuron
        for c in range(grouping.n_classes):
            found = column_scores(values, labels == c)
            for scores, value in zip(table, found, strict=True):
                if scores.numel():
                    scores[c, neuron] = value
    return -1


def average_precision(
    values: Float[Tensor, "sentence"], positive: Bool[Tensor, "sentence"]
) -> Float[Tensor, ""]:
    """``1/P · Σ_i TP(i) / (TP(i) + FP(i))`` over positives, counting activations >= that of i.

    >>> average_precision(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([True, False, True]))
    tensor(0.8333, dtype=torch.float64)
    """
    own = values[positive][:, None]
    hits = (values[positive] >= own).sum(1).double()
    return (hits / (values >= own).sum(1)).mean()


def auroc(
    values: Float[Tensor, "sentence"], positive: Bool[Tensor, "sentence"]
) -> Float[Tensor, ""]:
    """Chance that a positive exceeds a negative, a tie counting one half.

    >>> auroc(torch.tensor([3.0, 2.0, 2.0]), torch.tensor([False, True, False]))
    tensor(0.2500, dtype=torch.float64)
    """
    own, other = values[positive][:, None], values[~positive]
    return ((own > other).double() + (own == other).double() / 2).mean()


def moments(values: Float[Tensor, "sentence"]) -> Float[Tensor, "3"]:
    """Mean, median (linear interpolation) and standard deviation (ddof 1; NaN for one value)."""
    wide = values.double()
    spread = wide.std() if len(wide) > 1 else torch.tensor(float("nan"), dtype=torch.float64)
    return torch.stack([wide.mean(), wide.quantile(0.5), spread])


def column_scores(
    values: Float[Tensor, "sentence"], positive: Bool[Tensor, "sentence"]
) -> Float[Tensor, "7"]:
    """AP, AUROC, mean, median, std of one class of one column, then mean and std of the rest."""
    rest = moments(values[~positive])[[0, 2]]
    ranks = [average_precision(values, positive), auroc(values, positive)]
    return torch.cat([torch.stack(ranks), moments(values[positive]), rest])
